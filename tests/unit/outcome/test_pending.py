"""Deadlines of pods that do not start: grace per reason, on the caller's clock."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from podrunner.config import PendingPolicy
from podrunner.outcome import (
    NO_HISTORY,
    Category,
    Fault,
    PendingClock,
    Verdict,
    advance,
    gives_up_s,
    pending_verdict,
    place_of,
    remember,
    verdict_outcome,
    waiting_for,
)
from podrunner.outcome.record import (
    ContainerSpec,
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
)
from tests.support.pods import at, condition, ended, pod, runs, waits

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


def clock_of(*seen: tuple[float, Pod]) -> PendingClock:
    """The clock of a pod that was created with the first look, and was looked at at these times."""
    clock, history, before = None, NO_HISTORY, None
    for now_s, record in seen:
        history = remember(history, record, before=before, main_container="base")
        place = place_of(record, history=history, main_container="base")
        cause = waiting_for(record, main_container="base", history=history)
        assert place is not None
        category = None if cause is None else cause.category
        clock = advance(clock, place, category, now_s=now_s, first_seen_s=seen[0][0])
        before = record
    assert clock is not None
    return clock


def test_alternating_pull_errors_are_one_wait():
    """P1: ErrImagePull and ImagePullBackOff take turns; the grace does not begin anew."""
    seen = clock_of((1, pod("Pending")))
    assert (seen.category, seen.open_since_s) == (None, 1)
    seen = clock_of(
        (1, pod("Pending")),
        (5, pod("Pending", waits("base", "ErrImagePull"))),
        (9, pod("Pending", waits("base", "ImagePullBackOff"))),
    )
    assert (seen.category, seen.category_since_s, seen.open_since_s) == (Category.IMAGE, 5, 1)


def test_a_verdict_becomes_an_outcome():
    record = pod("Pending", waits("base", "ImagePullBackOff", "Back-off pulling image x"))
    verdict = pending_verdict(record, first_seen_s=0, now_s=999, policy=POLICY)
    assert verdict is not None
    outcome = verdict_outcome(record, verdict)
    assert (outcome.category, outcome.started, outcome.retryable) == (Category.IMAGE, False, False)
    assert outcome.container == "base"
    assert outcome.evidence[0].message == "Back-off pulling image x"


# The clock of each patience begins with its stage

GATED = condition("PodScheduled", "False", reason="SchedulingGated", message="Scheduling is blocked")
BOUND = condition("PodScheduled", "True")
PROXY = ContainerSpec(name="proxy", restart_policy="Always")
MISSING = ContainerStateTerminated(exit_code=128, reason="StartError", message='exec: "nope": not found')
CRASHED = ContainerStateTerminated(exit_code=3, reason="Error", started_at=at(1), finished_at=at(2))


def crashing(name: str, last: ContainerStateTerminated, *, restarts: int = 0) -> ContainerStatus:
    status = waits(name, "CrashLoopBackOff", "back-off 10s restarting failed container", restarts=restarts)
    return replace(status, last_state=ContainerState(terminated=last))


def given_up(policy: PendingPolicy, *seen: tuple[float, Pod]) -> tuple[float, Verdict] | None:
    """When, at looks of one or ten seconds, a pod is given up, and for what; its last record stays for a day."""
    clock, history, before = None, NO_HISTORY, None
    for number, (from_s, record) in enumerate(seen):
        until_s = seen[number + 1][0] if number + 1 < len(seen) else from_s + 90_000
        history = remember(history, record, before=before, main_container="base")
        before = record
        place = place_of(record, history=history, main_container="base")
        cause = waiting_for(record, main_container="base", history=history)
        for now_s in range(int(from_s), int(until_s), 1 if until_s - from_s < 10_000 else 10):
            if place is None:
                clock = None
                break
            category = None if cause is None else cause.category
            clock = advance(clock, place, category, now_s=now_s, first_seen_s=seen[0][0])
            verdict = pending_verdict(
                record,
                first_seen_s=clock.open_since_s,
                now_s=now_s,
                policy=policy,
                cause_since_s=clock.category_since_s,
                stage_since_s=clock.stage_since_s,
                main_container="base",
                history=history,
            )
            expected_s = gives_up_s(record, clock, policy=policy, main_container="base", history=history)
            assert (verdict is not None) == (expected_s is not None and now_s >= expected_s)
            if verdict is not None:
                return now_s, verdict
    return None


def test_the_time_to_start_begins_when_the_gate_opens():
    """P11: a queue held the pod for longer than ``startup_timeout_s``."""
    policy = PendingPolicy(startup_timeout_s=60)
    gated = pod("Pending", conditions=(GATED,), node=None)
    held = given_up(policy, (0, gated), (600, pod("Pending", conditions=(NO_ROOM,), node=None)))
    assert held is not None
    assert (held[0], held[1].category) == (660, Category.UNSCHEDULABLE)
    assert given_up(policy, (0, gated)) is None, "a gate is waited for without a limit"


def test_the_time_for_a_container_begins_with_the_node():
    """P11: an hour without a node leaves all the time for volumes and images."""
    policy = PendingPolicy(creating_grace_s=100)
    bound = pod("Pending", waits("base", "ContainerCreating"), conditions=(BOUND,))
    found = given_up(policy, (0, pod("Pending", conditions=(NO_ROOM,), node=None)), (3600, bound))
    assert found is not None
    assert (found[0], found[1].category, found[1].reason) == (
        3700,
        Category.STARTUP_TIMEOUT,
        "ContainerCreating",
    )


@pytest.mark.parametrize("restart_policy", ["Never", "OnFailure", "Always"])
@pytest.mark.parametrize(
    "status",
    [
        waits("proxy", "RunContainerError", 'exec: "nope": not found'),
        crashing("proxy", MISSING),
        crashing("proxy", MISSING, restarts=4),
        ended("proxy", 128, reason="StartError", message='exec: "nope": not found'),
    ],
    ids=["waiting", "last state", "restarted", "terminated"],
)
def test_a_native_sidecar_that_cannot_start_is_given_up(status: ContainerStatus, restart_policy: str):
    """P12: a missing program; by ``waiting``, ``terminated`` and ``lastState``, with any restart policy."""
    record = pod(
        "Pending",
        waits("base", "PodInitializing"),
        init=(status,),
        init_containers=(PROXY,),
        restart_policy=restart_policy,
    )
    found = given_up(PendingPolicy(config_grace_s=10), (0, record))
    assert found is not None
    at_s, verdict = found
    assert (at_s, verdict.category, verdict.container) == (10, Category.CONTAINER_CONFIG, "proxy")
    assert 'exec: "nope": not found' in verdict.message


def test_a_main_container_that_is_restarted_and_can_never_start_is_given_up():
    """P12: under OnFailure the kubelet starts it again for ever, and the phase is Running."""
    records = [
        pod("Running", crashing("base", MISSING, restarts=run), restart_policy="OnFailure")
        for run in range(3)
    ]
    found = given_up(PendingPolicy(config_grace_s=30), *zip((0, 12, 24), records, strict=True))
    assert found is not None
    assert (found[0], found[1].category, found[1].reason) == (34, Category.CONTAINER_CONFIG, "StartError")
    outcome = verdict_outcome(records[-1], found[1])
    assert not verdict_outcome(records[0], found[1]).started
    assert outcome.category is Category.CONTAINER_CONFIG


def test_the_restarts_of_a_main_container_that_runs_are_the_users_own():
    """Its program fails, and the pod's restart policy says what follows; ``run_timeout_s`` bounds it."""
    record = pod("Running", crashing("base", CRASHED, restarts=9), restart_policy="OnFailure")
    assert given_up(PendingPolicy(startup_timeout_s=60), (0, record)) is None


def test_an_image_that_is_gone_before_a_restart_is_given_up():
    """P12: what the restart needs cannot come."""
    record = pod(
        "Running", waits("base", "ErrImagePull", "not found", restarts=1), restart_policy="OnFailure"
    )
    found = given_up(PendingPolicy(), (0, record))
    assert found is not None
    assert (found[0], found[1].category) == (300, Category.IMAGE)
    assert verdict_outcome(record, found[1]).started


def test_an_init_container_that_fails_again_and_again_is_given_up():
    """P12: with time for what it waits for, though it runs in between."""
    again = {"init_containers": (ContainerSpec(name="setup"),), "restart_policy": "OnFailure"}
    main = waits("base", "PodInitializing")
    failed = pod("Pending", main, init=(crashing("setup", CRASHED),), **again)
    runs_again = pod("Pending", main, init=(runs("setup"),), **again)
    lives = [(float(n * 100), failed if n % 2 else runs_again) for n in range(1, 20)]
    found = given_up(PendingPolicy(crash_grace_s=500), *lives)
    assert found is not None
    at_s, verdict = found
    assert (at_s, verdict.category, verdict.container) == (700, Category.INIT_FAILED, "setup")
    assert "exit code 3" in verdict.message


def test_a_cause_that_has_passed_for_long_is_another_one_when_it_comes_back():
    again = {"init_containers": (ContainerSpec(name="setup"),), "restart_policy": "OnFailure"}
    main = waits("base", "PodInitializing")
    failed = pod("Pending", main, init=(crashing("setup", CRASHED),), **again)
    runs_again = pod("Pending", main, init=(runs("setup"),), **again)
    found = given_up(PendingPolicy(crash_grace_s=500), (0, failed), (10, runs_again), (5000, failed))
    assert found is not None
    assert found[0] == 5500


@pytest.mark.parametrize(
    ("record", "gives_up"),
    [
        (pod("Pending", conditions=(GATED,), node=None), False),
        (pod("Pending", conditions=(NO_ROOM,), node=None), False),
        (pod("Pending", node=None), False),
        (pod("Pending", conditions=(BOUND,)), True),
        (pod("Pending", waits("base", "ContainerCreating"), conditions=(BOUND,)), True),
        (pod("Pending", waits("base", "CreateContainerConfigError", 'secret "nope" not found')), True),
        (pod("Pending", waits("base", "ImagePullBackOff")), True),
        (
            pod(
                "Pending",
                waits("base", "PodInitializing"),
                init=(crashing("setup", CRASHED),),
                init_containers=(ContainerSpec(name="setup"),),
                restart_policy="Always",
            ),
            True,
        ),
    ],
    ids=["gate", "capacity", "no scheduler", "silent node", "volumes", "secret", "image", "init"],
)
def test_the_default_waits_without_a_limit_for_gates_and_capacity_only(record: Pod, *, gives_up: bool):
    """P12: nothing that cannot come is waited for for ever."""
    assert (given_up(PendingPolicy(), (0, record)) is not None) is gives_up


def test_the_error_before_a_bare_back_off_is_in_the_verdict():
    """P14: ErrImagePull with a message, then bare ImagePullBackOff."""
    said = pod("Pending", waits("base", "ErrImagePull", "manifest unknown"))
    bare = pod("Pending", waits("base", "ImagePullBackOff", 'Back-off pulling image "x"'))
    found = given_up(PendingPolicy(image_grace_s=60), (0, said), (10, bare))
    assert found is not None
    assert (found[0], found[1].reason) == (60, "ImagePullBackOff")
    assert found[1].message.endswith('Back-off pulling image "x": ErrImagePull: manifest unknown')


def test_the_error_before_a_bare_back_off_says_whose_fault_it_is():
    """P14."""
    said = pod("Pending", waits("base", "ErrImagePull", "unexpected EOF"))
    found = given_up(PendingPolicy(), (0, said), (10, pod("Pending", waits("base", "ImagePullBackOff"))))
    assert found is not None
    assert found[1].fault is Fault.INFRASTRUCTURE
