"""Many logs over few connections: the limit holds, each reader gets a permit, and no line is lost by it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.logs import CallableSink, FileLogSink, FollowLimits, LogCollector, LogStreamLimiter, PodAddress
from tests.support.event_loops import LOOPS, run_in_virtual_time
from tests.unit.logs.test_every_line_once import check, steps
from tests.unit.logs.virtual_node import STEP_S, VirtualNode

TURN_S = 1.0


def kinds(*permits) -> list[bool]:
    return [permit.is_held for permit in permits]


@pytest.mark.anyio
async def test_permits_are_held_up_to_the_limit_and_handed_on_in_order():
    limiter = LogStreamLimiter(5)
    held = [limiter.request(draining=False) for _ in range(4)]
    first, second = limiter.request(draining=False), limiter.request(draining=False)
    assert kinds(*held, first, second) == [True] * 4 + [False] * 2
    assert (limiter.held, limiter.waiting) == (4, 2)
    held[2].release()
    held[2].release()
    assert kinds(first, second) == [True, False]
    first.release()
    assert kinds(second) == [True]


@pytest.mark.anyio
async def test_a_share_is_kept_for_logs_of_ended_containers():
    """G4: a log that delays a deletion does not queue behind one that may be followed for days."""
    limiter = LogStreamLimiter(5)
    for _ in range(9):
        limiter.request(draining=False)
    drain = limiter.request(draining=True)
    assert drain.is_held
    assert limiter.held == 5


@pytest.mark.anyio
async def test_ended_containers_use_spare_permits_and_leave_followers_theirs():
    limiter = LogStreamLimiter(5)
    drains = [limiter.request(draining=True) for _ in range(7)]
    assert kinds(*drains) == [True] * 5 + [False] * 2
    follow = limiter.request(draining=False)
    drains[0].release()
    assert kinds(follow, *drains[5:]) == [True, False, False]


@pytest.mark.anyio
async def test_a_waiting_follower_whose_container_ends_goes_to_the_others_that_drain():
    limiter = LogStreamLimiter(2)
    limiter.request(draining=False)
    waiting = limiter.request(draining=False)
    assert not waiting.is_held
    waiting.promote()
    assert waiting.is_held
    waiting.release()
    waiting.promote()
    assert limiter.held == 1


@pytest.mark.anyio
async def test_as_many_permits_are_recalled_as_readers_wait_the_longest_held_first():
    limiter = LogStreamLimiter(5, turn_s=7)
    held = [limiter.request(draining=False) for _ in range(4)]
    assert all(permit.ends_at == math.inf for permit in held)
    limiter.request(draining=False)
    limiter.request(draining=False)
    assert [permit.ends_at < math.inf for permit in held] == [True, True, False, False]


@pytest.mark.anyio
async def test_a_reader_that_stops_waiting_takes_no_permit():
    limiter = LogStreamLimiter(2)
    held = limiter.request(draining=False)
    with anyio.move_on_after(0):
        async with limiter.drain(), limiter.drain():
            pytest.fail("one connection is held, and one waited for in vain")
    assert (limiter.held, limiter.waiting) == (1, 0)
    held.release()
    assert limiter.held == 0


def test_a_limit_has_room_for_both_kinds():
    with pytest.raises(ValueError, match="at least 2"):
        LogStreamLimiter(1)


# In virtual time, with readers


class Counted:
    """A node that knows how many connections there are to it and its like."""

    def __init__(self, node: VirtualNode, now: list[VirtualNode], most: list[int]) -> None:
        self.node, self.now, self.most = node, now, most

    @asynccontextmanager
    async def stream_log(self, *args, **options) -> AsyncIterator[AsyncIterator[bytes]]:
        self.now.append(self.node)
        self.most[0] = max(self.most[0], len(self.now))
        try:
            async with self.node.stream_log(*args, **options) as batches:
                yield batches
        finally:
            self.now.remove(self.node)


class Pods:
    """Some pods whose logs are collected over few connections."""

    def __init__(self, count: int, limit: int, *, chunk: int = 64, idle_s: float = 5) -> None:
        self.nodes = [VirtualNode(chunk) for _ in range(count)]
        self.limits = FollowLimits(idle_s=idle_s, drain_s=10)
        self.limiter = LogStreamLimiter(limit, turn_s=TURN_S)
        self.now: list[VirtualNode] = []
        self.most = [0]

    def collector(self, number: int, sink) -> LogCollector:
        node = self.nodes[number]
        return LogCollector(
            Counted(node, self.now, self.most),
            PodAddress("default", f"pod-{number}", f"uid-{number}"),
            node,
            containers=["base"],
            sinks=[lambda _: sink],
            limits=self.limits,
            limiter=self.limiter,
            random=Random(number),
        )

    async def end(self) -> None:
        for node in self.nodes:
            node.end()
        await anyio.sleep(STEP_S)
        for node in self.nodes:
            node.report_end()


async def play(limit: int, script, chunk: int, folder: Path) -> tuple[Pods, list[list[str]]]:
    pods = Pods(4, limit, chunk=chunk)
    paths = [folder / f"{number}.log" for number in range(4)]
    async with anyio.create_task_group() as group:
        jobs = [pods.collector(number, FileLogSink(path)) for number, path in enumerate(paths)]
        for job in jobs:
            group.start_soon(job.run)
        for number, step in script:
            await act(pods.nodes[number], step)
        await pods.end()
        with anyio.fail_after(600):
            for job in jobs:
                await job.done.wait()
    assert not any(job.status.errors for job in jobs)
    return pods, [path.read_text().splitlines() for path in paths]  # virtual time knows no threads


async def act(node: VirtualNode, step) -> None:
    match step:
        case ("write", count, one_stamp):
            node.write(count, one_stamp=one_stamp)
        case ("wait", seconds):
            await anyio.sleep(seconds)
        case ("refuse", count):
            node.refusals += count
            node.each_connection("break")
        case ("restart", reported):
            node.restart()
            if reported:
                node.report()
            else:
                node.is_late = True
        case ("kill", _, _):
            pass  # of the scheduler: the neighbour's
        case (("break" | "end" | "hang") as fate,):
            node.each_connection(fate)
        case (name,):
            getattr(node, name)()


def virtually(loop: str, function, *args):
    async def inline(function, *args, **options):
        del options
        await anyio.lowlevel.checkpoint()
        return function(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anyio.to_thread, "run_sync", inline)  # threads know no virtual time
        return run_in_virtual_time(function, *args, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@given(
    script=st.lists(st.tuples(st.integers(0, 3), steps), max_size=40),
    chunk=st.sampled_from([7, 64, 1000]),
    limit=st.sampled_from([2, 3]),
)
def test_sharing_permits_loses_no_line_and_keeps_the_limit(loop, script, chunk, limit):
    """G1, G2, G3: four pods over one or two connections for followers."""
    with tempfile.TemporaryDirectory() as folder:
        pods, contents = virtually(loop, play, limit, script, chunk, Path(folder))
    for number, (node, content) in enumerate(zip(pods.nodes, contents, strict=True)):
        check(node, content, [step for pod, step in script if pod == number])
    assert pods.most[0] <= limit
    assert (pods.limiter.held, pods.limiter.waiting, pods.now) == (0, 0, [])


async def many_writers() -> None:
    pods, got = Pods(12, 3), [[] for _ in range(12)]
    async with anyio.create_task_group() as group:
        for number in range(12):
            sink = CallableSink(partial(list.append, got[number]))
            group.start_soon(pods.collector(number, sink).run)
        for _ in range(60):
            for node in pods.nodes:
                node.tick()
                node.write(2, one_stamp=False)
            await anyio.sleep(0.5)
        seen = [len({batch.data for batch in items}) for items in got]
        await pods.end()
    texts = [[text for batch in items for text in batch.texts()] for items in got]
    assert min(seen) >= 4, "in 30 s, six slices of two followers each: each reader had one"
    assert texts == [node.truth for node in pods.nodes]
    assert pods.most[0] <= 3


@pytest.mark.parametrize("loop", LOOPS)
def test_no_reader_starves_though_all_write_without_end(loop):
    virtually(loop, many_writers)


async def silent_ones() -> None:
    pods, seen = Pods(6, 2, idle_s=100), set()
    async with anyio.create_task_group() as group:
        for number, node in enumerate(pods.nodes):
            node.write(number and 1, one_stamp=False)  # and one that never says anything
            group.start_soon(pods.collector(number, CallableSink(lambda _: None)).run)
        for _ in range(400):
            await anyio.sleep(TURN_S / 20)
            seen |= {id(node) for node in pods.now}
        assert len(seen) == 6
        await pods.end()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_silent_log_is_left_too(loop):
    virtually(loop, silent_ones)


async def slow_sinks_always_busy() -> None:
    pods, seen = Pods(3, 2, chunk=100), set()

    async def slow(_) -> None:
        await anyio.sleep(TURN_S / 7)

    async with anyio.create_task_group() as group:
        for number, node in enumerate(pods.nodes):
            node.write(2000, one_stamp=False)
            group.start_soon(pods.collector(number, CallableSink(slow)).run)
        for _ in range(400):
            await anyio.sleep(TURN_S / 20)
            seen |= {id(node) for node in pods.now}
        assert len(seen) == 3
        group.cancel_scope.cancel()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_log_that_never_waits_for_the_server_is_left_too(loop):
    """Its sink is slow, and not stuck."""
    virtually(loop, slow_sinks_always_busy)


async def quiet_followers_and_one_more() -> None:
    pods, got = Pods(3, 2, idle_s=1000), []
    async with anyio.create_task_group() as group:
        for number in (0, 1):
            group.start_soon(pods.collector(number, CallableSink(lambda _: None)).run)
        await anyio.sleep(20)
        before = anyio.current_time()
        pods.nodes[2].write(1, one_stamp=False)
        pods.nodes[2].end()
        pods.nodes[2].report_end()
        await pods.collector(2, CallableSink(got.append)).run()
        assert anyio.current_time() - before < 1, "no time slice of the others was waited for"
        await pods.end()
    assert [batch.texts() for batch in got] == [["run 0 line 0"]]


@pytest.mark.parametrize("loop", LOOPS)
def test_an_ended_pods_log_is_drained_at_once(loop):
    """G4: its deletion waits for it."""
    virtually(loop, quiet_followers_and_one_more)


async def stuck_sinks_and_one_more() -> None:
    pods, got = Pods(5, 2), []

    async def stuck(_) -> None:
        await anyio.sleep_forever()

    for node in pods.nodes:
        node.write(1, one_stamp=False)
    pods.nodes[1].end()
    pods.nodes[1].report_end()
    pods.nodes[2].end()
    pods.nodes[2].report_end()
    async with anyio.create_task_group() as group:
        for number in (0, 1, 2):
            group.start_soon(pods.collector(number, CallableSink(stuck)).run)
        await anyio.sleep(STEP_S)
        assert pods.limiter.held == 2
        group.start_soon(pods.collector(3, CallableSink(got.append)).run)
        await anyio.sleep(20)
        assert [batch.texts() for batch in got] == [["run 0 line 0"]]
        group.cancel_scope.cancel()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_sink_that_is_stuck_keeps_its_own_pod_only(loop):
    """The connection behind it is closed for others."""
    virtually(loop, stuck_sinks_and_one_more)


async def nobody_waits() -> None:
    pods = Pods(1, 2)
    async with anyio.create_task_group() as group:
        group.start_soon(pods.collector(0, CallableSink(lambda _: None)).run)
        await anyio.sleep(STEP_S)
        (connection,) = pods.nodes[0].connections
        for _ in range(10):
            pods.nodes[0].write(1, one_stamp=False)
            await anyio.sleep(TURN_S)
        assert pods.nodes[0].connections == [connection]
        await pods.end()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_is_kept_while_no_reader_waits_for_it(loop):
    """Below the limit no permit is recalled."""
    virtually(loop, nobody_waits)


async def first_comes_when_all_are_free(flowing: bool) -> None:  # noqa: FBT001
    pods = Pods(6, 5)
    seen: set[int] = set()
    async with anyio.create_task_group() as group:
        for number in range(6):
            take = CallableSink(lambda _, number=number: seen.add(number))
            group.start_soon(pods.collector(number, take).run)
            await anyio.sleep(STEP_S)
        for _ in range(20):
            for node in pods.nodes if flowing else pods.nodes[4:]:
                node.write(1, one_stamp=False)
            await anyio.sleep(TURN_S / 2)
        assert seen >= {4, 5}
        assert pods.most[0] <= 5
        group.cancel_scope.cancel()


@pytest.mark.parametrize("flowing", [True, False])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_reader_that_connected_while_permits_were_spare_leaves_when_recalled(loop, flowing):
    """The first two hold their connections without a task of their own."""
    virtually(loop, first_comes_when_all_are_free, flowing)


async def some_are_stuck_from_the_start() -> None:
    pods = Pods(6, 5)
    got: list[int] = []

    async def stuck(_) -> None:
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        for number, node in enumerate(pods.nodes):
            node.write(1, one_stamp=False)
            sink = CallableSink(stuck if number < 4 else lambda _, number=number: got.append(number))
            group.start_soon(pods.collector(number, sink).run)
            await anyio.sleep(STEP_S)
        await anyio.sleep(10 * TURN_S)
        assert sorted(set(got)) == [4, 5]
        group.cancel_scope.cancel()


@pytest.mark.parametrize("loop", LOOPS)
def test_sinks_that_are_stuck_from_the_start_hold_half_of_the_connections_at_most(loop):
    virtually(loop, some_are_stuck_from_the_start)
