"""``map``: outcomes in the workloads' order, lazily, with a bound on what is under way."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from podrunner.errors import AttemptEndedError, RunnerClosedError
from podrunner.outcome import Category
from podrunner.runner import RetryPolicy
from podrunner.runner.mapping import window_size
from podrunner.workload import Workload
from tests.unit.runner.harness import Cluster, configured, running, until, workload

pytestmark = pytest.mark.anyio

INVALID = b'{"kind":"Status","reason":"Invalid","message":"bad"}'


async def play_whatever_comes(cluster: Cluster) -> None:
    """A kubelet: pods end as soon as they are there, the newest first."""
    while True:
        for _, name in reversed(list(cluster.pods)):
            if cluster.pods["default", name]["status"]["phase"] == "Pending":
                cluster.play(name)
        await anyio.sleep(0.01)


async def test_outcomes_come_in_the_order_of_the_workloads(cluster: Cluster):
    async with running(cluster) as runner:
        outcomes = runner.map(workload(number, labels={"n": str(number)}) for number in range(3))
        async with anyio.create_task_group() as group:
            group.start_soon(end_backwards, cluster)
            assert [outcome.exit_code async for outcome in outcomes] == [1, 2, 3]


async def end_backwards(cluster: Cluster) -> None:
    """The three pods end in the reverse order, each with its number as exit code."""
    await until(lambda: len(cluster.pods) == 3)
    number = {name: int(pod["metadata"]["labels"]["n"]) for (_, name), pod in cluster.pods.items()}
    for name in sorted(number, key=number.__getitem__, reverse=True):
        cluster.play(name, exit_code=number[name] + 1)
        await anyio.sleep(0.05)


async def test_workloads_are_read_as_there_is_room(cluster: Cluster):
    """Nothing begins before the first outcome is asked for; then no more than the bound."""
    read: list[int] = []

    def workloads() -> Iterator[Workload]:
        for number in range(100):
            read.append(number)
            yield workload(number)

    async with running(cluster, on_exit="cancel") as runner:
        outcomes = runner.map(workloads(), concurrency=5)
        await anyio.sleep(0.1)
        assert not read
        async with anyio.create_task_group() as group:
            group.start_soon(play_whatever_comes, cluster)
            for number in range(1, 11):
                assert (await anext(outcomes)).succeeded
                assert len(read) == number + 4
            group.cancel_scope.cancel()


async def test_they_are_tried_again_as_the_policy_says(cluster: Cluster):
    async with running(cluster) as runner:
        again = RetryPolicy(attempts=2, wait=0.01, retry_if=lambda outcome: not outcome.succeeded)
        outcomes = runner.map([workload()], retry=again)
        async with anyio.create_task_group() as group:
            group.start_soon(fail_and_succeed, cluster)
            assert (await anext(outcomes)).succeeded
        assert cluster.count("POST", "/pods") == 2


async def fail_and_succeed(cluster: Cluster) -> None:
    await until(lambda: cluster.pods)
    ((_, first),) = cluster.pods
    cluster.play(first, exit_code=1)
    await until(lambda: any(name != first for _, name in cluster.pods))
    cluster.play(next(name for _, name in cluster.pods if name != first))


async def test_a_launch_that_fails_is_visible_in_its_place(cluster: Cluster):
    """Refused by the server, or no valid pod at all; the others go on."""
    cluster.fail("POST", part="/pods", status=422, body=INVALID)
    unfit = workload(1, overrides={"spec": {"containers": "none"}})
    async with running(cluster) as runner, anyio.create_task_group() as group:
        group.start_soon(play_whatever_comes, cluster)
        outcomes = [outcome async for outcome in runner.map([workload(0), unfit, workload(2)])]
        assert [it.category for it in outcomes] == [
            Category.REJECTED_BY_API,
            Category.REJECTED_BY_API,
            Category.SUCCEEDED,
        ]
        assert "spec.containers" in outcomes[1].message
        group.cancel_scope.cancel()


async def test_what_another_runner_had_is_raised_in_its_place(cluster: Cluster):
    """There is no outcome to invent. Asking again goes on."""
    async with running(cluster, delete_pods=False) as runner:
        pod = await runner.launch(workload(0))
        cluster.play(pod.name)
        await pod
        await runner.wait_all(20)
    async with running(cluster, reported_attempt="error") as runner, anyio.create_task_group() as group:
        group.start_soon(play_whatever_comes, cluster)
        outcomes = runner.map([workload(0), workload(1)])
        with pytest.raises(AttemptEndedError):
            await anext(outcomes)
        assert (await anext(outcomes)).succeeded
        assert await anext(outcomes, None) is None
        group.cancel_scope.cancel()


async def test_an_outcome_is_delivered_when_its_reader_comes_back(cluster: Cluster):
    async with running(cluster) as runner, anyio.create_task_group() as group:
        group.start_soon(play_whatever_comes, cluster)
        outcomes = runner.map([workload(0)])
        await anext(outcomes)
        await anyio.sleep(1)
        assert runner.health().undelivered == 1
        assert await anext(outcomes, None) is None
        assert runner.health().undelivered == 0
        group.cancel_scope.cancel()


async def test_a_cancelled_reader_loses_nothing(cluster: Cluster):
    async with running(cluster) as runner:
        outcomes = runner.map([workload(0)])
        with anyio.move_on_after(0.5):
            await anext(outcomes)
        ((_, name),) = cluster.pods
        cluster.play(name)
        assert (await anext(outcomes)).succeeded


async def test_workloads_that_fail_to_come_lose_none_that_came(cluster: Cluster):
    def workloads() -> Iterator[Workload]:
        yield workload(0)
        raise ZeroDivisionError

    async with running(cluster) as runner, anyio.create_task_group() as group:
        group.start_soon(play_whatever_comes, cluster)
        outcomes = runner.map(workloads())
        with pytest.raises(ZeroDivisionError):
            await anext(outcomes)
        assert (await anext(outcomes)).succeeded
        group.cancel_scope.cancel()


async def test_a_full_queue_is_waited_for(cluster: Cluster):
    """Other submissions wait there: those that are under way give their outcomes meanwhile."""
    async with running(cluster, submit_queue_size=1, max_active_pods=1) as runner:
        async with anyio.create_task_group() as group:
            group.start_soon(play_whatever_comes, cluster)
            outcomes = [outcome async for outcome in runner.map(workload(n) for n in range(6))]
            group.cancel_scope.cancel()
        assert [it.category for it in outcomes] == [Category.SUCCEEDED] * 6


async def test_a_closed_runner_runs_nothing(cluster: Cluster):
    async with running(cluster) as runner:
        await runner.close()
        with pytest.raises(RunnerClosedError):
            await anext(runner.map([workload()]))


@pytest.mark.parametrize(
    ("settings", "concurrency", "size"),
    [
        ({}, None, 1_000),
        ({}, 7, 7),
        ({"max_active_pods": 2_000}, None, 2_000),
        ({"max_undelivered_pods": 100}, None, 50),
        ({"max_undelivered_pods": 1}, 3, 1),
    ],
)
async def test_what_is_not_delivered_never_holds_up_the_first(settings, concurrency, size):
    """Else the first one's next try would wait for outcomes that wait for it."""
    assert window_size(configured(**settings), concurrency) == size
