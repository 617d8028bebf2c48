"""The status word, readiness and restarts that ``kubectl get pods`` shows, state by state."""

from __future__ import annotations

import pytest
from podrunner.local.api.encoding.ages import age, human_duration, seconds_of
from podrunner.local.api.encoding.pod_rows import pod_cells, pod_conditions

NOW = seconds_of("2026-01-31T00:10:00Z")


def container(name="main", *, ready=False, restarts=0, started=None, last=None, **state):
    status = {"name": name, "ready": ready, "restartCount": restarts, "state": state}
    if started is not None:
        status["started"] = started
    if last:
        status["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": last}}
    return status


def pod(phase="Running", *, main=(), init=(), sidecars=(), deleted=False, **status):
    meta = {"name": "p", "creationTimestamp": "2026-01-31T00:00:00Z"}
    if deleted:
        meta["deletionTimestamp"] = "2026-01-31T00:09:00Z"
    inits = [{"name": each["name"]} for each in init]
    for each in inits:
        if each["name"] in sidecars:
            each["restartPolicy"] = "Always"
    spec = {
        "containers": [{"name": each["name"]} for each in main] or [{"name": "main"}],
        "initContainers": inits,
    }
    return {
        "metadata": meta,
        "spec": spec,
        "status": {
            "phase": phase,
            "containerStatuses": list(main),
            "initContainerStatuses": list(init),
            **status,
        },
    }


RUNNING = {"running": {}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}

CASES = [
    (pod("Pending"), "0/1", "Pending"),
    (pod("Pending", main=[container(waiting={"reason": "ContainerCreating"})]), "0/1", "ContainerCreating"),
    (pod("Pending", main=[container(waiting={"reason": "ImagePullBackOff"})]), "0/1", "ImagePullBackOff"),
    (pod(main=[container(ready=True, **RUNNING)]), "1/1", "Running"),
    (pod(main=[container(**RUNNING)]), "0/1", "Running"),
    (pod("Succeeded", main=[container(**DONE)]), "0/1", "Completed"),
    (pod("Failed", main=[container(terminated={"exitCode": 3, "reason": "Error"})]), "0/1", "Error"),
    (pod("Failed", main=[container(terminated={"exitCode": 3})]), "0/1", "ExitCode:3"),
    (pod("Failed", main=[container(terminated={"exitCode": 137, "signal": 9})]), "0/1", "Signal:9"),
    (
        pod("Failed", main=[container(terminated={"exitCode": 137, "reason": "OOMKilled"})]),
        "0/1",
        "OOMKilled",
    ),
    (pod("Failed", reason="Evicted"), "0/1", "Evicted"),
    (pod(main=[container(ready=True, **RUNNING)], deleted=True), "1/1", "Terminating"),
    (pod("Succeeded", main=[container(**DONE)], deleted=True), "0/1", "Completed"),
    (pod(main=[container(**RUNNING)], deleted=True, reason="NodeLost"), "0/1", "Unknown"),
    (pod("Pending", init=[container("i", **RUNNING)]), "0/1", "Init:0/1"),
    (pod("Pending", init=[container("i", **DONE), container("j", **RUNNING)]), "0/1", "Init:1/2"),
    (pod("Pending", init=[container("i", waiting={"reason": "PodInitializing"})]), "0/1", "Init:0/1"),
    (pod("Pending", init=[container("i", waiting={"reason": "ErrImagePull"})]), "0/1", "Init:ErrImagePull"),
    (
        pod("Failed", init=[container("i", terminated={"exitCode": 2, "reason": "Error"})]),
        "0/1",
        "Init:Error",
    ),
    (pod("Failed", init=[container("i", terminated={"exitCode": 2})]), "0/1", "Init:ExitCode:2"),
    (
        pod(
            init=[container("s", ready=True, started=True, **RUNNING)],
            sidecars={"s"},
            main=[container(ready=True, **RUNNING)],
        ),
        "2/2",
        "Running",
    ),
    (pod("Pending", init=[container("s", started=False, **RUNNING)], sidecars={"s"}), "0/2", "Init:0/1"),
    (
        pod(
            main=[container(**DONE), container("b", ready=True, **RUNNING)],
            conditions=[{"type": "Ready", "status": "True"}],
        ),
        "1/2",
        "Running",
    ),
    (pod(main=[container(**DONE), container("b", ready=True, **RUNNING)]), "1/2", "NotReady"),
    (
        pod("Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
        "0/1",
        "SchedulingGated",
    ),
]


@pytest.mark.parametrize(("shown", "ready", "word"), CASES, ids=[word for _, _, word in CASES])
def test_ready_and_status(shown, ready, word):
    assert pod_cells(shown, now=NOW)[1:3] == [ready, word]


def test_restarts_and_when():
    shown = pod(main=[container(ready=True, restarts=3, last="2026-01-31T00:08:00Z", **RUNNING)])
    assert pod_cells(shown, now=NOW)[3:5] == ["3 (2m ago)", "10m"]
    assert pod_cells(pod(main=[container(restarts=2)]), now=NOW)[3] == "2"


def test_the_restarts_of_ended_init_containers_no_longer_count():
    shown = pod(init=[container("i", restarts=4, **DONE)], main=[container(restarts=1, **RUNNING)])
    assert pod_cells(shown, now=NOW)[3] == "1"


def test_wide_cells():
    shown = pod(main=[container(**RUNNING)], podIPs=[{"ip": "10.0.0.1"}], nominatedNodeName="n2")
    shown["spec"] |= {"nodeName": "n1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    shown["status"]["conditions"] = [{"type": "a", "status": "True"}]
    assert pod_cells(shown, now=NOW)[5:] == ["10.0.0.1", "n1", "n2", "1/2"]


@pytest.mark.parametrize(("phase", "count"), [("Running", 0), ("Succeeded", 1), ("Failed", 1)])
def test_a_pod_that_is_over_is_marked(phase, count):
    assert len(pod_conditions(pod(phase))) == count


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-0.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 61, "3h1m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (8 * 86400, "8d"),
        (3 * 365 * 86400, "3y"),
        (3 * 365 * 86400 + 5 * 86400, "3y5d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_durations(seconds, text):
    assert human_duration(seconds) == text


def test_an_unknown_age():
    assert age(None, NOW) == "<unknown>"
