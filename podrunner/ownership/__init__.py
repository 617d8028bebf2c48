"""Ownership of pods: a Lease per runner, adoption, records of outcomes on pods, garbage collection of retained pods.

Runners that may adopt each other's pods share their ``scope``, and the namespace of their Leases, which is the
configuration's ``namespace``. What becomes of a pod that was adopted does not belong here.
"""

from __future__ import annotations

from podrunner.ownership.adoption import Adopter, adoptions_of, owner_of
from podrunner.ownership.existing import (
    Attempt,
    AwaitOwner,
    ExistingPods,
    Found,
    Replay,
    Rerun,
    Take,
    TakeOver,
    decide_existing,
    ended_outcome,
    owned_error,
)
from podrunner.ownership.leases import (
    CLOCK_SKEW_S,
    LeaseKeeper,
    LeaseState,
    WallClock,
    lease_name,
    lease_state,
    new_owner,
    utc_now,
)
from podrunner.ownership.leftovers import Leftovers, OldLease
from podrunner.ownership.notes import (
    NotedWait,
    is_noted_as_started,
    noted_wait,
    opened_at,
    write_opened,
    write_started,
    write_waiting,
)
from podrunner.ownership.outcome_records import (
    bears_finalizer,
    bears_verdict,
    is_reported,
    look_at,
    mark_reported,
    release_finalizer,
    stored_outcome,
    stored_verdict,
    write_outcome,
    write_verdict,
)
from podrunner.ownership.owners import OwnerAlive, OwnerGone, Owners, OwnerUnknown, OwnerVerdict
from podrunner.ownership.pod_patch import PodWrite, WriteStatus
from podrunner.ownership.release import HeldPod, PodReleaser
from podrunner.ownership.retained import RetainedPod, RetainedPods, beyond_limits
from podrunner.ownership.revocation import LeaseRevoker
from podrunner.ownership.scope import ScopeReader

__all__ = [
    "CLOCK_SKEW_S",
    "Adopter",
    "Attempt",
    "AwaitOwner",
    "ExistingPods",
    "Found",
    "HeldPod",
    "LeaseKeeper",
    "LeaseRevoker",
    "LeaseState",
    "Leftovers",
    "NotedWait",
    "OldLease",
    "OwnerAlive",
    "OwnerGone",
    "OwnerUnknown",
    "OwnerVerdict",
    "Owners",
    "PodReleaser",
    "PodWrite",
    "Replay",
    "Rerun",
    "RetainedPod",
    "RetainedPods",
    "ScopeReader",
    "Take",
    "TakeOver",
    "WallClock",
    "WriteStatus",
    "adoptions_of",
    "bears_finalizer",
    "bears_verdict",
    "beyond_limits",
    "decide_existing",
    "ended_outcome",
    "is_noted_as_started",
    "is_reported",
    "lease_name",
    "lease_state",
    "look_at",
    "mark_reported",
    "new_owner",
    "noted_wait",
    "opened_at",
    "owned_error",
    "owner_of",
    "release_finalizer",
    "stored_outcome",
    "stored_verdict",
    "utc_now",
    "write_opened",
    "write_outcome",
    "write_started",
    "write_verdict",
    "write_waiting",
]
