"""Which event says why a pod was given up, or why its container was killed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from podrunner.config import PendingPolicy
from podrunner.outcome import (
    NO_HISTORY,
    Category,
    Fault,
    Outcome,
    classify,
    events_may_tell,
    explain,
    is_explained_by_events,
    pending_verdict,
    remember,
    verdict_outcome,
)
from podrunner.outcome.record import ContainerSpec, Event, ObjectReference, Pod
from tests.support.pods import at, condition, disrupted, ended, pod, runs, waits


def event(
    reason: str, message: str, container: str | None = None, *, second: int = 1, kind: str = ""
) -> Event:
    path = None if container is None else f"spec.{kind or 'containers'}{{{container}}}"
    return Event(
        reason=reason,
        message=message,
        type="Warning",
        involved_object=ObjectReference(field_path=path),
        last_timestamp=at(second),
    )


KILLED = pod("Failed", ended("base", 137))
UNHEALTHY = event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500", "base")
STOPPING = event("Killing", "Stopping container base", "base", second=2)


def outcome_of(record: Pod, *events: Event) -> Outcome:
    outcome = classify(record, events=events)
    assert outcome is not None
    return outcome


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (
            [event("Killing", "Container base failed liveness probe, will be restarted", "base")],
            "liveness probe",
        ),
        ([event("Killing", "Container failed liveness probe", "base")], "liveness probe"),
        ([event("Killing", "Container base failed startup probe", "base")], "startup probe"),
        ([UNHEALTHY, STOPPING], "HTTP probe failed with statuscode: 500"),
        ([STOPPING, UNHEALTHY], "HTTP probe failed with statuscode: 500"),
        ([UNHEALTHY, event("Killing", "Container killed", "base", second=2)], "Liveness probe failed"),
        (
            [event("FailedPostStartHook", "PostStartHook failed", "base"), STOPPING],
            "PostStartHook failed",
        ),
    ],
    ids=["1.34", "without the name", "startup", "pod stopped", "out of order", "another wording", "hook"],
)
def test_the_probe_that_killed_a_container_is_named(events: list[Event], words: str):
    """P15, V3: exit 137; the reason and the field path tell, whatever the words are."""
    outcome = outcome_of(KILLED, *events)
    assert (outcome.category, outcome.signal, outcome.fault) == (Category.FAILED, 9, Fault.WORKLOAD)
    assert words in outcome.message
    assert any(item.source == "event" and words in item.message for item in outcome.evidence)


@pytest.mark.parametrize(
    "events",
    [
        [],
        [STOPPING],
        [UNHEALTHY],
        [event("Killing", "Container side failed liveness probe", "side")],
        [event("Unhealthy", "Readiness probe failed: timeout", "base"), STOPPING],
    ],
    ids=["none", "stopped", "unhealthy once", "another container", "readiness kills nothing"],
)
def test_a_kill_that_no_event_explains_is_told_as_it_is(events: list[Event]):
    message = outcome_of(KILLED, *events).message
    assert message == "container base was ended by signal 9 (SIGKILL), exit code 137"


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (KILLED, True),
        (pod("Failed", ended("base", 143)), True),
        (pod("Failed", ended("base", 139)), False),
        (pod("Failed", ended("base", 1)), False),
        (pod("Succeeded", ended("base")), False),
        (pod("Failed", ended("base", 137, reason="OOMKilled")), False),
        (pod("Failed", ended("base", 137), reason="Evicted"), False),
        (
            pod("Failed", ended("base", 137), conditions=(disrupted("EvictionByEvictionAPI"),)),
            False,
        ),
    ],
)
def test_events_are_read_only_of_a_kill_that_nothing_explains(record: Pod, *, wanted: bool):
    """P15: one request, and none for an ordinary pod."""
    assert events_may_tell(record, outcome_of(record)) is wanted


CREATING = pod("Pending", waits("base", "ContainerCreating"), conditions=(condition("PodScheduled"),))
SCHEDULING = event("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.")


def given_up(record: Pod, *events: Event, **policy: float) -> Outcome:
    verdict = pending_verdict(record, first_seen_s=0, now_s=700, policy=PendingPolicy(**policy))
    assert verdict is not None
    outcome = verdict_outcome(record, verdict)
    assert is_explained_by_events(outcome, is_given_up=True)
    return explain(outcome, events, pod=record, is_given_up=True)


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (
            event("FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "nope" not found'),
            Fault.CONFIGURATION,
        ),
        (event("FailedAttachVolume", "Multi-Attach error for volume"), Fault.INFRASTRUCTURE),
        (
            event("FailedCreatePodSandBox", "Failed to create pod sandbox: dial tcp: connection refused"),
            Fault.INFRASTRUCTURE,
        ),
        (event("NetworkNotReady", "network is not ready: cni plugin not initialized"), Fault.INFRASTRUCTURE),
    ],
    ids=["mount", "attach", "sandbox", "network"],
)
def test_the_event_of_what_it_waited_for_is_the_message(told: Event, fault: Fault):
    """P14: ``startup-timeout`` with the kubelet's events; their words say whose fault it was, if a table has them."""
    outcome = given_up(CREATING, told, SCHEDULING, startup_timeout_s=60)
    assert (outcome.category, outcome.reason) == (Category.STARTUP_TIMEOUT, "StartupTimeout")
    assert outcome.message.endswith(f"{told.reason}: {told.message}")
    assert any(item.reason == told.reason for item in outcome.evidence)
    assert (outcome.fault, outcome.retryable) == (fault, fault is Fault.INFRASTRUCTURE)


def test_the_newest_obstacle_tells():
    older = event("FailedAttachVolume", "timed out", second=1)
    newer = event("FailedMount", "no such share", second=9)
    assert "no such share" in given_up(CREATING, newer, older, creating_grace_s=60).message


def test_a_pod_without_a_node_is_told_by_the_scheduler():
    """P14: no condition was seen."""
    record = pod("Pending", node=None)
    outcome = given_up(record, SCHEDULING, event("FailedMount", "x"), unschedulable_grace_s=60)
    assert outcome.category is Category.UNSCHEDULABLE
    assert "Insufficient cpu" in outcome.message


def test_a_bare_back_off_is_told_by_the_error_of_the_pull():
    """P14: an adopter that never saw ErrImagePull."""
    record = pod("Pending", waits("base", "ImagePullBackOff", 'Back-off pulling image "x"'))
    events = [
        event("Failed", 'Failed to pull image "x": manifest unknown', "base", second=3),
        event("Failed", "Error: ErrImagePull", "base", second=3),
        event("BackOff", 'Back-off pulling image "x"', "base", second=4),
    ]
    assert "manifest unknown" in given_up(record, *events).message


def test_a_cause_that_the_status_showed_stays_the_message():
    record = pod("Pending", waits("base", "CreateContainerConfigError", 'secret "nope" not found'))
    outcome = given_up(record, event("FailedMount", "other"))
    assert outcome.message.endswith('CreateContainerConfigError: secret "nope" not found')
    assert any(item.reason == "FailedMount" for item in outcome.evidence)


def test_a_startup_probe_counts_for_a_container_that_the_main_one_waits_for():
    """P12: a native sidecar that never becomes ready."""
    proxy = ContainerSpec(name="proxy", restart_policy="Always")
    never_ready = pod(
        "Pending",
        waits("base", "PodInitializing"),
        init=(replace(runs("proxy"), started=False),),
        init_containers=(proxy,),
    )
    told = event("Unhealthy", "Startup probe failed: connection refused", "proxy", kind="initContainers")
    other = event("Unhealthy", "Readiness probe failed", "base", second=5)
    assert "connection refused" in given_up(never_ready, told, other, startup_timeout_s=60).message


@pytest.mark.parametrize("category", [Category.CANCELLED, Category.DEADLINE, Category.NODE_LOST])
def test_no_events_are_read_for_other_ends_of_the_runners_own(category: Category):
    outcome = Outcome(category=category, fault=Fault.CALLER, started=True, retryable=False)
    assert not is_explained_by_events(outcome, is_given_up=True)
    assert explain(outcome, [event("FailedMount", "x")], pod=CREATING, is_given_up=True) is outcome


def test_words_that_came_after_the_verdict_are_told_too():
    """P14: the watch was broken when the pod was given up, for a bare back-off."""
    bare = pod("Pending", waits("base", "ImagePullBackOff", 'Back-off pulling image "x"'))
    outcome = given_up(bare, image_grace_s=60)
    assert (outcome.fault, outcome.retryable) == (Fault.UNKNOWN, False)
    history = remember(NO_HISTORY, pod("Pending", waits("base", "ErrImagePull", "unexpected EOF")))
    told = explain(outcome, (), pod=bare, is_given_up=True, history=history)
    assert told.message == f"{outcome.message}: ErrImagePull: unexpected EOF"
    assert (told.fault, told.retryable) == (Fault.INFRASTRUCTURE, True)
    newer = event("Failed", 'Failed to pull image "x": manifest unknown')
    assert explain(outcome, [newer], pod=bare, is_given_up=True, history=history).fault is Fault.CONFIGURATION
