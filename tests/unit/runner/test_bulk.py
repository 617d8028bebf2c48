"""Many workloads submitted, run or cancelled by one call; cancelling without waiting for the server."""

from __future__ import annotations

import anyio
import pytest
from podrunner.errors import OwnershipError, PodrunnerError, QueueFullError, RunnerClosedError, SpecError
from podrunner.outcome import Category
from podrunner.runner import RetryPolicy
from podrunner.workload import Workload
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio

TWICE = RetryPolicy(attempts=2, wait=0.01, retry_if=lambda _: True)
BAD = workload(99, overrides={"spec": {"containers": 3}})


async def test_all_are_queued_at_once_in_their_order(cluster: Cluster):
    async with running(cluster) as runner:
        batch = await runner.submit_many(workload(number) for number in range(120))
        assert [pod.key.parts["n"] for pod in batch] == [str(number) for number in range(120)]
        assert batch.errors == ()
        assert not cluster.pods
        await until(lambda: len(cluster.pods) == 120)
        assert batch[7] == runner.submit(workload(7))


async def test_each_has_its_own_priority_and_group(cluster: Cluster):
    """As of Airflow's tasks: priority_weight and DAG."""
    async with running(cluster, connections=1, max_active_pods=1) as runner:
        await runner.submit_many(
            [workload(number) for number in range(3)],
            priority=lambda one: int(one.key.parts["n"]),
            group=lambda one: one.key.parts["n"],
        )
        created: list[str] = []
        while len(created) < 3:
            await anyio.sleep(0.1)
            created += [name for _, name in cluster.pods if name not in created]
            cluster.play_all()
            runner.poll_events()
        assert [name.split("-")[0] for name in created] == ["2", "1", "0"]


async def test_one_that_makes_no_pod_does_not_hold_up_the_others(cluster: Cluster):
    async with running(cluster) as runner:
        batch = await runner.submit_many([workload(1), BAD, workload(2)])
        assert [(failure.index, type(failure.error)) for failure in batch.errors] == [(1, SpecError)]
        assert (await batch[1].wait(1)).category is Category.REJECTED_BY_API
        assert len(batch.launched) == 2
        await until(lambda: len(cluster.pods) == 2)
        finished = [event.key for event in runner.poll_events() if event.kind == "finished"]
        assert finished == [BAD.key]


async def test_for_want_of_room_no_outcome_is_made_up(cluster: Cluster):
    """What was not queued is handed in again: it must not seem to have failed."""
    async with running(cluster, submit_queue_size=2, max_active_pods=1) as runner:
        await runner.launch(workload(0))
        batch = await runner.submit_many(workload(number) for number in (1, 2, 3))
        assert [failure.index for failure in batch.errors] == [2]
        assert isinstance(batch.errors[0].error, QueueFullError)
        with pytest.raises(QueueFullError):
            await batch[2].wait(1)
        assert batch[2].outcome is None
        assert workload(3).key not in {event.key for event in runner.poll_events() if event.is_terminal}
        with pytest.raises(ExceptionGroup):
            batch.raise_for_errors()


async def test_a_cancelled_call_has_queued_nothing(cluster: Cluster):
    async with running(cluster) as runner:
        with anyio.move_on_after(0) as scope:
            await runner.submit_many(workload(number) for number in range(200))
        assert scope.cancelled_caught
        await anyio.sleep(1)
        assert not cluster.pods
        assert runner.health().submitted == 0


async def test_runs_have_their_tries(cluster: Cluster):
    async with running(cluster) as runner:
        batch = await runner.run_many([workload(1), BAD, workload(2)], retry=TWICE)
        assert [failure.index for failure in batch.errors] == [1]
        assert (await batch[1].wait(1)).category is Category.REJECTED_BY_API
        await until(lambda: len(cluster.pods) == 2)
        cluster.play_all(exit_code=1)
        await until(lambda: all(len(run.pods) == 2 for run in (batch[0], batch[2])), within_s=10)
        await until(lambda: all(run.pod.uid for run in (batch[0], batch[2])), within_s=10)
        cluster.play_all()
        outcomes = [(await run.wait(10)).category for run in (batch[0], batch[2])]
        assert outcomes == [Category.SUCCEEDED] * 2
        assert runner.run(workload(1)) != batch[0]


async def test_a_run_for_which_there_was_no_room_says_so(cluster: Cluster):
    async with running(cluster, submit_queue_size=1, max_active_pods=1) as runner:
        await runner.launch(workload(0))
        batch = await runner.run_many([workload(1), workload(2)])
        assert batch[1].outcome is None
        with pytest.raises(QueueFullError):
            await batch[1].wait(1)
        assert runner.health().runs == 1


async def test_a_closed_runner_takes_none(cluster: Cluster):
    async with running(cluster) as runner:
        await runner.close("detach")
        with pytest.raises(RunnerClosedError):
            await runner.submit_many([workload()])
        with pytest.raises(RunnerClosedError):
            await runner.run_many(list[Workload]())


async def test_cancel_returns_before_the_server_has_accepted_it(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.fail("DELETE", delay_s=20)
        begun = anyio.current_time()
        await pod.cancel(wait=False)
        assert anyio.current_time() == begun
        assert pod.outcome is None
        assert (await pod.wait(30)).category is Category.CANCELLED
        assert anyio.current_time() - begun >= 20
        await until(lambda: not cluster.pods)


async def test_delete_returns_at_once(cluster: Cluster):
    async with running(cluster, delete_pods=False) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await pod.wait(5)
        cluster.fail("DELETE", delay_s=20)
        begun = anyio.current_time()
        await pod.delete(wait=False)
        assert anyio.current_time() == begun
        await until(lambda: not cluster.pods, within_s=30)


async def test_a_queued_pod_and_a_run_are_cancelled_without_waiting(cluster: Cluster):
    async with running(cluster, max_active_pods=1) as runner:
        await runner.launch(workload(0))
        pod, run = runner.submit(workload(1)), runner.run(workload(2))
        await pod.cancel(wait=False)
        await run.cancel(wait=False)
        assert (await pod.wait(5)).category is Category.CANCELLED
        assert (await run.wait(5)).category is Category.CANCELLED
        assert len(cluster.pods) == 1


async def test_many_are_cancelled_together(cluster: Cluster):
    """One slow answer each: together they take no longer than one."""
    async with running(cluster) as runner:
        pods = list(await runner.launch_many(workload(number) for number in range(10)))
        run = runner.run(workload(50))
        await until(lambda: run.pod.uid)
        cluster.fail("DELETE", delay_s=5, times=11)
        begun = anyio.current_time()
        await runner.cancel_many([*pods, run])
        assert 5 <= anyio.current_time() - begun < 10
        for one in (*pods, run):
            assert (await one.wait(5)).category is Category.CANCELLED


@pytest.mark.parametrize("wait", [True, False])
async def test_one_that_is_another_runners_does_not_hold_up_the_others(cluster: Cluster, *, wait: bool):
    async with running(cluster) as runner:
        taken, ours = list(await runner.launch_many([workload(1), workload(2)]))
        meta = {"labels": {"podrunner.io/owner": "other"}, "annotations": {"podrunner.io/owner": "other"}}
        cluster.change(taken.name, metadata=meta)
        await until(lambda: "lost" in {str(event.kind) for event in runner.poll_events()})
        with pytest.raises(ExceptionGroup) as raised:
            await runner.cancel_many([taken, ours], wait=wait)
        assert [type(error) for error in raised.value.exceptions] == [OwnershipError]
        assert (await ours.wait(5)).category is Category.CANCELLED
        assert [name for _, name in cluster.pods] == [taken.name]


async def test_a_closed_runner_says_so_when_asked_to_cancel(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        await runner.close("detach")
        with pytest.raises(PodrunnerError):
            await pod.cancel(wait=False)
        assert cluster.pods
