"""Trouble of a sink, or of its disk, stays with that sink, and the lines that it lost are a gap in it."""

from __future__ import annotations

import asyncio
import errno
import os
import threading

import anyio
import pytest
from podrunner.errors import LogError
from podrunner.logs import CallableSink, FileLogSink, FollowLimits, GapReason, LogCollector, LogCursor
from podrunner.logs.cursor import advance
from podrunner.logs.record import LogBatch
from tests.support.waiting import until
from tests.unit.logs.conftest import ADDRESS, FakeNode, FakeState, NoWaiting, Sink, stamped

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("_time_to_close")]

SOON_S = 0.05  # where the drain time is to be over


def collector(node: FakeNode, state: FakeState, *sinks, drain_s: float = 20, **options) -> LogCollector:
    return LogCollector(
        node,
        ADDRESS,
        state,
        containers=("base",),
        sinks=[lambda _, sink=sink: sink for sink in sinks],
        limits=FollowLimits(drain_s=drain_s),
        random=NoWaiting(),
        **options,
    )


class Failing(Sink):
    """Fails so often, in one of its methods, before it works."""

    def __init__(self, error: BaseException, *, times: float, method: str = "write") -> None:
        super().__init__()
        self.error, self.times, self.method = error, times, method

    def _fail(self, method: str) -> None:
        if method == self.method and self.times > 0:
            self.times -= 1
            raise self.error

    async def open(self, *, uid, container):
        self._fail("open")
        return await super().open(uid=uid, container=container)

    async def write(self, batch, cursor):
        self._fail("write")
        await super().write(batch, cursor)

    async def gap(self, gap, cursor):
        self._fail("gap")
        await super().gap(gap, cursor)

    async def close(self, cursor):
        self._fail("close")
        await super().close(cursor)


def passing(number: int = errno.ENOSPC) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("method", ["open", "write", "close"])
@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE]
)
async def test_an_error_that_passes_costs_no_line(node, state, number, method):
    """H8: the same item is given again; the other sinks do not see it twice."""
    node.write(stamped(1), stamped(2))
    state.end()
    sink, other = Failing(passing(number), times=3, method=method), Sink()
    job = collector(node, state, sink, other)
    await job.run()
    assert sink.texts == other.texts == ["line 1", "line 2"]
    assert sink.closed_at is not None
    assert job.status.complete
    assert job.status.gaps == []


async def test_what_a_sink_could_not_take_until_the_drain_time_is_a_gap_in_it(node, state):
    """H8: behind the last line that it took, before the next one; the reader hears of it, and the rest goes on."""
    heard = []

    async def later(data):
        yield stamped(1) + b"\n"
        await until(lambda: sink.texts)
        sink.times = float("inf")
        yield stamped(2) + b"\n"
        await until(lambda: heard)
        yield stamped(3) + b"\n"
        sink.times = 0
        yield stamped(4) + b"\n"

    sink, other = Failing(passing(), times=0), Sink()
    node.scripts = [later]
    state.end()
    job = collector(node, state, sink, other, drain_s=SOON_S, on_trouble=heard.append)
    gaps = []
    sink.method = "write"
    original = sink.gap

    async def gap(gap, cursor):
        if sink.times:
            raise passing()
        gaps.append(len(sink.items))
        await original(gap, cursor)

    sink.gap = gap
    await job.run()
    assert other.texts == [f"line {number}" for number in range(1, 5)]
    assert sink.texts == ["line 1", "line 4"]
    [gap] = sink.gaps
    stamps = [stamped(number).split(b" ")[0].decode() for number in (1, 4)]
    assert (gap.reason, gap.after, gap.before) == (GapReason.UNWRITTEN, *stamps)
    assert gaps == [1], "it stands between the two"
    assert [it.reason for it in job.status.gaps] == [GapReason.UNWRITTEN]
    assert heard == job.status.gaps


async def test_a_gap_at_the_end_is_written_as_soon_as_it_can_be(node, state):
    """H8: no line follows that would bring it."""
    node.write(stamped(1))
    state.end()
    heard, sink = [], Failing(passing(), times=float("inf"))
    job = collector(node, state, sink, drain_s=SOON_S, on_trouble=heard.append)
    blocked = True
    original = sink.gap

    async def gap(gap, cursor):
        if blocked:
            raise passing()
        await original(gap, cursor)

    sink.gap = gap
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await until(lambda: heard)
        assert sink.items == []
        blocked = False
    assert [it.reason for it in sink.gaps] == [GapReason.UNWRITTEN]
    assert sink.closed_at.complete


async def test_a_gap_that_cannot_be_written_holds_up_no_end(node, state):
    """H8: the sink is closed where it stands, so that a successor reads the lines again; the trouble is reported."""
    node.write(stamped(1))
    state.end()
    heard, sink = [], Failing(passing(), times=float("inf"))

    async def gap(gap, cursor):
        raise passing()

    sink.gap = gap
    job = collector(node, state, sink, drain_s=SOON_S, on_trouble=heard.append)
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await until(lambda: heard)
        group.cancel_scope.cancel()
    assert sink.closed_at == LogCursor("uid-1", "base")
    assert "unwritten" in str(heard[-1])
    assert not job.status.complete


async def test_while_the_container_runs_nothing_is_given_up(node, state):
    """H8: the node keeps the log meanwhile."""
    node.write(stamped(1))
    heard, sink = [], Failing(passing(), times=float("inf"))
    job = collector(node, state, sink, drain_s=0.01, on_trouble=heard.append)
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await until(lambda: sink.times == float("inf") and node.requests)
        await anyio.sleep(0.1)
        assert heard == []
        sink.times = 0
        await until(lambda: sink.texts == ["line 1"])
        state.end()
    assert job.status.gaps == []


async def late(sink: FileLogSink, heard: list) -> None:
    """The file cannot be opened before the first trouble was heard of."""
    really = sink.open

    async def refuse(**options):
        if not heard:
            raise passing(errno.EMFILE)
        return await really(**options)

    sink.open = refuse


async def test_a_file_that_could_not_be_opened_gets_its_gap(node, state, tmp_path):
    """H8: also where the file itself could not be made in time."""
    node.scripts = [one_by_one]
    state.end()
    heard: list = []
    sink = FileLogSink(tmp_path / "1.log")
    await late(sink, heard)
    await collector(node, state, sink, drain_s=SOON_S, on_trouble=heard.append).run()
    assert sink.path.read_text() == (
        f"*** Log gap in container base (unwritten), after the start, before {stamped(2).split()[0].decode()}: "
        f"the sink could not take them: {os.strerror(errno.EMFILE)}\nline 2\n"
    )
    assert len(heard) == 1


async def one_by_one(data):
    for number in (1, 2):
        yield stamped(number) + b"\n"


async def test_a_file_that_was_begun_and_is_opened_too_late_gets_no_line_twice(node, state, tmp_path):
    """H8: its reader had to begin without knowing where an earlier one had stopped."""
    path = tmp_path / "1.log"
    node.write(stamped(1))
    job = collector(node, state, FileLogSink(path))
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await until(lambda: path.exists() and path.read_text() == "line 1\n")
        group.cancel_scope.cancel()
    node.scripts = [one_by_one]
    state.end()
    heard: list = []
    sink = FileLogSink(path)
    await late(sink, heard)
    await collector(node, state, sink, drain_s=SOON_S, on_trouble=heard.append).run()
    first, gap = path.read_text().splitlines()
    assert first == "line 1"
    assert gap.startswith("*** Log gap in container base (unwritten)")
    assert "too late" in str(heard)


@pytest.mark.parametrize("method", ["open", "write", "gap", "close"])
@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), passing(errno.EACCES), ExceptionGroup("several", [ValueError()])]
)
async def test_any_other_error_of_a_sink_is_that_sinks_alone(node, state, method, error):
    """H9: whatever it raises, and wherever."""
    await check_alone(node, state, Failing(error, times=1, method=method))


@pytest.mark.parametrize("method", ["open", "write", "gap", "close"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_is_not_the_runners_is_an_error_of_the_sink(
    node, state, method, anyio_backend
):
    """H9: such as of a task of the embedder's that the sink awaits; the log does not end in silence."""
    await check_alone(node, state, Failing(asyncio.CancelledError(), times=1, method=method))


async def check_alone(node: FakeNode, state: FakeState, broken: Failing) -> None:
    node.write(stamped(1))
    state.end(restart=5)
    other = Sink()
    job = collector(node, state, broken, other)
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
    assert other.texts == ["line 1"]
    assert other.closed_at is not None
    assert other.closed_at.complete
    assert len(job.status.errors) == 1


async def test_a_sink_that_remembers_nonsense_is_left_out(node, state):
    """H9: what it returns is no cursor."""
    node.write(stamped(1))
    state.end()
    wrong, other = Sink(start=True), Sink()
    job = collector(node, state, wrong, other)
    await job.run()
    assert other.texts == ["line 1"]
    assert "not a LogCursor" in job.status.errors[0]


async def test_a_sink_that_never_closes_holds_up_no_end(node, state, monkeypatch):
    """H9: the runner ends within a bounded time."""
    monkeypatch.setattr("podrunner.logs.outlet.CLOSE_S", SOON_S)
    state.end()
    hanging, other = Sink(), Sink()

    async def close(cursor):
        await anyio.sleep_forever()

    hanging.close = close
    job = collector(node, state, hanging, other, drain_s=SOON_S)
    await job.run()
    assert other.closed_at is not None
    assert "not closed" in job.status.errors[0]


async def test_a_function_that_blocks_stops_neither_the_loop_nor_other_sinks(node, state):
    """H9: it hangs in a thread of its own, which the end of the collector leaves behind."""
    node.write(stamped(1))
    state.end()
    release, begun = threading.Event(), threading.Event()

    def hang(item):
        begun.set()
        release.wait(30)

    got = []
    stuck = [collector(node, state, CallableSink(hang)) for _ in range(60)]  # more than threads are shared
    try:
        async with anyio.create_task_group() as group:
            for job in stuck:
                group.start_soon(job.run)
            await until(begun.is_set)
            await collector(node, state, CallableSink(got.append)).run()
            assert [item.texts() for item in got] == [["line 1"]]
            group.cancel_scope.cancel()
    finally:
        release.set()


async def test_a_function_in_a_thread_gets_nothing_of_a_pod_that_was_lost():
    """H4: the right to write is asked in the thread too, which a process that was stopped may run first."""
    got = []
    sink = CallableSink(got.append)
    batch, cursor = LogBatch("base", 0, stamped(1) + b"\n"), LogCursor("uid-1", "base")
    await sink.write(batch, cursor)
    sink.may_write = lambda: False
    with pytest.raises(LogError, match="another runner's"):
        await sink.write(batch, cursor)
    assert got == [batch]


async def test_of_two_files_none_has_a_line_twice_if_one_was_held_up_when_the_runner_ended(
    node, state, tmp_path
):
    """H8, G1: a successor goes on where the first one stands; the other had the line already."""

    class Full(FileLogSink):
        async def write(self, batch, cursor):
            if b"line 2" in batch.data:
                raise passing()
            await super().write(batch, cursor)

    async def quiet(data):
        yield stamped(1) + b"\n"
        await until(lambda: (tmp_path / "first.log").read_bytes() == b"line 1\n")
        yield stamped(2) + b"\n"
        await anyio.sleep_forever()

    node.write(stamped(1), stamped(2))
    node.scripts = [quiet]
    paths = [tmp_path / f"{name}.log" for name in ("first", "second")]
    async with anyio.create_task_group() as group:
        group.start_soon(
            collector(node, state, *(Full(path) for path in paths[:1]), FileLogSink(paths[1])).run
        )
        await until(lambda: paths[1].exists() and b"line 2" in paths[1].read_bytes())
        group.cancel_scope.cancel()
    state.end()
    await collector(node, state, *map(FileLogSink, paths)).run()
    assert [path.read_text() for path in paths] == ["line 1\nline 2\n"] * 2


@pytest.mark.parametrize("behind", [0, 1])
@pytest.mark.parametrize("lines", [1, 2, 3])
async def test_of_two_files_none_misses_or_repeats_a_line_if_their_runner_was_killed(
    node, state, tmp_path, behind, lines
):
    """G1: each saves its cursor when it is due for it, so that they remember different lines."""
    paths = [tmp_path / f"{name}.log" for name in ("first", "second")]
    for number, path in enumerate(paths):
        sink = FileLogSink(path)
        await sink.open(uid=ADDRESS.uid, container="base")
        cursor = LogCursor(ADDRESS.uid, "base")
        for line in range(1, lines + 1 + (number != behind)):
            data = stamped(line) + b"\n"
            cursor = advance(cursor, data)
            await sink.write(LogBatch("base", 0, data), cursor)
        await sink.close(cursor)
    node.write(*map(stamped, range(1, 7)))
    state.end()
    job = collector(node, state, *map(FileLogSink, paths))
    await job.run()
    whole = "".join(f"line {number}\n" for number in range(1, 7))
    assert [path.read_text() for path in paths] == [whole] * 2
    assert job.status.complete


async def test_a_clock_that_was_set_back_does_not_say_which_file_is_behind(node, state, tmp_path):
    """G12: the later line has the earlier stamp, and the lines say which is later."""
    lines = [stamped(number, second=second) for number, second in ((1, 30), (2, 20), (3, 25), (4, 26))]
    paths = [tmp_path / f"{name}.log" for name in ("first", "second")]
    for path, last in zip(paths, (3, 2), strict=True):
        sink = FileLogSink(path)
        await sink.open(uid=ADDRESS.uid, container="base")
        cursor = LogCursor(ADDRESS.uid, "base")
        for line in lines[:last]:
            cursor = advance(cursor, line + b"\n")
            await sink.write(LogBatch("base", 0, line + b"\n"), cursor)
        await sink.close(cursor)
    node.write(*lines)
    state.end()
    await collector(node, state, *map(FileLogSink, paths)).run()
    assert [path.read_text() for path in paths] == ["line 1\nline 2\nline 3\nline 4\n"] * 2


async def test_a_file_that_is_ahead_takes_what_is_later_though_its_own_line_is_gone(node, state, tmp_path):
    """G3: rotation took the line meanwhile; nothing that is later than it was there before."""
    paths = [tmp_path / f"{name}.log" for name in ("first", "second")]
    for path, last in zip(paths, (1, 3), strict=True):
        sink = FileLogSink(path)
        await sink.open(uid=ADDRESS.uid, container="base")
        data = b"".join(stamped(line) + b"\n" for line in range(1, last + 1))
        cursor = advance(LogCursor(ADDRESS.uid, "base"), data)
        await sink.write(LogBatch("base", 0, data), cursor)
        await sink.close(cursor)
    node.write(*map(stamped, range(5, 7)))
    state.end()
    await collector(node, state, *map(FileLogSink, paths)).run()
    for path in paths:
        assert path.read_text().splitlines()[-2:] == ["line 5", "line 6"]
        assert "*** Log gap in container base (rotated)" in path.read_text()
