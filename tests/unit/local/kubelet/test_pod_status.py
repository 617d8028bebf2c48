"""Phase, conditions and container statuses from what is known of the containers."""

from __future__ import annotations

import pytest
from podrunner.local.kubelet.podstatus import (
    ContainerRecord,
    Override,
    compute_status,
    phase_of,
    unlocated,
    waiting,
)

RUNNING = {"running": {"startedAt": "t"}}
WAITING = waiting("ContainerCreating")
CRASHED = {"terminated": {"exitCode": 1}}
DONE = {"terminated": {"exitCode": 0}}


def record(state, kind="container", **fields):
    return ContainerRecord("c", "i", kind, state=state, started="running" in state, **fields)


@pytest.mark.parametrize(
    ("records", "policy", "phase"),
    [
        ([record(WAITING)], "Never", "Pending"),
        ([record(RUNNING)], "Never", "Running"),
        ([record(RUNNING), record(WAITING)], "Never", "Pending"),
        ([record(RUNNING), record(DONE)], "Never", "Running"),
        ([record(DONE)], "Never", "Succeeded"),
        ([record(DONE)], "OnFailure", "Succeeded"),
        ([record(DONE)], "Always", "Running"),
        ([record(CRASHED)], "Never", "Failed"),
        ([record(CRASHED), record(DONE)], "Never", "Failed"),
        ([record(CRASHED)], "OnFailure", "Running"),
        ([record(waiting("CrashLoopBackOff"), last_state=CRASHED)], "Always", "Running"),
        ([record(waiting("CrashLoopBackOff"), last_state=CRASHED)], "OnFailure", "Running"),
        ([record(WAITING, "init"), record(WAITING)], "Never", "Pending"),
        ([record(CRASHED, "init"), record(WAITING)], "Never", "Failed"),
        ([record(CRASHED, "init"), record(WAITING)], "Always", "Pending"),
        ([record(DONE, "init"), record(RUNNING)], "Never", "Running"),
        ([record(WAITING, "sidecar"), record(WAITING)], "Never", "Pending"),
        ([record(RUNNING, "sidecar"), record(DONE)], "Never", "Running"),
        (
            [record(waiting("CrashLoopBackOff"), "sidecar", last_state=CRASHED), record(RUNNING)],
            "Never",
            "Running",
        ),
    ],
)
def test_the_phase_follows_the_kubelets_rules(records, policy, phase):
    assert phase_of(records, policy, final=False) == phase


def test_in_the_end_only_the_main_containers_count():
    assert phase_of([record(CRASHED, "sidecar"), record(DONE)], "Always", final=True) == "Succeeded"
    assert phase_of([record(WAITING)], "Always", final=True) == "Failed"


def named(name, state, kind="container", **fields):
    return ContainerRecord(name, "i", kind, state=state, **fields)


BACK_OFF = waiting("CrashLoopBackOff")


@pytest.mark.parametrize(
    ("records", "names"),
    [
        ([named("m", WAITING)], ["m"]),
        ([named("m", RUNNING), named("n", WAITING)], ["n"]),
        ([named("m", BACK_OFF, last_state=CRASHED)], ["m"]),
        ([named("i", CRASHED, "init"), named("m", WAITING)], []),
        ([named("i", WAITING, "init"), named("j", WAITING, "init"), named("m", WAITING)], ["i"]),
        ([named("i", WAITING, "init"), named("j", CRASHED, "init"), named("m", WAITING)], ["i"]),
        ([named("i", BACK_OFF, "init", last_state=CRASHED), named("m", WAITING)], ["i"]),
        ([named("i", DONE, "init"), named("m", WAITING)], ["m"]),
        ([named("i", WAITING, "init", last_state=DONE), named("m", WAITING)], ["i", "m"]),
        ([named("s", RUNNING, "sidecar"), named("m", DONE), named("n", WAITING)], ["n"]),
        ([named("m", DONE)], []),
    ],
)
def test_containers_that_wait_in_the_end_are_shown_as_ended_unless_it_was_not_their_turn(records, names):
    assert [each.name for each in unlocated(records)] == names


def pod(**fields):
    return {"metadata": {"name": "p"}, "spec": {"restartPolicy": "Never", **fields.pop("spec", {})}, **fields}


def status(obj, records, now="2", **options):
    return compute_status(obj, records, now=now, ip="127.0.0.1", **{"sandbox": True, **options})


def by_type(found):
    return {each["type"]: each for each in found["conditions"]}


def test_times_of_conditions_change_only_with_their_status():
    first = status(pod(), [record(WAITING)], now="1")
    second = status(pod(status=first), [record(RUNNING, ready=True)], now="2")
    third = status(pod(status=second), [record(RUNNING, ready=True)], now="3")
    assert by_type(second)["Ready"]["lastTransitionTime"] == "2"
    assert by_type(second)["Initialized"]["lastTransitionTime"] == "1"
    assert third == second
    assert second["startTime"] == "1"


def test_conditions_that_are_not_ours_are_kept():
    other = {"type": "example.com/gate", "status": "True"}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "0", "observedGeneration": 1}
    found = by_type(
        status(pod(status={"conditions": [other, scheduled], "qosClass": "Burstable"}), [record(RUNNING)])
    )
    assert found["example.com/gate"] == other
    assert found["PodScheduled"]["observedGeneration"] == 1


def test_unready_containers_are_named():
    found = by_type(status(pod(), [record(RUNNING)]))
    assert found["Ready"]["message"] == "containers with unready status: [c]"
    found = by_type(status(pod(), [record(WAITING, "init"), record(WAITING)]))
    assert found["Initialized"]["message"] == "containers with incomplete status: [c]"


def test_a_readiness_gate_holds_ready_back():
    gated = pod(spec={"readinessGates": [{"conditionType": "example.com/gate"}]})
    found = by_type(status(gated, [record(RUNNING, ready=True)]))
    assert (found["Ready"]["status"], found["Ready"]["reason"], found["ContainersReady"]["status"]) == (
        "False",
        "ReadinessGatesNotReady",
        "True",
    )
    gated["status"] = {"conditions": [{"type": "example.com/gate", "status": "True"}]}
    assert by_type(status(gated, [record(RUNNING, ready=True)]))["Ready"]["status"] == "True"


def test_the_end_has_its_reasons():
    found = by_type(status(pod(), [record(DONE)], final=True))
    assert [found[kind]["reason"] for kind in ("Initialized", "Ready", "ContainersReady")] == [
        "PodCompleted"
    ] * 3
    assert by_type(status(pod(), [record(CRASHED)], final=True))["Ready"]["reason"] == "PodFailed"


def test_an_override_fails_the_pod_whatever_its_containers_did():
    found = status(pod(), [record(DONE)], override=Override("DeadlineExceeded", "m"))
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "DeadlineExceeded", "m")


def test_an_init_container_is_ready_when_it_succeeded():
    found = status(pod(), [record(DONE, "init"), record(CRASHED, "init"), record(RUNNING)])
    assert [each["ready"] for each in found["initContainerStatuses"]] == [True, False]
