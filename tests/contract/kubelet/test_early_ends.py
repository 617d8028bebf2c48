"""Pods that are ended early: by a deadline that is lowered, or by a deletion that a finalizer outlasts.

The rules were measured with the kubelets of 1.34 and 1.37.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager

import pytest

MERGE = {"Content-Type": "application/merge-patch+json"}
HOLD = "tests.podrunner.io/hold"
MESSAGE = "Pod was active on the node longer than the specified deadline"
POLITE = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.05; done"
UNKNOWN = "ContainerStatusUnknown"


def patch(pods, name, body):
    return pods.http.patch(pods.path("pods", name), content=json.dumps(body), headers=MERGE)


def expire(pods, name, seconds=1):
    """Lower a pod's deadline, when it is over already: no test waits for a young pod."""
    patch(pods, name, {"spec": {"activeDeadlineSeconds": seconds}}).raise_for_status()


def hold(pods, name, finalizers=(HOLD,)):
    patch(pods, name, {"metadata": {"finalizers": list(finalizers) or None}}).raise_for_status()


def running(pods, name, script, **spec):
    """Start a pod whose program is up: it has set its traps."""
    pods.run(name, script, **spec)
    pods.phase(name, "Running")
    until_up(pods, name)


def until_up(pods, name, container="main"):
    while "up" not in pods.log(name, container=container):
        time.sleep(0.05)


def states(pod):
    """Return the end of each container by its name."""
    status = pod["status"]
    every = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
    return {each["name"]: each["state"].get("terminated") for each in every}


def codes(pod):
    return {name: end and (end["exitCode"], end["reason"]) for name, end in states(pod).items()}


@contextmanager
def statuses_of(pods, name):
    """Collect every status of a pod from here on, by a watch of its own."""
    seen, begun = [], threading.Event()

    def watch():
        query = {"watch": "1", "fieldSelector": f"metadata.name={name}", "timeoutSeconds": 50}
        with pods.http.stream("GET", pods.path("pods"), params=query) as response:
            for line in response.iter_lines():
                seen.append(json.loads(line)["object"]["status"])
                begun.set()
                if seen[-1]["phase"] in {"Succeeded", "Failed"}:
                    return

    thread = threading.Thread(target=watch)
    thread.start()
    assert begun.wait(40)
    yield seen
    thread.join(60)


class TestDeadline:
    def test_a_lowered_deadline_ends_a_pod_and_keeps_it(self, pods) -> None:
        """The pod fails, its container ends as it likes, object and log stay."""
        running(pods, "a", POLITE, activeDeadlineSeconds=500)
        expire(pods, "a", 400)
        expire(pods, "a")
        pod = pods.phase("a", "Failed")
        assert (pod["status"]["reason"], pod["status"]["message"]) == ("DeadlineExceeded", MESSAGE)
        assert codes(pod) == {"main": (3, "Error")}
        assert "deletionTimestamp" not in pod["metadata"]
        assert pods.log("a") == "up\nbye\n"
        assert ("DeadlineExceeded", MESSAGE) in pods.events("a")

    def test_a_program_that_ends_well_is_shown_as_it_ended(self, pods) -> None:
        running(pods, "a", POLITE.replace("exit 3", "exit 0"))
        expire(pods, "a")
        assert codes(pods.phase("a", "Failed")) == {"main": (0, "Completed")}

    def test_the_pods_own_grace_is_kept(self, pods) -> None:
        running(pods, "a", STUBBORN, terminationGracePeriodSeconds=3)
        time.sleep(1.5)
        begun = time.monotonic()
        expire(pods, "a")
        pod = pods.phase("a", "Failed")
        assert time.monotonic() - begun >= 2.9
        assert codes(pod) == {"main": (137, "Error")}

    def test_the_status_says_nothing_until_all_is_said(self, pods) -> None:
        """No status has the container's end and not the pod's, and none the reason before the end."""
        running(pods, "a", "trap 'sleep 0.5; exit 3' TERM; echo up; while :; do sleep 0.05; done")
        with statuses_of(pods, "a") as seen:
            expire(pods, "a")
        assert {status["phase"] for status in seen[:-1]} == {"Running"}
        assert not any("reason" in status for status in seen[:-1])
        assert all("running" in status["containerStatuses"][0]["state"] for status in seen[:-1])
        assert "terminated" in seen[-1]["containerStatuses"][0]["state"]

    def test_a_follower_reads_the_log_to_its_end(self, pods) -> None:
        running(pods, "a", "trap 'seq 2000; exit 0' TERM; echo up; while :; do sleep 0.05; done")
        expire(pods, "a")
        lines = pods.log("a", follow="true").splitlines()
        assert lines == ["up", *map(str, range(1, 2001))]

    @pytest.mark.parametrize("policy", ["OnFailure", "Always"])
    def test_nothing_is_restarted(self, pods, policy) -> None:
        running(pods, "a", POLITE, restartPolicy=policy)
        expire(pods, "a")
        pod = pods.phase("a", "Failed")
        assert codes(pod) == {"main": (3, "Error")}
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0

    def test_the_pre_stop_hook_runs(self, pods) -> None:
        hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo stopped > /shared/note"]}}}
        volume = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
        script = "trap 'cat /shared/note; exit 0' TERM; echo up; while :; do sleep 0.05; done"
        running(
            pods,
            "a",
            script,
            container={"lifecycle": hook, **volume},
            volumes=[{"name": "shared", "emptyDir": {}}],
        )
        expire(pods, "a")
        pods.phase("a", "Failed")
        assert pods.log("a") == "up\nstopped\n"

    def test_a_sidecar_that_goes_on_is_ended_and_the_main_container_keeps_its_end(self, pods) -> None:
        """The pod fails all the same: only the main container's end tells how its work ended."""
        main = pods.container("main", "echo up; exit 5")
        sidecar = pods.container("sidecar", POLITE)
        pods.run("a", "", containers=[main, sidecar])
        pod = pods.until("a", lambda pod: codes_or_none(pod).get("main"))
        ended = states(pod)["main"]
        until_up(pods, "a", "sidecar")
        time.sleep(1)
        expire(pods, "a")
        pod = pods.phase("a", "Failed")
        assert pod["status"]["reason"] == "DeadlineExceeded"
        assert codes(pod) == {"main": (5, "Error"), "sidecar": (3, "Error")}
        assert states(pod)["main"] == ended

    def test_a_native_sidecar_is_ended_after_the_main_container(self, pods) -> None:
        sidecar = pods.container("sidecar", POLITE, restartPolicy="Always")
        running(pods, "a", POLITE.replace("exit 3", "sleep 1; exit 3"), initContainers=[sidecar])
        until_up(pods, "a", "sidecar")
        expire(pods, "a")
        pod = pods.phase("a", "Failed")
        assert codes(pod) == {"sidecar": (3, "Error"), "main": (3, "Error")}
        ends = states(pod)
        assert ends["main"]["finishedAt"] <= ends["sidecar"]["finishedAt"]

    def test_an_init_container_is_ended_and_the_main_container_never_starts(self, pods) -> None:
        pods.run("a", "exit 0", initContainers=[pods.container("init", POLITE)])
        pods.until("a", lambda pod: pod["status"].get("initContainerStatuses", [{}])[0].get("started"))
        expire(pods, "a")
        pod = pods.phase("a", "Failed")
        assert codes(pod)["init"] in {(3, "Error"), (143, "Error")}
        waits = pod["status"]["containerStatuses"][0]["state"]["waiting"]
        assert waits["reason"] == "PodInitializing"

    def test_a_container_that_never_started_is_shown_as_waiting_and_then_as_unknown(self, pods) -> None:
        """That is no end of its program."""
        missing = {"envFrom": [{"configMapRef": {"name": "missing"}}]}
        pods.run("a", "exit 0", container=missing)
        pods.waiting("a", "CreateContainerConfigError")
        with statuses_of(pods, "a") as seen:  # a moment later it is shown otherwise
            expire(pods, "a")
        assert seen[-1]["reason"] == "DeadlineExceeded"
        assert "waiting" in seen[-1]["containerStatuses"][0]["state"]
        last = pods.until("a", lambda pod: codes(pod)["main"])
        assert codes(last) == {"main": (137, UNKNOWN)}
        end = states(last)["main"]
        assert end.get("startedAt") is None
        assert end.get("finishedAt") is None

    def test_a_pod_without_a_node_stays_pending(self, pods) -> None:
        pods.run("a", "exit 0", schedulingGates=[{"name": "tests.podrunner.io/held"}])
        expire(pods, "a")
        time.sleep(2)
        assert pods.get("a")["status"]["phase"] == "Pending"

    def test_a_young_pod_ends_as_soon_as_it_is_old_enough(self, pods) -> None:
        """The deadline is counted from the pod's start on its node."""
        pods.run("a", POLITE)
        expire(pods, "a")
        assert pods.phase("a", "Failed")["status"]["reason"] == "DeadlineExceeded"

    def test_a_pod_that_has_ended_is_not_changed(self, pods) -> None:
        pods.run("a", "exit 0")
        before = pods.phase("a", "Succeeded")["status"]
        time.sleep(1)
        expire(pods, "a")
        time.sleep(2)
        after = pods.get("a")["status"]  # a kubelet of 1.37 clears its resources
        assert (after["phase"], after["containerStatuses"]) == ("Succeeded", before["containerStatuses"])
        assert "reason" not in after


def codes_or_none(pod):
    return codes(pod) if "containerStatuses" in pod["status"] else {}


class TestHeldPods:
    @pytest.mark.parametrize("options", [{}, {"gracePeriodSeconds": 4}, {"gracePeriodSeconds": 0}])
    def test_a_deleted_pod_ends_and_stays(self, pods, options) -> None:
        """Its last status is written, then its grace becomes 0."""
        running(pods, "a", POLITE)
        hold(pods, "a")
        pods.delete("a", **options)
        pod = pods.until("a", lambda pod: pod["metadata"]["deletionGracePeriodSeconds"] == 0 and ended(pod))
        assert pod["status"]["phase"] == "Failed"
        assert "reason" not in pod["status"]
        assert codes(pod) == {"main": (3, "Error")}
        hold(pods, "a", ())
        assert pods.get("a") is None

    def test_a_pod_that_ends_well_on_its_deletion_has_succeeded(self, pods) -> None:
        running(pods, "a", POLITE.replace("exit 3", "exit 0"))
        hold(pods, "a")
        pods.delete("a")
        assert codes(pods.phase("a", "Succeeded")) == {"main": (0, "Completed")}
        hold(pods, "a", ())

    def test_the_log_of_a_pod_that_was_deleted_while_it_ran_is_lost(self, pods) -> None:
        """A finalizer keeps the object, not the log; the kubelet answers with words in its place."""
        running(pods, "a", POLITE)
        hold(pods, "a")
        pods.delete("a")
        pods.phase("a", "Failed")
        deadline = time.monotonic() + 20
        while not (text := pods.log("a")).startswith("unable to retrieve container logs for "):
            assert text == "up\nbye\n"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        hold(pods, "a", ())

    @pytest.mark.parametrize("by_deadline", [False, True])
    def test_the_log_of_a_pod_that_had_ended_stays(self, pods, by_deadline) -> None:
        if by_deadline:
            running(pods, "a", POLITE)
            expire(pods, "a")
        else:
            pods.run("a", "echo up; echo bye")
        hold(pods, "a")
        phase = pods.phase("a", "Succeeded", "Failed")["status"]["phase"]
        pods.delete("a")
        time.sleep(3)
        pod = pods.get("a")
        assert (pod["status"]["phase"], pod["metadata"]["deletionGracePeriodSeconds"]) == (phase, 0)
        assert pods.log("a") == "up\nbye\n"
        hold(pods, "a", ())

    def test_a_second_deletion_does_not_shorten_the_grace_of_the_first(self, pods) -> None:
        """The object says that it does, the kubelet does not do it (kubernetes#113606)."""
        running(pods, "a", STUBBORN)
        hold(pods, "a")
        begun = time.monotonic()
        pods.delete("a", gracePeriodSeconds=9)
        asked = pods.get("a")["metadata"]["deletionTimestamp"]
        time.sleep(1)
        pods.delete("a", gracePeriodSeconds=2)
        meta = pods.get("a")["metadata"]
        assert meta["deletionGracePeriodSeconds"] == 2
        assert meta["deletionTimestamp"] < asked
        pods.phase("a", "Failed")
        assert time.monotonic() - begun >= 8.9
        hold(pods, "a", ())

    def test_a_deletion_does_not_shorten_the_grace_of_a_deadline(self, pods) -> None:
        running(pods, "a", STUBBORN, terminationGracePeriodSeconds=5)
        hold(pods, "a")
        time.sleep(1)
        begun = time.monotonic()
        expire(pods, "a")
        time.sleep(1.5)
        pods.delete("a", gracePeriodSeconds=1)
        pod = pods.phase("a", "Failed")
        assert time.monotonic() - begun >= 4.9
        assert pod["status"]["reason"] == "DeadlineExceeded"
        hold(pods, "a", ())


def ended(pod):
    return pod["status"]["phase"] in {"Succeeded", "Failed"}
