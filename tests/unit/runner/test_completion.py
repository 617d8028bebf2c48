"""``as_completed``: pods and runs in the order of their ends, each once, and what counts as delivered."""

from __future__ import annotations

import re

import anyio
import pytest
from podrunner.errors import NotDoneError, RunnerClosedError, StaleError
from podrunner.runner import AsyncPod, AsyncPodRunner, RetryPolicy
from tests.unit.runner.harness import Cluster, configured, running, until, workload

pytestmark = pytest.mark.anyio


async def launched(runner: AsyncPodRunner, count: int) -> list[AsyncPod]:
    return list(await runner.launch_many(workload(number) for number in range(count)))


async def test_pods_come_in_the_order_of_their_ends(cluster: Cluster):
    """One that is over already comes first; one that is handed in twice comes once."""
    async with running(cluster) as runner:
        first, second, third = await launched(runner, 3)
        cluster.play(third.name)
        await until(lambda: third.done)
        ended = runner.as_completed([first, second, first, third])
        assert await anext(ended) == third
        cluster.play(second.name)
        assert await anext(ended) == second
        cluster.play(first.name)
        assert [pod async for pod in ended] == [first]


async def test_runs_come_when_their_last_pod_is_over(cluster: Cluster):
    async with running(cluster) as runner:
        again = RetryPolicy(attempts=2, wait=0.01, retry_if=lambda _: True)
        slow, quick = runner.run(workload(1), retry=again), runner.run(workload(2))
        await until(lambda: slow.pod and slow.pod.uid and quick.pod and quick.pod.uid)
        cluster.play(slow.pods[0].name, exit_code=1)
        cluster.play(quick.pods[0].name)
        ended = runner.as_completed([slow, quick])
        assert await anext(ended) == quick
        await until(lambda: len(slow.pods) == 2 and slow.pods[1].uid)
        cluster.play(slow.pods[1].name)
        assert await anext(ended) == slow
        assert slow.result().succeeded


async def test_an_outcome_is_delivered_when_its_reader_comes_back(cluster: Cluster):
    """The rule of events: not when it is handed out."""
    async with running(cluster) as runner:
        await launched(runner, 2)
        cluster.play_all()
        await runner.wait_all(20)
        ended = runner.as_completed(runner.pods())
        await anext(ended)
        await anyio.sleep(1)
        assert runner.health().undelivered == 2
        await anext(ended)
        assert runner.health().undelivered == 1
        assert await anext(ended, None) is None
        assert runner.health().undelivered == 0


async def test_a_pod_that_was_left_alone_is_given_too(cluster: Cluster):
    """Its result says why there is none; as a future that failed."""
    async with running(cluster) as runner:
        (pod,) = await launched(runner, 1)
        ended = runner.as_completed([pod])
        await runner.close("detach")
        assert await anext(ended) == pod
        with pytest.raises(RunnerClosedError, match="left pod"):
            pod.result()


async def test_after_the_time_limit_it_says_which_are_not_over(cluster: Cluster):
    """What was over by then is given all the same."""
    async with running(cluster) as runner:
        pods = await launched(runner, 6)
        cluster.play(pods[0].name)
        seen = []
        with pytest.raises(TimeoutError) as raised:  # noqa: PT012  # the way out
            async for pod in runner.as_completed(pods, timeout_s=0.5):
                seen.append(pod)  # noqa: PERF401  # it ends by an error
        assert seen == pods[:1]
        assert re.match(r"5 of 6 were not over after 0\.5 s: .*; and 2 more$", str(raised.value))
        assert f"pod default/{pods[1].name} has no outcome yet: it is Pending" in str(raised.value)
        with pytest.raises(NotDoneError):
            pods[1].result()


async def test_the_time_limit_counts_from_the_call(cluster: Cluster):
    async with running(cluster) as runner:
        first, second = await launched(runner, 2)
        ended = runner.as_completed([first, second], timeout_s=0.2)
        await anyio.sleep(0.3)
        cluster.play(first.name)
        await until(lambda: first.done)
        assert await anext(ended) == first
        with anyio.fail_after(5), pytest.raises(TimeoutError):
            await anext(ended)


async def test_with_an_interrupted_watch_it_says_that_nothing_is_known(cluster: Cluster):
    async with running(cluster, watch={"stale_after_s": 5}) as runner:
        pods = await launched(runner, 1)
        cluster.fail("GET", part="/pods", times=1_000, status=503)
        cluster.break_watches()
        with pytest.raises(StaleError):
            await anext(runner.as_completed(pods, timeout_s=30))


async def test_of_no_pods_there_is_no_end(cluster: Cluster):
    async with running(cluster) as runner:
        assert [pod async for pod in runner.as_completed([])] == []


async def test_a_runner_that_was_never_open_says_so():
    with pytest.raises(RunnerClosedError):
        AsyncPodRunner(configured()).as_completed([])
