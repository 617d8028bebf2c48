"""``podrunner release``: pods of runners that never come back lose their finalizer, and no others do."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from podrunner import PodRunner, RunnerConfig, Workload
from podrunner.builder.labels import OUTCOME_FINALIZER
from tests.contract.cli.conftest import PODRUNNER
from tests.contract.conftest import Cluster, fresh_namespace

MINE = "example.com/mine"
FOREVER = ["sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.1; done']


class Pods:
    """The pods of a namespace, with the administrator's rights."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._http = cluster.http()
        self._path = f"/api/v1/namespaces/{namespace}/pods"

    def finalizers(self) -> dict[str, list[str]]:
        """Each pod's finalizers, by its name."""
        found = self._http.get(self._path).raise_for_status().json()["items"]
        return {pod["metadata"]["name"]: pod["metadata"].get("finalizers", []) for pod in found}

    def delete(self, name: str) -> None:
        self._http.delete(f"{self._path}/{name}").raise_for_status()

    def is_terminating(self, name: str) -> bool:
        pod = self._http.get(f"{self._path}/{name}").raise_for_status().json()
        return "deletionTimestamp" in pod["metadata"] and pod["status"]["phase"] in {"Succeeded", "Failed"}

    def clear(self) -> None:
        """Remove all finalizers, so that the namespace can go."""
        merge = {"Content-Type": "application/merge-patch+json"}
        for name in self.finalizers():
            self._http.patch(
                f"{self._path}/{name}", content='{"metadata": {"finalizers": null}}', headers=merge
            )
        self._http.close()


@contextmanager
def pods_of(cluster: Cluster, namespace: str) -> Iterator[Pods]:
    pods = Pods(cluster, namespace)
    try:
        yield pods
    finally:
        pods.clear()


@pytest.fixture
def pods(cluster: Cluster, namespace: str) -> Iterator[Pods]:
    with pods_of(cluster, namespace) as found:
        yield found


@pytest.fixture
def held_twice(config: RunnerConfig) -> RunnerConfig:
    """Pods bear a finalizer of the user's too."""
    return config.with_changes(pod_template={"metadata": {"finalizers": [MINE]}})


@contextmanager
def runner(config: RunnerConfig, *names: str, **workload) -> Iterator[list[str]]:
    """A runner whose pods are held; when the block is left it is gone, and the pods stay."""
    namespaces = [workload["namespace"]] if "namespace" in workload else []
    held = config.with_changes(outcome_finalizer=True, namespaces=namespaces)
    with PodRunner(held, on_exit="detach") as running:
        yield [
            running.launch(
                Workload(key={"name": name}, command=FOREVER, labels={"of": name}, **workload)
            ).name
            for name in names
        ]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_pods_of_gone_runners_are_released_and_those_of_living_ones_left(podrunner, held_twice, pods) -> None:
    with runner(held_twice, "a", "b") as gone:
        pass
    with runner(held_twice, "c") as alive:
        ended = podrunner("release", "--yes")
        assert ended.returncode == 0
        kept = {name: [MINE, OUTCOME_FINALIZER] for name in alive}
        assert pods.finalizers() == {**{name: [MINE] for name in gone}, **kept}
        for name in gone:
            assert f'pod "{name}" in namespace {held_twice.namespace} released\n' in ended.stdout
        assert ended.stderr.startswith(f"left: {held_twice.namespace}/{alive[0]}, owner runner-")
        assert ended.stderr.endswith(", lease held\n")
        assert podrunner("get", *gone).stdout.count("Terminating") == 0
        named = podrunner("release", "--yes", "--all-owners")
        assert (named.returncode, named.stderr) == (0, "")
        assert pods.finalizers() == {name: [MINE] for name in (*gone, *alive)}
    again = podrunner("release", "--yes")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == "No pod is held by podrunner's finalizer.\n"


def test_a_selector_and_a_json_document(podrunner, held_twice, pods) -> None:
    with runner(held_twice, "a", "b") as (a, b):
        pass
    ended = podrunner("release", "--yes", "--json", "-l", "of=a")
    document = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr, document["left"]) == (0, "", [])
    (released,) = document["released"]
    assert released["name"] == a
    assert released["namespace"] == held_twice.namespace
    assert released["lease"] == "absent"
    assert pods.finalizers() == {a: [MINE], b: [MINE, OUTCOME_FINALIZER]}


def test_without_a_terminal_it_shows_the_pods_and_releases_none(podrunner, held_twice, pods) -> None:
    with runner(held_twice, "a") as (a,):
        pass
    ended = podrunner("release", stdin=subprocess.DEVNULL)
    assert ended.returncode == 64
    header, row = ended.stdout.splitlines()
    assert header.split() == ["NAMESPACE", "NAME", "STATUS", "OWNER", "LEASE"]
    assert row.split()[:2] == [held_twice.namespace, a]
    assert row.split()[-1] == "absent"
    assert ended.stderr.startswith("podrunner: there is no terminal to ask at: nothing was released; --yes")
    assert pods.finalizers()[a] == [MINE, OUTCOME_FINALIZER]


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, [MINE]), ("n", 1, [MINE, OUTCOME_FINALIZER])])
def test_at_a_terminal_it_asks(environment, held_twice, pods, answer, code, left) -> None:
    with runner(held_twice, "a") as (a,):
        pass
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*PODRUNNER, "release"],
        env=environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asked:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        out, words = asked.communicate(timeout=150)
    os.close(ours)
    assert asked.returncode == code
    assert "Release 1 pod? [y/N]" in words
    assert a in out
    assert pods.finalizers()[a] == left


def test_a_pod_that_was_deleted_goes_when_it_is_released(podrunner, config, pods) -> None:
    with runner(config, "a") as (a,):
        pass
    pods.delete(a)
    until(lambda: pods.is_terminating(a))
    assert podrunner("release", "--yes").returncode == 0
    until(lambda: a not in pods.finalizers())


def test_a_lease_is_looked_for_where_the_runners_have_theirs(podrunner, cluster, config) -> None:
    """Not in the namespace that ``-n`` names: there no runner has one, and all would count as gone."""
    if not cluster.is_local:
        pytest.skip("podrunner has rights in one namespace only")
    with (
        fresh_namespace(cluster) as other,
        pods_of(cluster, other),
        runner(config, "a", namespace=other) as (a,),
    ):
        assert f"left: {other}/{a}" in podrunner("release", "--yes", "-n", other).stderr
        assert f"left: {other}/{a}" in podrunner("release", "--yes", "-A").stderr
        elsewhere = podrunner("release", "--yes", "-n", other, "--lease-namespace", "default")
        assert f'pod "{a}" in namespace {other} released' in elsewhere.stdout


def test_one_namespace_and_all_are_no_choice(podrunner) -> None:
    ended = podrunner("release", "-A", "-n", "default")
    assert (ended.returncode, "exclude each other" in ended.stderr) == (64, True)
