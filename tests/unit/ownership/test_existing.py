"""What becomes of a pod that is there when its attempt is launched again: one pure decision, as a table."""

from __future__ import annotations

import datetime as dt
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace
from podrunner.builder import with_ownership
from podrunner.builder.labels import MANIFEST_HASH, OUTCOME, REPORTED
from podrunner.config import RunnerConfig
from podrunner.errors import AttemptEndedError, AttemptOwnedError, ForbiddenError, OwnershipError
from podrunner.outcome import Category, Fault, Outcome
from podrunner.outcome.record import Pod
from podrunner.outcome.stored import encode_outcome
from podrunner.ownership import (
    Attempt,
    AwaitOwner,
    OwnerAlive,
    OwnerGone,
    OwnerUnknown,
    Replay,
    Rerun,
    Take,
    TakeOver,
    decide_existing,
    ended_outcome,
)
from podrunner.ownership.existing import Refuse
from podrunner.workload import WorkloadKey
from tests.support.pods import ended, pod, runs

KEY = WorkloadKey({"task": "t"})
ENDS = dt.datetime(2026, 1, 1, 12, 30, 5, tzinfo=dt.UTC)
GONE, ALIVE = OwnerGone(), OwnerAlive(ENDS)
UNKNOWN = OwnerUnknown(ForbiddenError(status=403, server_message="no leases for you"))
RUNNING = pod("Running", runs("base"))
FAILED = pod("Failed", ended("base", 3))
SUCCEEDED = pod("Succeeded", ended("base"))
EXITED = pod("Running", ended("base", 3))  # the kubelet's last word is still to come


def bearing(
    record: Pod, *, owner: str = "me", scope: str = "nightly", key: WorkloadKey = KEY, **annotations: str
) -> Pod:
    """A pod with the labels and annotations of its owner, and more by their short names."""
    metadata = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "base"}]}}
    names = {"reported": REPORTED, "hash": MANIFEST_HASH, "outcome": OUTCOME}
    made = with_ownership(metadata, owner=owner, scope=scope, key=key)["metadata"]
    more = {names[name]: value for name, value in annotations.items()}
    both = {"labels": made["labels"], "annotations": {**made["annotations"], **more}}
    return replace(record, metadata=replace(record.metadata, **both))


def decide(record: Pod, *, verdict: Any = None, policy: str = "reuse", hashed: str | None = "2:a") -> Any:
    config = RunnerConfig(image="i", cluster="kubeconfig", reported_attempt=policy)
    return decide_existing(
        record, Attempt(KEY, hashed), me="me", scope="nightly", config=config, verdict=verdict
    )


WORDS: dict[type, str] = {
    TakeOver: "take over",
    AwaitOwner: "await",
    Replay: "replay",
    AttemptOwnedError: "refuse owned",
    AttemptEndedError: "refuse ended",
}


def short(decision: Any) -> str:
    """A decision as the table says it."""
    match decision:
        case Take(replayed):
            return "take replayed" if replayed else "take"
        case Rerun(_, is_drained):
            return "rerun drained" if is_drained else "rerun undrained"
        case Refuse(error):
            return WORDS[type(error)]
    return WORDS[type(decision)]


# Columns: whose the pod is, and what is known of that owner.
TABLE = """
                          me             ?       gone          alive         unknown
running          reuse    take           await   take-over     refuse-owned  refuse-owned
running          error    take           await   take-over     refuse-owned  refuse-owned
running          rerun    take           await   take-over     refuse-owned  refuse-owned
running,other    reuse    take           await   take-over     refuse-owned  refuse-owned
ended            reuse    take-replayed  await   take-over     refuse-owned  refuse-owned
ended            error    refuse-ended   await   refuse-ended  refuse-owned  refuse-owned
ended            rerun    rerun-undrained await  take-over     refuse-owned  refuse-owned
ended,other      reuse    refuse-ended   await   refuse-ended  refuse-owned  refuse-owned
ended,other      error    refuse-ended   await   refuse-ended  refuse-owned  refuse-owned
ended,other      rerun    rerun-undrained await  take-over     refuse-owned  refuse-owned
reported         reuse    replay         replay  replay        replay        replay
reported         error    refuse-ended   refuse-ended refuse-ended refuse-ended refuse-ended
reported         rerun    rerun-drained  await   take-over     refuse-owned  refuse-owned
reported,other   reuse    refuse-ended   refuse-ended refuse-ended refuse-ended refuse-ended
reported,other   error    refuse-ended   refuse-ended refuse-ended refuse-ended refuse-ended
reported,other   rerun    rerun-drained  await   take-over     refuse-owned  refuse-owned
"""
OWNERS = {
    "me": ("me", None),
    "?": ("old", None),
    "gone": ("old", GONE),
    "alive": ("old", ALIVE),
    "unknown": ("old", UNKNOWN),
}


def rows() -> list[Any]:
    header, *lines = TABLE.strip().splitlines()
    cells = []
    for line in lines:
        what, policy, *decisions = line.split()
        for column, decision in zip(header.split(), decisions, strict=True):
            expected = decision.replace("-", " ")
            cells.append(pytest.param(what, policy, column, expected, id=f"{what}-{policy}-{column}"))
    return cells


@pytest.mark.parametrize(("what", "policy", "column", "expected"), rows())
def test_the_decision(what: str, policy: str, column: str, expected: str):
    """H2: by state, workload, owner and ``reported_attempt``."""
    state, _, other = what.partition(",")
    owner, verdict = OWNERS[column]
    annotations = {"hash": "2:b" if other else "2:a"}
    if state == "reported":
        annotations["reported"] = "failed"
    record = bearing(RUNNING if state == "running" else FAILED, owner=owner, **annotations)
    assert short(decide(record, verdict=verdict, policy=policy)) == expected


def test_the_table_has_every_combination():
    states = {"running", "ended", "reported"}
    wanted = set(product(states, ("", "other"), ("reuse", "error", "rerun")))
    lines = [line.split()[:2] for line in TABLE.strip().splitlines()[1:]]
    assert {(*(what.partition(",")[::2]), policy) for what, policy in lines} == wanted - {
        ("running", "other", "error"),
        ("running", "other", "rerun"),
    }, "what runs is taken whatever the workload and the policy: one row says it"


@pytest.mark.parametrize("policy", ["reuse", "error", "rerun"])
@pytest.mark.parametrize("verdict", [None, GONE, ALIVE])
def test_pods_of_others_are_refused(policy: str, verdict: Any):
    """L2: not podrunner's, of another key or attempt, of another scope; the remedies are named."""
    foreign = {
        "it was not made by podrunner": (RUNNING, None),
        "it belongs to another workload (task=x #1)": (
            bearing(RUNNING, key=WorkloadKey({"task": "x"})),
            "me",
        ),
        "it belongs to another workload (task=t #2)": (
            bearing(FAILED, key=WorkloadKey({"task": "t"}, attempt=2), reported="failed"),
            "me",
        ),
        "runner 'old' of scope 'other' owns this attempt": (
            bearing(RUNNING, owner="old", scope="other"),
            "old",
        ),
    }
    for reason, (record, owner) in foreign.items():
        decision = decide(record, verdict=verdict, policy=policy)
        assert isinstance(decision, Refuse)
        assert type(decision.error) is OwnershipError
        assert (decision.error.namespace, decision.error.name) == ("default", "p")
        assert decision.error.owner == owner
        expected = (
            f"pod default/p is there already, and {reason}; it is left as it is: "
            "use another key or attempt, or delete the pod"
        )
        assert str(decision.error) == expected


def test_our_own_name_in_another_scope_is_ours():
    """A5: the Lease is the name's; a fixed owner's pods stay its own when the scope is changed."""
    assert decide(bearing(RUNNING, scope="other")) == Take(replayed=False)


def test_a_living_owner_is_named_with_its_lease_and_the_remedies():
    """H2."""
    decision = decide(bearing(RUNNING, owner="old"), verdict=ALIVE)
    error = decision.error
    assert (error.namespace, error.name, error.owner, error.lease_ends) == ("default", "p", "old", ENDS)
    for part in ("runner 'old'", "2026-01-01T12:30:05Z", "wait", "next attempt", "delete the pod"):
        assert part in str(error)


def test_a_lease_without_an_end_names_none():
    error = decide(bearing(RUNNING, owner="old"), verdict=OwnerAlive(None)).error
    assert error.lease_ends is None
    assert "(its Lease was renewed)" in str(error)


def test_an_owner_that_cannot_be_read_is_named_with_the_reason():
    """A2: without an answer no runner is taken for gone."""
    error = decide(bearing(RUNNING, owner="old"), verdict=UNKNOWN).error
    assert "no leases for you" in str(error)
    assert error.__cause__ is UNKNOWN.error


@pytest.mark.parametrize(("stored", "given"), [(None, "2:a"), ("2:b", None), ("1:b", "2:a")])
def test_a_workload_that_cannot_be_compared_is_no_other_one(stored: str | None, given: str | None):
    """H2: pods of versions that wrote no hash, or another kind of hash."""
    annotations = {} if stored is None else {"hash": stored}
    assert decide(bearing(FAILED, **annotations), hashed=given) == Take(replayed=True)


def test_an_ended_attempt_says_how_it_ended_and_what_to_do():
    """H2."""
    error = decide(bearing(FAILED, owner="old", reported="failed"), policy="error").error
    assert (error.namespace, error.name, error.owner, error.category) == ("default", "p", "old", "failed")
    assert "has ended already (failed)" in str(error)
    assert "run the next attempt, or delete the pod" in str(error)


def test_an_attempt_of_another_workload_says_so():
    """H2."""
    error = decide(bearing(FAILED, hash="2:b")).error
    assert "as another workload" in str(error)


STORED = Outcome(
    category=Category.EVICTED, fault=Fault.INFRASTRUCTURE, started=True, retryable=True, reason="Evicted"
)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (bearing(RUNNING), None),
        (bearing(EXITED), None),
        (bearing(SUCCEEDED), Category.SUCCEEDED),
        (bearing(FAILED), Category.FAILED),
        (bearing(FAILED, reported="evicted"), Category.FAILED),
        (bearing(FAILED, outcome=encode_outcome(STORED, uid="u1")), Category.EVICTED),
        (bearing(RUNNING, outcome=encode_outcome(STORED, uid="u1")), Category.EVICTED),
        (bearing(FAILED, outcome=encode_outcome(STORED, uid="u2")), Category.FAILED),
        (bearing(EXITED, reported="failed"), Category.FAILED),
        (bearing(RUNNING, reported="failed"), Category.DELETED_BY_OTHERS),
    ],
    ids=[
        "running",
        "its final status is to come",
        "succeeded",
        "failed",
        "reported without a record",
        "recorded",
        "recorded, a sidecar goes on",
        "the record of another pod",
        "reported before its final status",
        "reported, and as if it ran",
    ],
)
def test_how_a_pod_ended(record: Pod, expected: Category | None):
    """H2: the record that its runner wrote counts first, then the pod's own status."""
    outcome = ended_outcome(record, config=RunnerConfig(image="i", cluster="kubeconfig"))
    assert (outcome.category if outcome is not None else None) == expected


def test_a_failure_policy_counts_for_what_was_not_recorded():
    rules = [{"name": "again", "action": "retry", "on_exit_codes": {"values": [3]}}]
    config = RunnerConfig(image="i", cluster="kubeconfig", failure_policy=rules)
    outcome = ended_outcome(bearing(FAILED), config=config)
    assert outcome is not None
    assert outcome.retryable


def test_the_main_container_is_the_one_that_the_pod_names():
    """Of an earlier launch it may have been another one."""
    record = pod("Running", ended("first", 3), runs("base"))
    assert ended_outcome(bearing(record), config=RunnerConfig(image="i", cluster="kubeconfig")) is None
