"""What the watch shows late, or never: the kubelet's second write, the answer to a deletion. In virtual time."""

from __future__ import annotations

import anyio
import pytest
from podrunner.outcome import Category, Fault
from tests.support.event_loops import virtual_time
from tests.unit.runner.harness import Cluster, kinds, running, until, workload

pytestmark = pytest.mark.anyio


anyio_backend = virtual_time


def kill(cluster: Cluster, name: str, exit_code: int = 137) -> None:
    """The first write of a kubelet that ends a pod: exit codes, and the phase that was."""
    cluster.muted = True
    cluster.finish(name, exit_code)
    cluster.muted = False
    cluster.phase(name, "Running")


def evict(cluster: Cluster, name: str) -> None:
    """The second: phase and reason."""
    cluster.phase(name, "Failed", reason="Evicted", message="The node was low on resource: memory.")


async def test_an_exit_code_before_the_kubelets_own_word_decides_nothing(cluster: Cluster):
    """P4: else it is the workload's fault."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        kill(cluster, pod.name)
        await anyio.sleep(3)
        assert pod.outcome is None
        evict(cluster, pod.name)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.fault) == (Category.EVICTED, Fault.INFRASTRUCTURE)
        await anyio.sleep(60)
        assert kinds(runner) == ["created", "finished"]


async def test_a_kubelet_that_says_no_more_is_not_waited_for_long(cluster: Cluster):
    """Its node died between the two writes: what is known is reported after 10 s."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        began = anyio.current_time()
        kill(cluster, pod.name, exit_code=3)
        outcome = await pod.wait(60)
        assert (outcome.category, outcome.exit_code) == (Category.FAILED, 3)
        assert 9 <= anyio.current_time() - began <= 12


@pytest.mark.parametrize("part", ["/pods?", "/pods"], ids=["watch and lists fail", "all reads fail"])
async def test_a_word_that_the_watch_cannot_show_is_asked_for(cluster: Cluster, part: str):
    """W8: nothing is concluded from silence while the watch is down."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        kill(cluster, pod.name)
        await until(lambda: pod.status == "Error")
        cluster.fail("GET", part, times=10_000, refuse=True)
        cluster.break_watches()
        await anyio.sleep(1)
        evict(cluster, pod.name)
        await anyio.sleep(60)
        assert (pod.outcome is None) == (part == "/pods")
        cluster.faults.clear()
        assert (await pod.wait(60)).category is Category.EVICTED


async def test_a_success_awaits_no_final_status(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        began = anyio.current_time()
        kill(cluster, pod.name, exit_code=0)
        assert (await pod.wait(60)).succeeded
        assert anyio.current_time() - began < 1


async def test_a_cancel_while_the_word_is_due_changes_nothing_of_the_end(cluster: Cluster):
    """It had ended before: the answer to the deletion says so too."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        kill(cluster, pod.name, exit_code=3)
        await anyio.sleep(2)
        await pod.cancel()
        assert (await pod.wait(60)).category is Category.FAILED


@pytest.mark.parametrize(("exit_code", "category"), [(0, Category.SUCCEEDED), (7, Category.FAILED)])
async def test_an_end_that_only_the_answer_to_the_deletion_shows_is_reported(
    cluster: Cluster, exit_code: int, category: Category
):
    """P3.

    The watch is broken from before the pod's end until after its removal, so that no event or list ever shows it.
    """
    async with running(cluster, delete_pods_on_failure=True) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.fail("GET", times=10_000, refuse=True)
        cluster.break_watches()
        await anyio.sleep(1)
        cluster.finish(pod.name, exit_code)  # within the second of the deletion: times do not tell
        assert pod.outcome is None
        await pod.cancel()
        assert (await pod.wait(1)).category is category
        await until(lambda: not cluster.pods)
        cluster.compact()
        cluster.faults.clear()
        await until(lambda: not runner.pods(), within_s=120)
        assert kinds(runner) == ["created", "finished", "deleted"]


async def test_an_answer_to_a_repeated_deletion_may_show_its_doing(cluster: Cluster):
    """The first answer was lost; the pod that it ended, and that a finalizer holds, shows 143."""
    async with running(cluster, outcome_finalizer=True) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.muted = True
        cluster.fail("DELETE", lose_reply=True, times=1)
        await pod.cancel(grace_period_s=5)
        assert (await pod.wait(1)).category is Category.CANCELLED


async def test_an_older_record_from_a_watch_that_is_behind_is_no_news(cluster: Cluster):
    """The answer to the deletion says Terminating."""
    cluster.obedient = False
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.muted = True
        cluster.change(pod.name, metadata={"labels": {"of-another": "else"}})
        await pod.cancel(grace_period_s=5)
        assert pod.status == "Terminating"
        cluster.muted = False
        for stream in cluster.watches:
            stream.tell(cluster.history[-2])
        await anyio.sleep(1)
        assert pod.status == "Terminating"
        await pod.cancel()
