"""Following one container's log to its end."""

from __future__ import annotations

from random import Random

import anyio
import anyio.lowlevel
import pytest
from podrunner.errors import ForbiddenError, NotFoundError, ServerError, TransportError
from podrunner.logs import ContainerFollower, FollowLimits, GapReason, LogCursor
from podrunner.logs.cursor import advance
from tests.support.event_loops import both_in_virtual_time
from tests.unit.logs.conftest import ADDRESS, FakeNode, FakeState, Sink, stamped

pytestmark = pytest.mark.anyio
anyio_backend = both_in_virtual_time

LIMITS = FollowLimits(idle_s=30, drain_s=10)


def follower(
    node: FakeNode, state: FakeState, sink: Sink, *, limits=LIMITS, cursor=None
) -> ContainerFollower:
    async def emit(item, cursor):
        await (sink.gap(item, cursor) if hasattr(item, "reason") else sink.write(item, cursor))

    return ContainerFollower(
        node,
        ADDRESS,
        state,
        emit,
        cursor=cursor or LogCursor("uid-1", "base"),
        limits=limits,
        random=Random(1),
    )


async def test_an_ended_container_is_read_by_one_request(node, state, sink):
    state.end()
    node.write(stamped(1), stamped(2))
    reader = follower(node, state, sink)
    await reader.run()
    assert sink.texts == ["line 1", "line 2"]
    assert [request["follow"] for request in node.requests] == [False]
    assert reader.cursor.complete


async def test_a_last_line_without_an_end_is_read(node, state, sink):
    """It is asked for twice: the first answer might have been ended early."""
    state.end()

    async def script(data):
        yield stamped(1) + b"\n" + stamped(2, b"no end")

    node.scripts = [script, script]
    await follower(node, state, sink).run()
    assert sink.texts == ["line 1", "no end"]
    assert len(node.requests) == 2


@pytest.mark.parametrize("cut", [35, 40, 45, 70])
async def test_an_answer_that_ends_within_a_line_is_no_end(node, state, sink, cut: int):
    """G1: a proxy ended it early, but in good order."""
    state.end()
    node.write(*(stamped(i) for i in range(1, 4)))

    async def ended_early(data):
        yield data[:cut]

    node.scripts = [ended_early]
    await follower(node, state, sink).run()
    assert sink.texts == ["line 1", "line 2", "line 3"]
    assert sink.gaps == []


async def test_answers_that_end_each_time_within_another_line_are_a_gap(node, state, sink):
    state.end()
    node.write(stamped(1), stamped(2, b"a long line of which each answer shows another part"))

    def ended_at(cut: int):
        async def script(data):
            yield data[:cut]

        return script

    node.scripts = [ended_at(45 + n % 30) for n in range(10_000)]
    with anyio.fail_after(15):
        await follower(node, state, sink).run()
    assert sink.texts == ["line 1"]
    assert [gap.reason for gap in sink.gaps] == [GapReason.UNAVAILABLE]


async def test_a_followed_container_is_verified_after_its_end(node, state, sink):
    """G1: a follow that ended in good order proves nothing."""
    node.write(stamped(1))

    async def cut_short(data):
        yield data
        node.write(stamped(2))
        state.end()

    node.scripts = [cut_short]
    await follower(node, state, sink).run()
    assert sink.texts == ["line 1", "line 2"]
    assert [request["follow"] for request in node.requests] == [True, False]
    assert (node.requests[1]["tail_lines"], node.requests[1]["since_time"]) == (256, "1970-01-01T00:00:00Z")


async def test_a_broken_stream_is_resumed_without_loss_or_repeat(node, state, sink):
    """G1: connection loss in the middle of a line; G2: the resumed second holds lines that were seen."""
    node.write(*(stamped(i) for i in range(1, 6)))

    async def broken(data):
        yield data[:70]
        raise TransportError("connection reset")

    async def broken_later(data):
        yield data[:130]
        state.end()
        raise TransportError("connection reset")

    node.scripts = [broken, broken_later]
    await follower(node, state, sink).run()
    assert sink.texts == [f"line {i}" for i in range(1, 6)]
    assert sink.gaps == []


async def test_a_container_that_has_not_started_is_waited_for(node, state, sink):
    state.set()
    node.write(stamped(1))
    async with anyio.create_task_group() as group:
        group.start_soon(follower(node, state, sink).run)
        await anyio.wait_all_tasks_blocked()
        assert node.requests == []
        state.end()
    assert sink.texts == ["line 1"]


async def test_a_pod_that_ends_before_its_container_started_has_no_log(node, state, sink):
    state.set(final=True)
    await follower(node, state, sink).run()
    assert (node.requests, sink.items) == ([], [])


async def test_at_the_end_only_means_no_request_before(node, state, sink):
    node.write(stamped(1))
    async with anyio.create_task_group() as group:
        group.start_soon(follower(node, state, sink, limits=FollowLimits(drain_s=0.05, follow=False)).run)
        await anyio.wait_all_tasks_blocked()
        assert node.requests == []
        state.end()
    assert sink.texts == ["line 1"]


async def test_a_follow_that_hangs_is_ended_by_the_pods_state(node, state, sink):
    """G7: the stream stays open for ever; the watch says that it is over."""
    node.write(stamped(1))

    async def hanging(data):
        yield data
        await anyio.sleep_forever()

    node.scripts = [hanging]
    with anyio.fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(follower(node, state, sink).run)
            await anyio.wait_all_tasks_blocked()
            state.end()
    assert sink.texts == ["line 1"]


async def test_a_silent_connection_is_replaced(node, state, sink):
    """G3: after a rotation the follow gives nothing more, without an error."""
    node.write(stamped(1))

    async def stalled(data):
        yield data
        node.write(stamped(2))
        await anyio.sleep_forever()

    async def later(data):
        yield data
        state.end()

    node.scripts = [stalled, later]
    with anyio.fail_after(5):
        await follower(node, state, sink, limits=FollowLimits(idle_s=0.05, drain_s=0.05)).run()
    assert sink.texts == ["line 1", "line 2"]


async def test_a_slow_sink_is_not_taken_for_a_silent_server(node, state, sink):
    node.write(stamped(1))
    state.end()

    async def slow_write(batch, cursor):
        await anyio.sleep(0.1)
        sink.items.append(batch)

    sink.write = slow_write
    await follower(node, state, sink, limits=FollowLimits(idle_s=0.02, drain_s=0.02)).run()
    assert sink.texts == ["line 1"]
    assert len(node.requests) == 1


async def test_rotation_during_a_break_is_a_gap(node, state, sink):
    """G3: what rotated away between two connections is recorded."""
    node.write(stamped(1), stamped(2))

    async def broken(data):
        yield data
        node.runs[0] = [stamped(8, second=5)]
        state.end()
        raise TransportError("reset")

    node.scripts = [broken]
    await follower(node, state, sink).run()
    assert sink.texts == ["line 1", "line 2", "line 8"]
    assert [gap.reason for gap in sink.gaps] == [GapReason.ROTATED]


async def test_the_previous_run_is_read_before_the_present_one(node, state, sink):
    node.write(stamped(1), stamped(2))

    async def restarted(data):
        yield data[: len(stamped(1)) + 1]
        node.write(stamped(3), run=1)
        state.end(restart=1)

    node.scripts = [restarted]
    await follower(node, state, sink).run()
    assert sink.texts == ["line 1", "line 2", "line 3"]
    assert [request["previous"] for request in node.requests] == [False, True, False]
    assert [item.restart for item in sink.items] == [0, 0, 1]


async def test_runs_that_can_no_longer_be_read_are_a_gap(node, state, sink):
    node.write(stamped(1), run=3)
    state.end(restart=3)
    await follower(node, state, sink).run()
    assert [gap.reason for gap in sink.gaps] == [GapReason.RESTARTED]
    assert sink.texts == ["line 1"]


async def test_a_crash_loop_is_followed_run_by_run(node, state, sink):
    node.write(stamped(1))
    state.set(restart=0, started=True, ended=True)
    async with anyio.create_task_group() as group:
        group.start_soon(follower(node, state, sink).run)
        await anyio.wait_all_tasks_blocked()
        assert sink.texts == ["line 1"]
        node.write(stamped(2), run=1)
        state.end(restart=1)
    assert sink.texts == ["line 1", "line 2"]


async def test_a_refusing_server_is_asked_for_a_bounded_time_only(node, state, sink):
    """G8: the rest is a gap; nothing is raised."""
    state.end()
    node.otherwise = ServerError(status=500, server_message="etcd")
    with anyio.fail_after(5):
        await follower(node, state, sink, limits=FollowLimits(drain_s=0.3)).run()
    assert [gap.reason for gap in sink.gaps] == [GapReason.UNAVAILABLE]
    assert "etcd" in sink.gaps[0].message


async def test_a_server_that_sends_nothing_at_the_end_is_given_up(node, state, sink):
    state.end()

    async def mute(data):
        await anyio.sleep_forever()
        yield data

    node.scripts = [mute] * 20
    with anyio.fail_after(5):
        await follower(node, state, sink, limits=FollowLimits(drain_s=0.02)).run()
    assert [gap.reason for gap in sink.gaps] == [GapReason.UNAVAILABLE]


@pytest.mark.parametrize(("seen_running", "gaps"), [(False, []), (True, [GapReason.UNAVAILABLE])])
async def test_a_container_that_never_began_has_no_gap_in_its_log(node, state, sink, seen_running, gaps):
    """G8: a pod given up for its image's name leaves no log; one that ran and was lost with its node leaves a gap."""
    node.scripts = [NotFoundError(status=404, server_message="no such container")]
    state.set(started=seen_running)
    following = follower(node, state, sink)
    following._view()  # what it saw while the container was up
    state.set(started=True, ended=True, final=True, gone=True, only_ended=True)
    await following.run()
    assert [gap.reason for gap in sink.gaps] == gaps


async def test_no_right_to_read_logs_ends_at_once(node, state, sink):
    node.scripts = [ForbiddenError(status=403, server_message="pods/log is forbidden")]
    async with anyio.create_task_group() as group:
        group.start_soon(follower(node, state, sink).run)
        await anyio.wait_all_tasks_blocked()
        assert len(node.requests) == 1
        state.end()
    assert [gap.reason for gap in sink.gaps] == [GapReason.UNAVAILABLE]


async def test_a_restarting_kubelet_is_not_taken_for_a_lost_pod(node, state, sink):
    """G1: a kubelet that has just come up answers 404 for a moment."""
    state.end()
    node.write(stamped(1))
    node.scripts = [NotFoundError(status=404)]
    await follower(node, state, sink, limits=FollowLimits(drain_s=5)).run()
    assert (sink.texts, sink.gaps) == (["line 1"], [])


async def test_a_pod_that_is_gone_ends_at_once_with_a_gap(node, state, sink):
    state.set(started=True, ended=True, final=True, gone=True)
    node.scripts = [NotFoundError(status=404)]
    await follower(node, state, sink, limits=FollowLimits(drain_s=60)).run()
    assert [gap.reason for gap in sink.gaps] == [GapReason.UNAVAILABLE]


async def test_a_complete_cursor_needs_no_request(node, state, sink):
    state.end()
    await follower(node, state, sink, cursor=LogCursor("uid-1", "base", complete=True)).run()
    assert node.requests == []


async def test_rotation_just_before_the_end_is_a_gap(node, state, sink):
    """G3: the line where the reader stood is gone, and nothing came after it."""
    node.write(stamped(1))

    async def broken(data):
        yield data
        node.runs[0] = []
        state.end()
        raise TransportError("reset")

    node.scripts = [broken]
    await follower(node, state, sink).run()
    assert [(gap.reason, gap.before) for gap in sink.gaps] == [(GapReason.ROTATED, None)]


async def test_the_last_run_but_one_is_read_though_several_passed(node, state, sink):
    node.write(stamped(1), stamped(2))

    async def restarted(data):
        yield data[: len(stamped(1)) + 1]
        node.write(stamped(3, second=1), run=1)
        node.write(stamped(4, second=2), run=2)
        state.end(restart=2)

    node.scripts = [restarted]
    await follower(node, state, sink).run()
    assert sink.texts == ["line 1", "line 3", "line 4"]
    assert [gap.reason for gap in sink.gaps] == [GapReason.RESTARTED]


async def test_a_run_that_the_watch_has_not_reported_is_not_taken_for_the_one_before(node, state, sink):
    """The node restarts the container; the log that it then shows is not what the reader asked for."""
    node.write(stamped(1), stamped(2))

    async def cut(data):
        yield data[: len(stamped(1)) + 1]
        node.write(stamped(3, second=1), run=1)
        raise TransportError("reset")

    async def of_the_next_run(data):
        state.end(restart=1)
        yield data

    node.scripts = [cut, of_the_next_run]
    await follower(node, state, sink).run()
    assert sink.texts == ["line 1", "line 2", "line 3"]
    assert sink.gaps == []


async def test_a_request_that_is_never_answered_is_given_up(node, state, sink):
    node.write(stamped(1))
    state.end()
    node.never_open = 1
    with anyio.fail_after(15):
        await follower(node, state, sink).run()
    assert sink.texts == ["line 1"]


@pytest.mark.parametrize("steps", range(25))
async def test_reading_can_be_cancelled_at_any_step(node, state, sink, steps):
    """While it waits for a permit, opens, reads, or writes."""

    async def endless(data):
        while True:
            yield data
            await anyio.lowlevel.checkpoint()

    node.write(stamped(1))
    node.otherwise = endless
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(follower(node, state, sink).run)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()


async def test_a_takers_own_error_ends_the_reading_as_it_is(node, state, sink):
    """It is no failure of the connection, and comes in no group."""
    node.write(stamped(1))
    state.end()

    async def broken(batch, cursor):
        raise ZeroDivisionError

    sink.write = broken
    with pytest.raises(ZeroDivisionError):
        await follower(node, state, sink).run()


REMOVED = b"unable to retrieve container logs for containerd://e788ff6eb312b2594610893b7264098144"


async def removed(data):
    """The kubelet has no such container any more; it has answered 200 already."""
    del data
    yield REMOVED


@pytest.mark.parametrize("read", [False, True])
async def test_the_kubelets_own_words_are_a_gap(node, state, sink, *, read: bool):
    """G11: for a reader that read a line before, and for an adopter that comes when the container is removed."""
    state.end()
    node.write(stamped(1))
    node.otherwise = removed
    begin = advance(LogCursor("uid-1", "base"), stamped(1) + b"\n") if read else None
    reader = follower(node, state, sink, cursor=begin)
    await reader.run()
    assert sink.texts == []
    assert [(gap.reason, gap.message) for gap in sink.gaps] == [(GapReason.UNAVAILABLE, REMOVED.decode())]
    assert sink.gaps[0].after == (stamped(1).split()[0].decode() if read else None)
    assert reader.cursor.complete


async def test_a_kubelet_that_recovers_leaves_no_gap(node, state, sink):
    """G11: it had no connection to the container runtime when it was asked first."""
    state.end()
    node.write(stamped(1), stamped(2))

    async def no_runtime(data):
        yield data[:-10].rpartition(b"\n")[0] + b"\n"
        yield b"rpc error: code = Unavailable desc = connection refused\n"

    node.scripts = [no_runtime, no_runtime]
    await follower(node, state, sink).run()
    assert (sink.texts, sink.gaps) == (["line 1", "line 2"], [])


async def test_a_container_that_is_removed_while_it_is_followed_leaves_its_lines_and_a_gap(node, state, sink):
    """G11: a finalizer holds the pod, and its deletion removed the container."""
    node.write(stamped(1))

    async def followed(data):
        yield data
        state.end()
        yield b"rpc error: code = NotFound desc = an error occurred when try to find container"

    node.scripts = [followed]
    node.otherwise = removed
    await follower(node, state, sink).run()
    assert sink.texts == ["line 1"]
    assert [(gap.reason, gap.message) for gap in sink.gaps] == [(GapReason.UNAVAILABLE, REMOVED.decode())]


async def test_a_container_that_never_began_has_no_log_that_could_be_missing(node, state, sink):
    """G11: the kubelet's words about it are no gap either."""
    state.set(started=True, ended=True, final=True, only_ended=True)
    node.otherwise = removed
    await follower(node, state, sink).run()
    assert sink.items == []
