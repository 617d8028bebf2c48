"""While a pod waits, standard error says why: one line that goes again on a terminal, else a line for each cause."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import anyio
import pytest
from podrunner.cli import progress
from podrunner.cli.progress import WaitProgress
from podrunner.runner import RunnerEvent
from podrunner.workload import WorkloadKey
from tests.support.event_loops import both_in_virtual_time

pytestmark = pytest.mark.anyio
anyio_backend = both_in_virtual_time

PULLS = 'Back-off pulling image "app:v9"'


def _event(kind: str, status: str = "", message: str = "") -> RunnerEvent:
    key = WorkloadKey({"run": "x"})
    return RunnerEvent(kind, key, "jobs", "x-1", "u1", status=status, message=message)


@dataclass
class _Runner:
    """Gives events."""

    shown: list[RunnerEvent] = field(default_factory=list)

    def events(self, *, observe: bool):
        assert observe, "the outcome is not delivered to a display"
        return self

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error) -> None:
        return None

    def __aiter__(self):
        return self

    async def __anext__(self) -> RunnerEvent:
        if not self.shown:
            await anyio.sleep_forever()
        return self.shown.pop(0)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def _said(stream: io.StringIO, *events: RunnerEvent, begins: bool = False) -> str:
    shown = WaitProgress(stream)
    runner = _Runner([*events])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shown.watch, runner)
        await anyio.wait_all_tasks_blocked()
        if begins:
            shown.log_begins()
        tasks.cancel_scope.cancel()
    return stream.getvalue()


@pytest.fixture(autouse=True)
def _quiet(monkeypatch) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", 60)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")


WAITS = (
    _event("created"),
    _event("status-changed", "ContainerCreating"),
    _event("status-changed", "ImagePullBackOff", PULLS),
)


async def test_a_pipe_gets_a_line_for_each_cause() -> None:
    assert await _said(io.StringIO(), *WAITS) == f"podrunner: ImagePullBackOff: {PULLS}\n"


async def test_a_terminal_has_one_line_which_goes_when_the_command_ends() -> None:
    said = await _said(_Terminal(), *WAITS)
    assert "\n" not in said
    pieces = [piece for piece in said.split("\r\x1b[2K") if piece]
    assert pieces[0] == "podrunner: waits 0s: created"
    assert pieces[-1].startswith("podrunner: waits 0s: ImagePullBackOff: Back-off pulling")
    assert max(map(len, pieces)) < 60
    assert said.endswith("\r\x1b[2K")


async def test_the_line_goes_when_the_log_begins_and_does_not_come_back() -> None:
    said = await _said(_Terminal(), *WAITS, _event("status-changed", "Running"), begins=True)
    assert said.endswith("\r\x1b[2K")
    assert "Running" not in said


async def test_a_line_that_stays_is_not_written_into_the_other() -> None:
    stream = _Terminal()
    shown = WaitProgress(stream)
    runner = _Runner([*WAITS])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shown.watch, runner)
        await anyio.wait_all_tasks_blocked()
        shown.say("try 1: failed\x1b[2J")
        tasks.cancel_scope.cancel()
    assert "\r\x1b[2Kpodrunner: try 1: failed\\x1b[2J\n" in stream.getvalue()
