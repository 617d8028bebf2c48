"""Collecting a pod's logs into sinks."""

from __future__ import annotations

import errno
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from podrunner.errors import TransportError
from podrunner.logs import CallableSink, FileLogSink, FollowLimits, LogCollector, LogCursor
from tests.support.waiting import until
from tests.unit.logs.conftest import ADDRESS, FakeNode, FakeState, NoWaiting, Sink, stamped

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("_time_to_close")]


def collector(node: FakeNode, state: FakeState, *sinks, containers=("base",), **options) -> LogCollector:
    return LogCollector(
        node,
        ADDRESS,
        state,
        containers=containers,
        sinks=sinks,
        limits=FollowLimits(drain_s=20),  # no test waits for its end
        random=NoWaiting(),
        **options,
    )


async def test_every_sink_gets_every_line(node, state, tmp_path):
    node.write(stamped(1), stamped(2))
    state.end()
    calls: list[object] = []
    sink = Sink()
    path = tmp_path / "dag" / "task" / "1.log"
    job = collector(
        node, state, lambda _: CallableSink(calls.append), lambda _: sink, lambda _: FileLogSink(path)
    )
    await job.run()
    assert path.read_text() == "line 1\nline 2\n"
    assert calls == sink.items
    assert job.status.complete
    assert job.status.bytes_read == len(stamped(1)) * 2 + 2
    assert job.done.is_set()


async def test_an_async_function_is_awaited(node, state):
    node.write(stamped(1))
    state.end()
    got = []

    async def take(item):
        await anyio.lowlevel.checkpoint()
        got.append(item)

    await collector(node, state, lambda _: CallableSink(take)).run()
    assert got[0].texts() == ["line 1"]


async def test_a_failing_sink_is_counted_and_the_others_go_on(node, state, sink):
    """G8: a sink's failure does not affect the pod."""
    node.write(stamped(1))
    state.end()
    heard = []

    def broken(item):
        raise OSError("disk full")

    job = collector(node, state, lambda _: CallableSink(broken), lambda _: sink, on_trouble=heard.append)
    await job.run()
    assert sink.texts == ["line 1"]
    assert "disk full" in job.status.errors[0]
    assert heard == job.status.errors
    assert not job.status.complete


async def test_when_every_sink_failed_reading_ends(node, state):
    """G8: even then nothing is raised."""

    def refuse(container):
        raise OSError("read-only file system")

    state.end()
    job = collector(node, state, refuse)
    await job.run()
    assert len(job.status.errors) >= 1


async def test_a_gap_is_reported(node, state, sink):
    state.end(restart=5)
    heard = []
    job = collector(node, state, lambda _: sink, on_trouble=heard.append)
    await job.run()
    assert heard == sink.gaps == job.status.gaps
    assert job.status.complete


async def test_a_sink_that_cannot_close_is_counted(node, state, sink):
    state.end()

    async def close(cursor):
        raise OSError("gone")

    sink.close = close
    job = collector(node, state, lambda _: sink)
    await job.run()
    assert "gone" in job.status.errors[0]


async def test_containers_are_collected_side_by_side(node, state):
    node.write(stamped(1))
    state.end()
    sinks: dict[str, Sink] = {}
    job = collector(node, state, lambda name: sinks.setdefault(name, Sink()), containers=("base", "proxy"))
    await job.run()
    assert {name: sink.texts for name, sink in sinks.items()} == {"base": ["line 1"], "proxy": ["line 1"]}


async def test_collection_goes_on_where_the_sink_stopped(node, state):
    node.write(stamped(1), stamped(2))
    state.end()
    start = LogCursor("uid-1", "base", stamp=stamped(1).split(b" ")[0].decode(), lines=1)
    sink = Sink(start)
    await collector(node, state, lambda _: sink).run()
    assert sink.texts == ["line 2"]
    assert sink.closed_at is not None
    assert sink.closed_at.complete


async def test_a_collector_that_is_stopped_writes_nothing_more(node, state, tmp_path):
    """The pod is another runner's: the file and its cursor are that one's now."""
    node.write(stamped(1))
    path = tmp_path / "1.log"
    sink = Sink()
    job = collector(node, state, lambda _: sink, lambda _: FileLogSink(path, may_write=job.may_write))
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await until(lambda: sink.texts == ["line 1"])
        cursor = path.with_name(".cursors") / "1.log.cursor"
        cursor.write_text("the successor's")
        job.stop()
        node.write(stamped(2))
    assert path.read_text() == "line 1\n"
    assert cursor.read_text() == "the successor's"
    assert sink.closed_at is not None
    assert job.done.is_set()
    assert job.status.errors == []


async def test_without_the_right_to_write_nothing_is_written(node, state, tmp_path):
    """A runner that came back after its Lease was over has lines in its hands that its successor reads itself."""
    node.write(stamped(1))
    path = tmp_path / "1.log"
    owner = [True]
    got = []

    def take(item):
        got.append(item)
        owner[0] = False
        node.write(stamped(2))

    job = collector(
        node,
        state,
        lambda _: CallableSink(take),
        lambda _: FileLogSink(path, may_write=lambda: owner[0]),
        may_write=lambda: owner[0],
    )
    await job.run()
    assert [item.texts() for item in got] == [["line 1"]]
    assert job.status.errors == []
    assert not job.status.complete


async def test_no_file_is_opened_for_a_pod_of_another_runner(node, state, tmp_path):
    path = tmp_path / "1.log"
    await collector(node, state, lambda _: FileLogSink(path), may_write=lambda: False).run()
    assert not path.exists()


async def test_a_log_that_is_collected_no_more_keeps_nobody_waiting(node, state):
    """What waits for the end of the log goes on when the collector is stopped."""
    job = collector(node, state, lambda _: Sink())
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        group.start_soon(job.drained, "base")
        await until(lambda: node.requests)
        job.stop()


@pytest.mark.parametrize(("is_gone", "is_last"), [(True, False), (False, True), (False, False)])
async def test_a_log_that_nobody_will_read_is_a_gap_when_reading_is_cancelled(
    node, state, sink, *, is_gone: bool, is_last: bool
):
    """G11: the runner closes while the log of a pod is still asked for that is gone, or was reported.

    Of any other a successor reads on.
    """
    node.write(stamped(1))
    refused = anyio.Event()

    @asynccontextmanager
    async def refuse(*address, **options):
        del address, options
        refused.set()
        raise TransportError("the node is gone")
        yield  # a context manager needs one

    job = collector(node, state, lambda _: sink)
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await until(lambda: sink.texts == ["line 1"])
        node.stream_log = refuse
        state.set(started=True, ended=True, final=True, gone=is_gone)
        await refused.wait()
        if is_last:
            job.note_last()
        group.cancel_scope.cancel()
    assert [gap.reason for gap in sink.gaps] == (["unavailable"] if is_gone or is_last else [])


@pytest.mark.parametrize("has_begun", [True, False])
async def test_a_log_that_never_was_is_no_gap_when_reading_is_cancelled(
    node, state, sink, *, has_begun: bool
):
    """G11: nothing is missing of a container that the kubelet gave up before it began."""
    node.otherwise = TransportError("the node is gone")
    state.set(started=True, ended=True, final=True, gone=True, only_ended=not has_begun)
    job = collector(node, state, lambda _: sink)
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await until(lambda: node.requests)
        group.cancel_scope.cancel()
    assert [gap.reason for gap in sink.gaps] == (["unavailable"] if has_begun else [])


@pytest.mark.parametrize("is_last", [True, False])
async def test_a_log_whose_sinks_are_still_opened_when_reading_is_cancelled(
    node, state, sink, tmp_path, *, is_last: bool
):
    """G11: the runner closes right after the log of a pod that was reported was begun; else a successor begins it."""
    opening = anyio.Event()

    async def stuck(**_):
        opening.set()
        sink.open = opened
        await anyio.sleep_forever()

    async def opened(**_):
        return None

    sink.open = stuck
    state.end()
    later = tmp_path / "1.log"
    job = collector(node, state, lambda _: sink, lambda _: FileLogSink(later))
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await opening.wait()
        if is_last:
            job.note_last()
        group.cancel_scope.cancel()
    assert [gap.reason for gap in sink.gaps] == (["unavailable"] if is_last else [])
    assert later.exists() is is_last
    assert job.status.errors == []


async def test_a_log_that_could_not_be_opened_before_reading_is_cancelled_is_reported(node, state, sink):
    """G11: its gap cannot be written then: this is the only word."""
    opening = anyio.Event()

    async def full(**_):
        opening.set()
        if len(job.status.gaps):
            raise OSError("no log server")
        raise OSError(errno.ENOSPC, "no space")

    sink.open = full
    state.end()
    job = collector(node, state, lambda _: sink)
    async with anyio.create_task_group() as group:
        group.start_soon(job.run)
        await opening.wait()
        job.note_last()
        group.cancel_scope.cancel()
    assert [gap.reason for gap in job.status.gaps] == ["unavailable"]
    assert "no log server" in job.status.errors[0]


async def test_a_batch_that_not_all_sinks_have_at_the_end_is_once_in_the_file(node, state, tmp_path):
    """G1: the runner is closed while a slow sink of the embedder's takes a batch; a successor reads on."""
    node.write(stamped(1))
    path = tmp_path / "1.log"
    got: list[list[str]] = []
    hangs = anyio.Event()

    async def take(item):
        if not state.view.final and got:
            hangs.set()
            await anyio.sleep_forever()
        got.append(item.texts())

    def sinks():
        return lambda _: FileLogSink(path), lambda _: CallableSink(take)

    async with anyio.create_task_group() as group:
        group.start_soon(collector(node, state, *sinks()).run)
        await until(lambda: got)
        node.write(stamped(2))
        await hangs.wait()
        group.cancel_scope.cancel()
    state.end()
    await collector(node, state, *sinks()).run()
    assert path.read_text() == "line 1\nline 2\n"
    assert got == [["line 1"], ["line 2"]]
