"""Handles as the futures that Python programmers know: ``await pod``, ``done``, ``result``; ``anext`` of the events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from podrunner.errors import InvalidError, NotDoneError, RunnerClosedError, StaleError
from podrunner.outcome import Category
from podrunner.runner import EventKind
from tests.support.event_loops import machine_stands_still
from tests.support.virtual_asyncio import VirtualTimeLoop
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio

INVALID = b'{"kind":"Status","reason":"Invalid","message":"bad"}'


async def test_awaiting_a_pod_gives_its_outcome_and_takes_it(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name, exit_code=3)
        outcome = await pod
        assert (outcome.category, outcome.exit_code) == (Category.FAILED, 3)
        assert outcome is await pod
        assert runner.health().undelivered == 0


async def test_awaiting_a_run_gives_its_last_outcome(cluster: Cluster):
    async with running(cluster) as runner:
        run = runner.run(workload())
        await until(lambda: run.pod and run.pod.uid)
        assert run.pod is not None
        cluster.play(run.pod.name)
        assert (await run).succeeded
        assert run.done
        assert run.result().succeeded


async def test_the_result_of_what_is_not_over_says_how_it_stands(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        run = runner.run(workload(2))
        assert not pod.done
        with pytest.raises(NotDoneError, match=f"pod default/{pod.name} has no outcome yet: it is Pending"):
            pod.result()
        with pytest.raises(NotDoneError, match=r"run n=2 #1 has no outcome yet: .* not created yet"):
            run.result()
        assert not run.done


async def test_the_result_takes_the_outcome(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await runner.wait_all(20)
        assert pod.done
        assert runner.health().undelivered == 1
        assert pod.result().succeeded
        assert runner.health().undelivered == 0


async def test_a_pod_that_the_server_refused_is_done(cluster: Cluster):
    cluster.fail("POST", part="/pods", status=422, body=INVALID)
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        await until(lambda: pod.done)
        assert pod.result().category is Category.REJECTED_BY_API
        assert isinstance(pod.launch_error, InvalidError)


async def test_a_pod_that_was_left_alone_is_done_and_says_why(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
    assert pod.done
    with pytest.raises(RunnerClosedError, match="left pod"):
        pod.result()


async def test_of_an_interrupted_watch_there_is_no_result(cluster: Cluster):
    """Not "not over yet": that is not known."""
    async with running(cluster, watch={"stale_after_s": 5}) as runner:
        pod = await runner.launch(workload())
        cluster.fail("GET", part="/pods", times=1_000, status=503)
        cluster.break_watches()
        await until(lambda: runner.health().stale)
        with pytest.raises(StaleError):
            pod.result()


async def test_the_next_event(cluster: Cluster):
    """One at a time; asking for the next takes the outcome of the one before."""
    async with running(cluster, delete_pods=False) as runner, runner.events() as events:
        pod = await runner.launch(workload())
        assert (await anext(events)).kind is EventKind.CREATED
        cluster.play(pod.name)
        while (await anext(events)).outcome is None:
            pass
        assert runner.health().undelivered == 1
        runner.submit(workload(2))
        assert (await anext(events)).kind is EventKind.CREATED
        assert runner.health().undelivered == 0


async def test_after_the_last_event_the_iteration_ends(cluster: Cluster):
    async with running(cluster) as runner, runner.events() as events:
        await runner.close("detach")
        assert await anext(events, None) is None
        assert [event async for event in events] == []


class TestWithAsyncio:
    """What asyncio does with awaitables."""

    @pytest.fixture
    def anyio_backend(self) -> Iterator[object]:
        with machine_stands_still():
            yield "asyncio", {"loop_factory": VirtualTimeLoop}

    async def test_pods_are_gathered(self, cluster: Cluster):
        async with running(cluster) as runner:
            pods = await runner.launch_many(workload(number) for number in range(3))
            cluster.play_all()
            assert [outcome.exit_code for outcome in await asyncio.gather(*pods)] == [0, 0, 0]

    async def test_a_pod_is_waited_for_with_a_limit(self, cluster: Cluster):
        """The pod goes on."""
        async with running(cluster) as runner:
            pod = await runner.launch(workload())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pod, 5)
            assert not pod.done
            cluster.play(pod.name)
            assert (await asyncio.wait_for(pod, 5)).succeeded
