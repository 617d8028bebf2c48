"""Connections that carry little: a reader comes on all the same, whatever the time stamps are."""

from __future__ import annotations

from random import Random

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.logs import ContainerFollower, FollowLimits, GapReason, LogBatch, LogCursor, LogGap, PodAddress
from tests.support.event_loops import LOOPS, run_in_virtual_time
from tests.unit.logs.virtual_node import VirtualNode, text_of

CHUNK = 4096


def node_with(lines: list[bytes], cut_bytes: int) -> VirtualNode:
    """A node whose container has written the lines and ended; each connection breaks after so many bytes."""
    node = VirtualNode(CHUNK)
    node.run.lines = lines
    node.end()
    node.report_end()
    node.cut = lambda: cut_bytes
    return node


def dense(count: int, seconds: int) -> list[bytes]:
    """So many lines, evenly spread over some seconds."""
    return [
        b"2024-05-01T10:%02d:%02d.%09dZ line %d of a dense log, with some text"
        % (*divmod(at * seconds // count, 60), at * seconds * 1_000_000_000 // count % 1_000_000_000, at)
        for at in range(count)
    ]


async def read(node: VirtualNode, cursor: LogCursor) -> list[LogBatch | LogGap]:
    items: list[LogBatch | LogGap] = []

    async def emit(item: LogBatch | LogGap, _: LogCursor) -> None:
        items.append(item)

    await ContainerFollower(
        node,
        PodAddress("default", "pod-1", "uid-1"),
        node,
        emit,
        cursor=cursor,
        limits=FollowLimits(idle_s=5, drain_s=10),
        random=Random(1),
    ).run()
    return items


def all_read(node: VirtualNode, loop: str) -> tuple[list[str], list[LogGap]]:
    items = run_in_virtual_time(read, node, LogCursor("uid-1", "base"), loop=loop)
    texts = [text for item in items if isinstance(item, LogBatch) for text in item.texts()]
    return texts, [item for item in items if isinstance(item, LogGap)]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("count", "seconds"), [(100_000, 10), (20_000, 1)])
def test_a_dense_log_is_read_over_connections_that_carry_20_kb(loop, count, seconds):
    """G12: 100,000 lines in 10 s; what sinceTime gives is more than a connection carries."""
    node = node_with(dense(count, seconds), 20_000)
    texts, gaps = all_read(node, loop)
    assert gaps == []
    assert texts == [text_of(line) for line in node.run.lines]
    size = sum(map(len, node.run.lines)) + count
    assert node.sent_bytes < 1.5 * size
    assert node.requests < 2 * size / 20_000


steps = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 40)),
    st.tuples(st.just("write_equal"), st.integers(1, 5)),
    st.tuples(st.just("write_late"), st.integers(1, 5)),
    st.tuples(st.just("set_back"), st.sampled_from([1, 4, 30])),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 1.0, 7.0])),
    st.tuples(st.sampled_from(["tick", "tick", "rotate"])),
)
LONGEST_LINE = 60


async def play(node: VirtualNode, script: list[tuple[object, ...]]) -> list[LogBatch | LogGap]:
    items: list[LogBatch | LogGap] = []

    async def follow() -> None:
        items.extend(await read(node, LogCursor("uid-1", "base")))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        for step in script:
            match step:
                case ("write", count):
                    node.write(count, one_stamp=False)
                case ("write_equal", count):
                    node.write(count, one_stamp=True)
                case ("wait", seconds):
                    await anyio.sleep(seconds)
                case (name, *rest):
                    getattr(node, name)(*rest)
        node.end()
        await anyio.sleep(1)
        node.report_end()
    return items


@pytest.mark.parametrize("loop", LOOPS)
@given(
    script=st.lists(steps, max_size=20),
    cuts=st.lists(st.integers(3 * LONGEST_LINE, 3000), min_size=1, max_size=5),
    chunk=st.sampled_from([7, 64, 1000]),
)
def test_each_line_comes_once_over_connections_that_are_cut_anywhere(loop, script, cuts, chunk):
    """G12: two streams, equal stamps, a clock that is set back by any span; it ends, and soon."""
    node = VirtualNode(chunk)
    random = Random(len(script))
    node.cut = lambda: random.choice(cuts)
    items = run_in_virtual_time(play, node, script, loop=loop)
    lines = [text for item in items if isinstance(item, LogBatch) for text in item.texts()]
    at = {text: index for index, text in enumerate(node.truth)}
    order = [at[line] for line in lines]
    assert order == sorted(set(order)), "a line twice, or out of order"
    gaps = [item for item in items if isinstance(item, LogGap)]
    if ("rotate",) not in script:
        assert (lines, gaps) == (node.truth, [])
    size = sum(len(line) + 1 for line in node.run.lines)
    assert node.requests < 20 + 30 * (1 + size / (min(cuts) - LONGEST_LINE))
    assert all(is_told(at[missing], items, at, node) for missing in {*node.truth} - {*lines})


def is_told(missing: int, items: list[LogBatch | LogGap], at: dict[str, int], node: VirtualNode) -> bool:
    """Whether a gap stands in place of the line, or it rotated away before anything was read."""
    last = -1
    gap = False
    for item in items:
        if isinstance(item, LogGap):
            gap = True
            continue
        for text in item.texts():
            if at[text] > missing:
                return gap or (last < 0 and missing < node.run.kept_from)
            last, gap = at[text], False
    return gap or (last < 0 and missing < node.run.kept_from)


@pytest.mark.parametrize("loop", LOOPS)
def test_connections_that_do_not_carry_a_line_end_with_a_gap(loop):
    """G12: nothing comes on then, and the reader does not ask for ever."""
    node = node_with(dense(100, 1), 30)
    texts, gaps = all_read(node, loop)
    assert texts == []
    assert [gap.reason for gap in gaps] == [GapReason.UNAVAILABLE]
    assert node.requests < 20


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("lines", [1, 2])
def test_connections_that_carry_few_lines_come_to_an_end(loop, lines):
    """G12: with one line and the beginning of another no new one ever comes; with two it does."""
    log = dense(300, 1)
    node = node_with(log, lines * (len(log[0]) + 1) + 10)
    texts, gaps = all_read(node, loop)
    assert texts == [text_of(line) for line in log[: len(texts)]]
    assert [gap.reason for gap in gaps] == ([GapReason.UNAVAILABLE] if lines == 1 else [])
    assert len(texts) == (1 if lines == 1 else 300)
    assert node.requests < 700
