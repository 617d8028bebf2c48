"""Ownership of pods: a Lease per runner, adoption of a gone runner's pods, garbage collection of retained pods.

Runners that may adopt each other's pods share their ``scope``, and the namespace of their Leases, which is the
configuration's ``namespace``. What becomes of a pod that was adopted does not belong here.
"""

from __future__ import annotations

from podrunner.ownership.adoption import Adopter, mark_reported
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
from podrunner.ownership.retained import RetainedPod, RetainedPods, beyond_limits
from podrunner.ownership.scope import ScopeReader

__all__ = [
    "CLOCK_SKEW_S",
    "Adopter",
    "LeaseKeeper",
    "LeaseState",
    "RetainedPod",
    "RetainedPods",
    "ScopeReader",
    "WallClock",
    "beyond_limits",
    "lease_name",
    "lease_state",
    "mark_reported",
    "new_owner",
    "utc_now",
]
