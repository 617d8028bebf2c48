"""What Kubernetes itself does with a pod that is ended, as far as podrunner rests on it. podrunner takes no part.

The pods are created and ended with podrunner's own rights; what other clients do is done with an administrator's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
import yaml

FINALIZER = "podrunner.io/outcome"
MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
RELEASE = {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}}

ONE_SECOND = {"spec": {"activeDeadlineSeconds": 1}}
"""Ends a pod that has run for a second or more at once."""

POLITE = "trap 'echo term; sleep 1; echo bye; exit {code}' TERM; echo ready; while :; do sleep 0.1; done"
DEAF = "trap 'echo term' TERM; echo ready; while :; do sleep 0.1; echo tick; done"

Json = dict[str, Any]


class Pods:
    """The pods of a namespace, as one client sees them."""

    def __init__(self, http: httpx.Client, namespace: str, image: str) -> None:
        self.http = http
        self.path = f"/api/v1/namespaces/{namespace}/pods"
        self.image = image

    def create(self, *scripts: str, finalizers: tuple[str, ...] = (), **spec: object) -> str:
        """Create a pod with a container for each script and return its name."""
        names = ("base", "sidecar")
        containers = [
            {"name": name, "image": self.image, "command": ["sh", "-c", script]}
            for name, script in zip(names, scripts, strict=False)
        ]
        body = {
            "metadata": {"generateName": "ended-", "finalizers": list(finalizers)},
            "spec": {"restartPolicy": "Never", "containers": containers, **spec},
        }
        return str(self.http.post(self.path, json=body).raise_for_status().json()["metadata"]["name"])

    def get(self, name: str) -> Json | None:
        answer = self.http.get(f"{self.path}/{name}")
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def patch(self, name: str, body: object, kind: str = MERGE) -> httpx.Response:
        return self.http.patch(f"{self.path}/{name}", json=body, headers={"Content-Type": kind})

    def delete(self, name: str, grace_s: int | None = None) -> None:
        body = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        self.http.request("DELETE", f"{self.path}/{name}", json=body).raise_for_status()

    def log(self, name: str, container: str = "base") -> list[str]:
        query = {"container": container}
        return self.http.get(f"{self.path}/{name}/log", params=query).raise_for_status().text.splitlines()

    def until(self, name: str, holds: Callable[[Json], object], within_s: float = 120) -> Json:
        """Return the pod once ``holds`` is true of it."""
        deadline = time.monotonic() + within_s
        while True:
            pod = self.get(name)
            assert pod is not None, f"{name} is gone"
            if holds(pod):
                return pod
            assert time.monotonic() < deadline, f"waited {within_s} s; {pod['status']}"
            time.sleep(0.1)

    def event(self, name: str, reason: str, within_s: float = 120) -> Json:
        """Return the first event of a reason about the pod; the kubelet sends them when it has the time."""
        query = {"fieldSelector": f"involvedObject.name={name},reason={reason}"}
        path = f"{self.path.removesuffix('pods')}events"
        deadline = time.monotonic() + within_s
        while not (found := self.http.get(path, params=query).raise_for_status().json()["items"]):
            assert time.monotonic() < deadline, f"no event {reason} about {name}"
            time.sleep(0.1)
        return found[0]

    def until_gone(self, name: str, within_s: float = 120) -> None:
        deadline = time.monotonic() + within_s
        while self.get(name) is not None:
            assert time.monotonic() < deadline, f"{name} is still there"
            time.sleep(0.1)

    def started(self, name: str) -> None:
        """Return when the pod runs for a second or more and its script has set its trap."""
        self.until(name, lambda pod: state(pod, "base").get("running"))
        self.until(name, lambda _pod: "ready" in self.log(name))
        time.sleep(1.5)


@pytest.fixture
def others(cluster, namespace) -> Iterator[Pods]:
    """Return the pods of the namespace as its administrator sees them."""
    with cluster.http() as http:
        pods = Pods(http, namespace, cluster.image)
        yield pods
        for pod in http.get(pods.path).raise_for_status().json()["items"]:
            pods.patch(
                pod["metadata"]["name"], {"metadata": {"finalizers": None}}
            )  # else the namespace stays


@pytest.fixture
def ours(cluster, kubeconfig, namespace, others) -> Iterator[Pods]:
    """Return the pods of the namespace as podrunner sees them, with no more rights than it has."""
    token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    with replace(cluster, kubeconfig=kubeconfig, token=token).http() as http:
        yield Pods(http, namespace, cluster.image)


def state(pod: Json, container: str) -> Json:
    statuses = pod["status"].get("containerStatuses", ())
    return next((status["state"] for status in statuses if status["name"] == container), {})


def exit_code(pod: Json, container: str = "base") -> int | None:
    return state(pod, container).get("terminated", {}).get("exitCode")


def exceeded(pod: Json) -> bool:
    """Return whether the deadline has ended the pod: one with the same status may still say that main is running."""
    ended = (pod["status"]["phase"], pod["status"].get("reason")) == ("Failed", "DeadlineExceeded")
    return ended and "running" not in state(pod, "base") and "running" not in state(pod, "sidecar")


def is_marked(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


# -- a lowered deadline


@pytest.mark.parametrize("code", [0, 3, 143])
def test_a_lowered_deadline_ends_a_running_pod_and_keeps_it(ours, code):
    """The object stays with the exit code that the program chose, and so does the log, to its last line."""
    name = ours.create(POLITE.format(code=code), terminationGracePeriodSeconds=60)
    ours.started(name)
    ours.patch(name, ONE_SECOND).raise_for_status()
    pod = ours.until(name, exceeded)
    assert exit_code(pod) == code
    assert not is_marked(pod)
    assert ours.log(name) == ["ready", "term", "bye"]


def test_the_deadline_leaves_a_pod_its_own_grace_period(ours):
    """It is killed when its own grace period is over, not before: by the kubelet's and containerd's own times."""
    grace_s = 4
    name = ours.create(DEAF, terminationGracePeriodSeconds=grace_s)
    ours.started(name)
    ours.patch(name, ONE_SECOND).raise_for_status()
    pod = ours.until(name, exceeded)
    assert exit_code(pod) == 137
    assert ours.log(name).count("term") == 1
    # Just before SIGTERM. Both are cut to whole seconds.
    ended = ours.event(name, "DeadlineExceeded")["firstTimestamp"]
    killed = state(pod, "base")["terminated"]["finishedAt"]
    lived_s = (datetime.fromisoformat(killed) - datetime.fromisoformat(ended)).total_seconds()
    assert lived_s >= grace_s - 1


@pytest.mark.parametrize("policy", ["OnFailure", "Always"])
def test_the_deadline_prevents_restarts(ours, policy):
    """The container is not started again, whatever its restart policy."""
    name = ours.create(POLITE.format(code=3), restartPolicy=policy, terminationGracePeriodSeconds=60)
    ours.started(name)
    ours.patch(name, ONE_SECOND).raise_for_status()
    pod = ours.until(name, exceeded)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


@pytest.mark.parametrize("code", [0, 5])
def test_the_deadline_ends_a_second_container_that_goes_on(ours, code):
    """The main container keeps the exit code of its own end; the phase says Failed even after a success."""
    main = f"echo ready; sleep 1; exit {code}"
    name = ours.create(main, POLITE.format(code=0), terminationGracePeriodSeconds=60)
    before = ours.until(name, lambda pod: exit_code(pod) is not None)
    assert before["status"]["phase"] == "Running"
    ours.until(name, lambda _pod: "ready" in ours.log(name, "sidecar"))  # its trap is set
    time.sleep(1.5)
    ours.patch(name, ONE_SECOND).raise_for_status()
    pod = ours.until(name, exceeded)
    assert state(pod, "base") == state(before, "base")
    assert exit_code(pod, "sidecar") == 0


def test_a_container_that_never_started_gets_a_made_up_exit_code(ours):
    """137 and ContainerStatusUnknown, without times: no sign that the program ran."""
    missing = {"name": "base", "image": "localhost/nowhere:1", "imagePullPolicy": "Never"}
    name = ours.create(containers=[missing])
    ours.until(name, lambda pod: state(pod, "base").get("waiting", {}).get("reason") == "ErrImageNeverPull")
    time.sleep(1.5)
    ours.patch(name, ONE_SECOND).raise_for_status()
    pod = ours.until(name, lambda pod: exceeded(pod) and exit_code(pod) is not None)
    terminated = state(pod, "base")["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (137, "ContainerStatusUnknown")
    assert (terminated["startedAt"], terminated["finishedAt"]) == (None, None)


def test_the_deadline_does_not_end_a_pod_without_a_node(ours):
    """Only a kubelet acts on it; such a pod has to be deleted."""
    name = ours.create("true", nodeSelector={"no": "such-node"})
    ours.until(name, lambda pod: pod["status"].get("conditions"))
    ours.patch(name, ONE_SECOND).raise_for_status()
    time.sleep(4)
    pod = ours.get(name)
    assert pod is not None
    assert pod["status"]["phase"] == "Pending"


def test_a_deadline_may_be_lowered_but_neither_raised_nor_removed(ours):
    """A pod's deadline of its own is no hindrance."""
    name = ours.create("sleep 60", activeDeadlineSeconds=500, terminationGracePeriodSeconds=1)
    answers = [ours.patch(name, {"spec": {"activeDeadlineSeconds": s}}).status_code for s in (400, 500, None)]
    assert answers == [200, 422, 422]


# -- a finalizer


@pytest.mark.parametrize("grace_s", [None, 1, 0])
def test_a_finalizer_keeps_a_running_pod_that_others_delete(ours, others, grace_s):
    """It is ended as always, its final status is written, and it goes when podrunner releases it: forced or not."""
    name = ours.create(POLITE.format(code=3), terminationGracePeriodSeconds=60, finalizers=(FINALIZER,))
    ours.started(name)
    others.delete(name, grace_s)
    pod = ours.until(name, lambda pod: pod["status"]["phase"] == "Failed" and exit_code(pod) is not None)
    assert is_marked(pod)
    ours.patch(name, RELEASE, STRATEGIC_MERGE).raise_for_status()
    ours.until_gone(name)


def test_a_finalizer_does_not_keep_the_log_of_a_running_pod(ours, others):
    """The kubelet removes the containers as soon as they have ended; the answer is 200 with its error as the text."""
    name = ours.create(POLITE.format(code=0), finalizers=(FINALIZER,))
    ours.started(name)
    others.delete(name)
    ours.until(name, lambda _pod: ours.log(name)[-1].startswith("unable to retrieve container logs"))
    ours.patch(name, RELEASE, STRATEGIC_MERGE).raise_for_status()


def test_a_finalizer_keeps_the_log_of_a_pod_that_had_ended(ours, others):
    """Ended by itself or by its deadline, and deleted afterwards."""
    name = ours.create("echo done", finalizers=(FINALIZER,))
    ours.until(name, lambda pod: pod["status"]["phase"] == "Succeeded")
    others.delete(name)
    ours.until(name, is_marked)
    time.sleep(5)
    assert ours.log(name) == ["done"]
    ours.patch(name, RELEASE, STRATEGIC_MERGE).raise_for_status()
    ours.until_gone(name)


def test_a_pod_without_a_node_stays_pending_under_a_finalizer(ours, others):
    """Nothing else happens to it until it is released."""
    name = ours.create("true", nodeSelector={"no": "such-node"}, finalizers=(FINALIZER,))
    others.delete(name)
    pod = ours.until(name, is_marked)
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 0
    assert pod["status"]["phase"] == "Pending"
    ours.patch(name, RELEASE, STRATEGIC_MERGE).raise_for_status()
    ours.until_gone(name)


def test_a_release_leaves_other_finalizers_and_may_be_repeated(ours, others):
    """It can be sent with annotations, and to a pod that has none or is gone."""
    foreign = "example.com/other"
    name = ours.create("true", finalizers=(FINALIZER, foreign), terminationGracePeriodSeconds=1)
    both = {"metadata": {**RELEASE["metadata"], "annotations": {"example.com/note": "x"}}}
    for body in (both, RELEASE):
        metadata = ours.patch(name, body, STRATEGIC_MERGE).raise_for_status().json()["metadata"]
        assert metadata["finalizers"] == [foreign]
        assert metadata["annotations"]["example.com/note"] == "x"
    others.delete(name)
    others.patch(name, {"metadata": {"finalizers": None}}).raise_for_status()
    ours.until_gone(name)
    assert ours.patch(name, RELEASE, STRATEGIC_MERGE).status_code == 404


def test_a_finalizer_comes_too_late_for_a_pod_that_is_being_deleted(ours, others):
    """It has to be there from the start."""
    name = ours.create(POLITE.format(code=0), finalizers=("example.com/other",))
    others.delete(name)
    answer = ours.patch(name, {"metadata": {"finalizers": [FINALIZER]}}, STRATEGIC_MERGE)
    assert answer.status_code == 422
    others.patch(name, {"metadata": {"finalizers": None}}).raise_for_status()


@pytest.mark.timeout(400)
def test_a_namespace_waits_for_the_finalizers_of_its_pods(ours, others, namespace):
    """podrunner's rights, which live in that namespace, last until its pods are gone (since Kubernetes 1.33)."""
    name = ours.create(POLITE.format(code=0), finalizers=(FINALIZER,), terminationGracePeriodSeconds=60)
    ours.started(name)
    others.http.delete(f"/api/v1/namespaces/{namespace}").raise_for_status()
    pod = ours.until(name, lambda pod: pod["status"]["phase"] == "Succeeded")
    assert is_marked(pod)
    time.sleep(5)
    ours.patch(name, RELEASE, STRATEGIC_MERGE).raise_for_status()
    deadline = time.monotonic() + 120
    while others.http.get(f"/api/v1/namespaces/{namespace}").status_code != 404:
        assert time.monotonic() < deadline, "the namespace is still there"
        time.sleep(0.1)
