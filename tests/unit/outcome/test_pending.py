"""Deadlines of pods that do not start: grace per reason, on the caller's clock."""

from __future__ import annotations

import pytest
from podrunner.config import PendingPolicy
from podrunner.outcome import Category, Fault, Waiting, pending_verdict, verdict_outcome, waiting
from podrunner.outcome.record import Pod
from tests.support.pods import condition, pod, runs, waits

POLICY = PendingPolicy(
    image_grace_s=300, config_grace_s=30, unschedulable_grace_s=600, startup_timeout_s=None
)
NO_ROOM = condition(
    "PodScheduled",
    "False",
    reason="Unschedulable",
    message="0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No victims.",
)
NO_MATCH = condition(
    "PodScheduled",
    "False",
    reason="Unschedulable",
    message="0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
)


@pytest.mark.parametrize(
    ("record", "grace_s", "category", "fault"),
    [
        (
            pod("Pending", waits("base", "ErrImagePull", "not found")),
            300,
            Category.IMAGE,
            Fault.CONFIGURATION,
        ),
        (pod("Pending", waits("base", "ImagePullBackOff")), 300, Category.IMAGE, Fault.UNKNOWN),
        (
            pod("Pending", waits("base", "ErrImagePull", "dial tcp: i/o timeout")),
            300,
            Category.IMAGE,
            Fault.INFRASTRUCTURE,
        ),
        (pod("Pending", waits("base", "InvalidImageName")), 0, Category.IMAGE, Fault.CONFIGURATION),
        (
            pod("Pending", waits("base", "CreateContainerConfigError", 'secret "nope" not found')),
            30,
            Category.CONTAINER_CONFIG,
            Fault.CONFIGURATION,
        ),
        (
            pod("Pending", init=(waits("setup", "RunContainerError"),)),
            30,
            Category.CONTAINER_CONFIG,
            Fault.UNKNOWN,
        ),
        (
            pod("Pending", conditions=(NO_ROOM,), node=None),
            600,
            Category.UNSCHEDULABLE,
            Fault.INFRASTRUCTURE,
        ),
        (pod("Pending", conditions=(NO_MATCH,), node=None), 600, Category.UNSCHEDULABLE, Fault.CONFIGURATION),
    ],
)
def test_each_reason_has_its_own_grace(record: Pod, grace_s: float, category: Category, fault: Fault | None):
    """P1: a first hiccup is no failure, and pending for ever is none either."""
    if grace_s:
        assert pending_verdict(record, first_seen_s=100, now_s=100 + grace_s - 1, policy=POLICY) is None
    verdict = pending_verdict(record, first_seen_s=100, now_s=100 + grace_s, policy=POLICY)
    assert verdict is not None
    assert (verdict.category, verdict.fault) == (category, fault)


def test_unschedulable_tells_which_resource_and_how_many_nodes():
    """P2: the cause is in the message."""
    verdict = pending_verdict(pod(conditions=(NO_ROOM,)), first_seen_s=0, now_s=700, policy=POLICY)
    assert verdict is not None
    assert "3 of 3 nodes: Insufficient cpu" in verdict.message


def test_without_a_grace_unschedulable_waits_for_ever():
    policy = PendingPolicy()
    assert pending_verdict(pod(conditions=(NO_ROOM,)), first_seen_s=0, now_s=1e9, policy=policy) is None


def test_the_grace_counts_from_the_cause_not_from_the_pod():
    """P1: a pod that waited an hour for a node still has its time to pull the image."""
    record = pod("Pending", waits("base", "ErrImagePull"))
    verdict = pending_verdict(record, first_seen_s=0, now_s=3600, policy=POLICY, cause_since_s=3590)
    assert verdict is None


@pytest.mark.parametrize(
    "record",
    [
        pod("Running", runs("base")),
        pod("Pending", runs("base"), waits("side", "ImagePullBackOff")),
        pod("Pending", waits("base", "ImagePullBackOff"), deleted_at=3),
        pod("Pending", conditions=(condition("PodScheduled", "False", reason="SchedulingGated"),)),
    ],
    ids=["running", "main container runs", "being deleted", "gated on purpose"],
)
def test_who_does_not_wait_is_never_given_up(record: Pod):
    policy = PendingPolicy(startup_timeout_s=1)
    assert pending_verdict(record, first_seen_s=0, now_s=1e9, policy=policy) is None


def test_the_startup_timeout_ends_any_wait_and_tells_the_cause_if_there_is_one():
    """P3: the verdict; deleting the pod first is the runner's part."""
    policy = PendingPolicy(startup_timeout_s=60)
    creating = pod("Pending", waits("base", "ContainerCreating"))
    assert pending_verdict(creating, first_seen_s=0, now_s=59, policy=policy) is None
    verdict = pending_verdict(creating, first_seen_s=0, now_s=60, policy=policy)
    assert verdict is not None
    assert verdict.category is Category.STARTUP_TIMEOUT
    caused = pending_verdict(pod(conditions=(NO_ROOM,)), first_seen_s=0, now_s=60, policy=policy)
    assert caused is not None
    assert caused.category is Category.UNSCHEDULABLE


def test_any_reason_can_be_made_fatal():
    policy = PendingPolicy(fatal_reasons=("OddReason",))
    verdict = pending_verdict(
        pod("Pending", waits("base", "OddReason")), first_seen_s=0, now_s=0, policy=policy
    )
    assert verdict is not None
    assert verdict.reason == "OddReason"


def test_a_fatal_reason_comes_before_one_that_has_time():
    record = pod("Pending", waits("base", "ErrImagePull"), waits("side", "InvalidImageName"))
    verdict = pending_verdict(record, first_seen_s=0, now_s=0, policy=POLICY)
    assert verdict is not None
    assert verdict.container == "side"


def test_alternating_pull_errors_are_one_wait():
    """P1: ErrImagePull and ImagePullBackOff take turns; the grace does not begin anew."""
    seen = waiting(pod("Pending"), now_s=1)
    assert seen == Waiting(1, None, 1)
    seen = waiting(pod("Pending", waits("base", "ErrImagePull")), now_s=5, before=seen)
    seen = waiting(pod("Pending", waits("base", "ImagePullBackOff")), now_s=9, before=seen)
    assert seen == Waiting(1, Category.IMAGE, 5)


def test_a_verdict_becomes_an_outcome():
    record = pod("Pending", waits("base", "ImagePullBackOff", "Back-off pulling image x"))
    verdict = pending_verdict(record, first_seen_s=0, now_s=999, policy=POLICY)
    assert verdict is not None
    outcome = verdict_outcome(record, verdict)
    assert (outcome.category, outcome.started, outcome.retryable) == (Category.IMAGE, False, False)
    assert outcome.container == "base"
    assert outcome.evidence[0].message == "Back-off pulling image x"
