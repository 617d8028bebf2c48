"""The pytest plugin: in this process, and in runs of pytest as a scheduler's project has them."""

from __future__ import annotations

import subprocess
import sys
import threading

import podrunner
import pytest
from podrunner.errors import UsageError
from podrunner.testing.ledger import Ledger
from podrunner.testing.lives import LIVES

pytest_plugins = ["pytester"]

ENDS = {
    "succeeded": ("succeeded", None),
    "failed": ("failed", "workload"),
    "oom": ("oom-killed", "workload"),
    "evicted": ("evicted", "infrastructure"),
    "preempted": ("preempted", "infrastructure"),
    "node-lost": ("node-lost", "infrastructure"),
    "node-shutdown": ("node-lost", "infrastructure"),
    "image": ("image", "configuration"),
    "config": ("container-config", "configuration"),
    "unschedulable": ("unschedulable", "infrastructure"),
    "exit 3": ("failed", "workload"),
}


def job(name: str, **fields: object) -> podrunner.Workload:
    return podrunner.Workload(key={"job": name}, command=["true"], **fields)


def outcomes(config: podrunner.RunnerConfig, *names: str) -> list[podrunner.RunnerEvent]:
    """What a small scheduler takes: it submits all, and reads events until each has ended."""
    taken: list[podrunner.RunnerEvent] = []
    with podrunner.PodRunner(config) as runner, runner.events() as events:
        runner.submit_many([job(name) for name in names])
        for event in events:
            taken.append(event)
            if sum(each.outcome is not None for each in taken) == len(names):
                break
    return taken


# Lives


def test_each_life_ends_as_it_is_called(podrunner_config, podrunner_script, podrunner_ledger):
    """All of them at once, told apart by the key of their workload."""
    assert ENDS.keys() - {"exit 3"} == LIVES.keys() - {"endless"}
    for name in ENDS:
        podrunner_script(name, {"job": name})
    taken = outcomes(podrunner_config, *ENDS)
    ended = {event.key.parts["job"]: event.outcome for event in taken if event.outcome is not None}
    assert {name: (it.category, it.fault) for name, it in ended.items()} == ENDS
    assert ended["exit 3"].exit_code == 3
    podrunner_ledger.assert_promises_kept(taken, within_s=30)
    assert podrunner_ledger.created == len(ENDS)


def test_an_attempt_has_a_life_of_its_own(podrunner_config, podrunner_script, podrunner_ledger):
    podrunner_script("exit 0", {"job": "a"})
    podrunner_script("oom", {"job": "a"}, attempt=1, log=["reading"])
    retry = podrunner.RetryPolicy(attempts=2, wait=0.05, retry_if=lambda outcome: not outcome.succeeded)
    with podrunner.PodRunner(podrunner_config) as runner:
        run = runner.run(job("a"), retry=retry)
        assert run.wait(timeout_s=30).succeeded
    assert [pod.outcome.category for pod in run.pods] == ["oom-killed", "succeeded"]
    podrunner_ledger.assert_promises_kept([run], within_s=30)


def test_a_life_is_chosen_by_labels_too_and_the_latest_counts(podrunner_config, podrunner_script):
    podrunner_script("exit 1", labels={"pool": "spot"})
    podrunner_script("exit 2", labels={"pool": "spot"})
    with podrunner.PodRunner(podrunner_config) as runner:
        pod = runner.launch(job("a", labels={"pool": "spot"}))
        assert pod.wait(timeout_s=30).exit_code == 2


def test_a_pod_has_a_second_to_get_its_node(podrunner_config):
    """Every pod has none for a moment, which is longer on a loaded machine: it is not given up by then."""
    assert podrunner_config.pending.unschedulable_grace_s >= 1


@pytest.mark.parametrize("name", ["ooom", "exit", "exit x", "exit 256"])
def test_a_life_that_is_none_is_refused(podrunner_script, name):
    with pytest.raises(UsageError, match="there is no life"):
        podrunner_script(name)


def test_a_field_that_is_none_is_refused(podrunner_script):
    with pytest.raises(UsageError, match="a life has no runing_s"):
        podrunner_script("oom", runing_s=1)


# The cluster


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_the_cluster_empty(podrunner_cluster, podrunner_config, podrunner_script, turn):
    """A pod without an end is left by each turn, with its Lease and its script."""
    stored = {
        resource: len([*podrunner_cluster.call(podrunner_cluster.control.store.list, resource)])
        for resource in ("pods", "secrets", "leases")
    }
    assert stored == {"pods": 0, "secrets": 0, "leases": 0}
    if turn == 1:
        podrunner_script("endless")
        with podrunner.PodRunner(podrunner_config, on_exit="detach") as runner:
            runner.launch(job("a", credentials={"TOKEN": "x"}))
    else:
        with podrunner.PodRunner(podrunner_config) as runner:
            assert runner.launch(job("a")).wait(timeout_s=30).succeeded, "no script is left"


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize(
    ("resource", "namespace"),
    [
        ("namespaces", ""),
        ("limitranges", "default"),
        ("persistentvolumes", ""),
        ("priorityclasses", ""),
        ("roles", "default"),
        ("serviceaccounts", "default"),
        ("services", "default"),
        ("storageclasses", ""),
    ],
)
def test_each_test_finds_none_of_the_other_kinds_either(
    podrunner_cluster, resource: str, namespace: str, turn: int
):
    """Two tests that create the same namespace, or class, do not see each other."""
    store = podrunner_cluster.control.store
    assert podrunner_cluster.call(store.find, resource, namespace, "mine") is None
    place = {"namespace": namespace} if namespace else {}
    podrunner_cluster.call(store.create, resource, {"metadata": {"name": "mine", **place}})


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_no_script_of_the_clusters_own(podrunner_cluster, podrunner_config, turn):
    if turn == 1:
        podrunner_cluster.script({}, podrunner.Lifecycle(exit_code=9))
    with podrunner.PodRunner(podrunner_config) as runner:
        assert runner.launch(job("a")).wait(timeout_s=30).succeeded is (turn == 2)


def test_faults_stand_between_the_configuration_and_the_cluster(
    podrunner_config, podrunner_faults, podrunner_ledger
):
    podrunner_faults.on("POST", "pods").lose_reply()
    taken = outcomes(podrunner_config, "a")
    assert podrunner_faults.faults.counts["lose-reply"] == 1
    podrunner_ledger.assert_promises_kept(taken, within_s=30)


# The ledger: each broken promise is found


def test_an_outcome_that_was_not_taken_is_found(podrunner_config, podrunner_ledger):
    outcomes(podrunner_config, "a")
    with pytest.raises(AssertionError, match=r'\{"job":"a"\} #1: the scheduler took no outcome'):
        podrunner_ledger.assert_one_outcome_each([])
    podrunner_ledger.assert_nothing_left(within_s=30)


def test_an_outcome_that_was_taken_twice_is_found(podrunner_config, podrunner_ledger):
    taken = outcomes(podrunner_config, "a")
    with pytest.raises(AssertionError, match="the scheduler took 2 outcomes"):
        podrunner_ledger.assert_promises_kept([*taken, *taken])


def test_a_second_launch_of_an_attempt_is_found(podrunner_config, podrunner_ledger):
    """Its first pod was deleted after its outcome; a scheduler that forgot it runs the attempt again."""
    taken = [*outcomes(podrunner_config, "a"), *outcomes(podrunner_config, "a")]
    with pytest.raises(AssertionError, match="launched 2 times"):
        podrunner_ledger.assert_promises_kept(taken, within_s=30)


def test_an_outcome_of_another_cluster_is_found(podrunner_config, podrunner_ledger):
    taken = outcomes(podrunner_config, "a")
    later = Ledger.__new__(Ledger)
    later._created = []
    with pytest.raises(AssertionError, match="a pod that was never there"):
        Ledger.assert_one_outcome_each(later, taken)


def test_a_pod_that_is_left_is_found(podrunner_config, podrunner_script, podrunner_ledger):
    podrunner_script("endless")
    with podrunner.PodRunner(podrunner_config, on_exit="detach") as runner:
        pod = runner.launch(job("a"))
    with pytest.raises(AssertionError, match=f"pod default/{pod.name} is left"):
        podrunner_ledger.assert_nothing_left(within_s=0.1)


def test_a_runner_that_is_open_is_found(podrunner_config, podrunner_ledger):
    with podrunner.PodRunner(podrunner_config), pytest.raises(AssertionError) as found:
        podrunner_ledger.assert_nothing_left(within_s=0.1)
    assert "thread podrunner is left" in str(found.value)
    assert "lease default/" in str(found.value)
    assert "socket:" in str(found.value)
    podrunner_ledger.assert_nothing_left(within_s=30)


def test_a_file_and_a_thread_of_the_scheduler_are_found(podrunner_ledger, tmp_path):
    goes_on = threading.Event()
    thread = threading.Thread(target=goes_on.wait, name="mine")
    thread.start()
    with (
        (tmp_path / "log.txt").open("w"),
        pytest.raises(AssertionError, match=r"file .*log\.txt is left open"),
    ):
        podrunner_ledger.assert_nothing_left(within_s=0.1)
    with pytest.raises(AssertionError, match="thread mine is left"):
        podrunner_ledger.assert_nothing_left(within_s=0.1)
    goes_on.set()
    thread.join()
    podrunner_ledger.assert_nothing_left(within_s=30)


def test_a_failed_pod_that_is_kept_is_no_leak(podrunner_config, podrunner_script, podrunner_ledger):
    podrunner_script("exit 1")
    podrunner_ledger.assert_promises_kept(outcomes(podrunner_config, "a"), within_s=30)


# In projects


SCHEDULER = """
import podrunner
import pytest


def job(name):
    return podrunner.Workload(key={"job": name}, command=["true"])


def test_blocking(podrunner_config, podrunner_script, podrunner_ledger):
    podrunner_script("oom")
    with podrunner.PodRunner(podrunner_config) as runner:
        pod = runner.launch(job("a"))
        assert pod.wait(timeout_s=30).category == "oom-killed"
    podrunner_ledger.assert_promises_kept([pod])


@pytest.mark.asyncio
async def test_pytest_asyncio(podrunner_config, podrunner_script, podrunner_ledger):
    podrunner_script("exit 3")
    async with podrunner.AsyncPodRunner(podrunner_config) as runner:
        pod = await runner.launch(job("b"))
        assert (await pod.wait(30)).exit_code == 3
    podrunner_ledger.assert_promises_kept([pod])


@pytest.mark.anyio
async def test_anyio(podrunner_config, podrunner_script, podrunner_ledger, anyio_backend):
    podrunner_script("evicted")
    async with podrunner.AsyncPodRunner(podrunner_config) as runner:
        pod = await runner.launch(job("c"))
        assert (await pod.wait(30)).category == "evicted"
    podrunner_ledger.assert_promises_kept([pod])
"""


@pytest.mark.timeout(300)  # a whole run of pytest, with all plugins
def test_blocking_asyncio_and_anyio_tests(pytester: pytest.Pytester):
    """With pytest-asyncio and anyio's plugin, on asyncio and trio."""
    pytester.makepyfile(SCHEDULER)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)


@pytest.mark.timeout(300)  # three processes that import all there is
def test_each_worker_of_xdist_has_a_cluster_of_its_own(pytester: pytest.Pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others take seconds in each worker
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("turn", range(4))
        def test_cluster(podrunner_cluster, worker_id, turn):
            assert podrunner_cluster.url
            assert worker_id in {"gw0", "gw1"}
        """
    )
    result = pytester.runpytest_subprocess("-q", "-p", "xdist", "-p", "podrunner", "-n", "2")
    result.assert_outcomes(passed=4)


def test_a_project_that_does_not_use_it_loads_nothing(pytester: pytest.Pytester, monkeypatch):
    monkeypatch.setenv(
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"
    )  # others, such as anyio's, load podrunner's libraries
    pytester.makepyfile(
        """
        import sys

        def test_modules(request):
            assert request.config.pluginmanager.has_plugin("podrunner")
            loaded = {name for name in sys.modules if name.startswith("podrunner")}
            assert loaded == {"podrunner", "podrunner.testing", "podrunner.testing.pytest_plugin"}
        """
    )
    result = pytester.runpytest_subprocess("-q", "-p", "podrunner", "--strict-markers", "-W", "error")
    result.assert_outcomes(passed=1)


def test_the_plugin_imports_nothing_but_pytest():
    code = (
        "import sys, pytest; before = set(sys.modules); import podrunner.testing.pytest_plugin; "
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('podrunner')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
