"""Whatever happens to node, connections and scheduler: the file holds every line once, or a gap in its place."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from random import Random

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from podrunner.logs import FileLogSink, FollowLimits, LogCollector, PodAddress
from podrunner.logs.segments import LogFiles, rotate
from tests.support.event_loops import LOOPS, run_in_virtual_time
from tests.unit.logs.virtual_node import STEP_S, VirtualNode

LIMITS = FollowLimits(idle_s=5, drain_s=10)

steps = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 5), st.booleans()),
    st.tuples(st.just("write_late"), st.integers(1, 3)),
    st.tuples(st.just("set_back"), st.sampled_from([1, 4, 30])),
    st.tuples(st.sampled_from(["tick", "rotate", "break", "end", "hang", "report"])),
    st.tuples(st.just("refuse"), st.integers(1, 3)),
    st.tuples(st.just("restart"), st.booleans()),
    st.tuples(st.just("kill"), st.floats(0, 1), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([STEP_S / 4, STEP_S, 0.5, 1.5, 7.0])),
)


class Scheduler:
    """Runs a collector; may be killed, and started again upon what it left on the disk."""

    def __init__(
        self, node: VirtualNode, path: Path, group: anyio.abc.TaskGroup, *, max_bytes: int | None
    ) -> None:
        self.node, self.path, self.group = node, path, group
        self.max_bytes = max_bytes
        self.start()

    def start(self) -> None:
        self.sink = MortalSink(self.path, max_bytes=self.max_bytes, compress=self.max_bytes == 100)
        self.scope = anyio.CancelScope()
        self.collector = LogCollector(
            self.node,
            PodAddress("default", "pod-1", "uid-1"),
            self.node,
            containers=["base"],
            sinks=[lambda _: self.sink],
            limits=LIMITS,
            random=Random(1),
        )
        self.group.start_soon(self._run, self.collector, self.scope)

    def kill(self, written: float, *, in_a_cut: bool) -> None:
        """No cleaning up; of what was written after the cursor only a part may have reached the disk."""
        self.sink.alive = False
        self.scope.cancel()
        self.sink.lose(written)
        if in_a_cut and self.max_bytes is not None and self.path.exists():
            rotate(self.path)  # and no cursor that shows it

    @staticmethod
    async def _run(collector: LogCollector, scope: anyio.CancelScope) -> None:
        with scope:
            await collector.run()


class MortalSink(FileLogSink):
    """A file sink whose process may die."""

    alive = True

    async def close(self, cursor):
        if self.alive:
            await super().close(cursor)

    def lose(self, written: float) -> None:
        if self.cursor_path.exists() and self.path.exists():
            size, marked = self.path.stat().st_size, json.loads(self.cursor_path.read_bytes())["size"]
            with self.path.open("ab") as file:
                file.truncate(marked + int((size - marked) * written))


async def play(script, chunk: int, path: Path, max_bytes: int | None) -> tuple[VirtualNode, str]:
    node = VirtualNode(chunk)
    async with anyio.create_task_group() as group:
        scheduler = Scheduler(node, path, group, max_bytes=max_bytes)
        for step in script:
            await act(node, scheduler, step)
        node.end()
        await anyio.sleep(STEP_S)
        node.report_end()
        with anyio.fail_after(300):
            await scheduler.collector.done.wait()
    assert not scheduler.collector.status.errors
    return node, all_of(path).decode()


def all_of(path: Path) -> bytes:
    files = LogFiles(path)
    try:
        return b"".join(iter(files.read, b""))
    finally:
        files.close()


async def act(node: VirtualNode, scheduler: Scheduler, step) -> None:
    match step:
        case ("write", count, one_stamp):
            node.write(count, one_stamp=one_stamp)
        case (("write_late" | "set_back") as name, amount):
            getattr(node, name)(amount)
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
        case ("kill", written, in_a_cut):
            scheduler.kill(written, in_a_cut=in_a_cut)
            await anyio.lowlevel.checkpoint()
            scheduler.start()
        case (("break" | "end" | "hang") as fate,):
            node.each_connection(fate)
        case (name,):
            getattr(node, name)()


def played(loop: str, script, chunk: int, max_bytes: int | None) -> tuple[VirtualNode, list[str]]:
    async def inline(function, *args, **options):
        del options
        await anyio.lowlevel.checkpoint()
        return function(*args)

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # Threads know no virtual time.
        patch.setattr(anyio.to_thread, "run_sync", inline)
        node, text = run_in_virtual_time(play, script, chunk, Path(folder) / "1.log", max_bytes, loop=loop)
    return node, text.splitlines()


def is_gap(line: str) -> bool:
    return line.startswith("*** Log gap")


def check(node: VirtualNode, content: list[str], script) -> None:
    at = {text: index for index, text in enumerate(node.truth)}
    order = [at[line] for line in content if not is_gap(line)]
    assert order == sorted(set(order)), "a line twice, or out of order"
    for between, missing, behind in stretches(content, at, len(node.truth)):
        unsaid = () if between else missing
        assert all(first_was_late(node, index, order, behind) for index in unsaid)
    if {"rotate", "restart", "refuse"}.isdisjoint(step[0] for step in script):
        assert not any(is_gap(line) for line in content), "a gap for nothing"


def stretches(content: list[str], at: dict[str, int], total: int):
    """Per pair of neighbouring lines: what stands between them, the missing lines, and what stands behind."""
    last, between = -1, []
    for position, line in enumerate([*content, None]):
        if line is not None and is_gap(line):
            between.append(line)
            continue
        here = total if line is None else at[line]
        yield between, range(last + 1, here), content[position:]
        last, between = here, []


def first_was_late(node: VirtualNode, missing: int, order: list[int], behind: list[str]) -> bool:
    """Nothing of its run was read before it: by the first request it had rotated away, or the next run had begun.

    Of the former there is no trace anywhere; the latter gap can be reported only behind the next run's first lines.
    Nor is there a trace of a run that had two successors by its first request, of which the watch reported only one.
    """
    run, line = next(
        (run, missing - begin)
        for run, begin in reversed(list(zip(node.runs, begins(node), strict=True)))
        if begin <= missing
    )
    nothing_read = not any(missing - line <= index < missing for index in order)
    overtaken = run.number + 2 < len(node.runs) and node.is_late
    return nothing_read and (line < run.kept_from or overtaken or any(map(is_gap, behind)))


def begins(node: VirtualNode) -> list[int]:
    lengths = [len(run.lines) for run in node.runs]
    return [sum(lengths[:at]) for at in range(len(lengths))]


@pytest.mark.parametrize("loop", LOOPS)
@given(
    script=st.lists(steps, max_size=25),
    chunk=st.sampled_from([7, 64, 1000]),
    max_bytes=st.sampled_from([None, 40, 100]),
)
@example([("write", 2, False), ("wait", 0.5), ("kill", 1.0, True), ("wait", 1.5)], 64, 100)
def test_the_files_are_the_output_minus_the_recorded_gaps(loop, script, chunk, max_bytes):
    """G1, G2, G3, G7, G12: for any order of writes, rotations, breaks, hangs, restarts, kills of the scheduler.

    Stamps have no order: there are late lines, equal stamps, and the node's clock is set back.

    In one file, in segments, and in compressed segments; the scheduler may be killed in the middle of a rotation.
    """
    node, content = played(loop, script, chunk, max_bytes)
    check(node, content, script)
