"""``get -w`` on a terminal: what is drawn, and that it follows the pods."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import anyio
import pytest
from msgspec.structs import replace
from podrunner.cli.live import LiveTable, frame_of
from podrunner.cli.pod_table import style_of
from podrunner.cli.rows import row_of
from podrunner.cli.watching import PodChange
from rich.console import Console
from tests.support.pods import pod, runs
from tests.support.shown_pods import ALL, BACK_OFF, FAILED, RUNNING, SUCCEEDED, UNSCHEDULABLE, keyed

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 1, 1, 0, 12, tzinfo=UTC)


def _rows(pods, *, gone: bool = False):
    return [(row_of(found, now=NOW), gone) for found in pods]


@pytest.mark.parametrize("width", [60, 80, 200])
async def test_a_frame_fits_the_screen(width) -> None:
    frame = frame_of(_rows(ALL), wide=False, width=width, height=24, note="x" * 300)
    assert max(map(len, frame.lines)) <= width
    assert len(frame.lines) == len(frame.styles) == len(ALL) + 2


async def test_of_too_many_pods_the_last_are_drawn() -> None:
    pods = [keyed(pod("Running", runs("base")), {"run": f"job-{number:03d}"}) for number in range(100)]
    frame = frame_of(_rows(pods), wide=False, width=80, height=12)
    assert len(frame.lines) <= 12
    assert frame.lines[-2].startswith("job-099")
    shown = sum(line.startswith("job-") for line in frame.lines)
    assert frame.lines[-1] == f"({100 - shown} older pods are not shown)"


async def test_pods_that_are_not_even_looked_at_are_counted() -> None:
    frame = frame_of(_rows(ALL), wide=False, width=80, height=24, older=1_000)
    assert frame.lines[-1] == "(1000 older pods are not shown)"
    assert len(frame.lines) == len(ALL) + 2


async def test_what_needs_a_look_is_red() -> None:
    styles = {found.metadata.name: style_of(row_of(found, now=NOW), is_gone=False) for found in ALL}
    assert styles[RUNNING.metadata.name] == "green"
    assert styles[UNSCHEDULABLE.metadata.name] == "yellow"
    assert styles[BACK_OFF.metadata.name] == styles[FAILED.metadata.name] == "red"
    assert styles[SUCCEEDED.metadata.name] == "dim"


async def _drawn(changes, *, width: int = 60) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=20, color_system=None)
    table = LiveTable(wide=False, console=console)

    async def watch() -> None:
        for change in changes:
            await table.show(change)

    with anyio.fail_after(40):
        await table.run(watch)
    return out.getvalue()


def _last_picture(drawn: str) -> list[str]:
    """Return the lines after the cursor was moved up for the last time."""
    lines = drawn.replace("\x1b[?25h", "").rsplit("\x1b[2K", 1)[-1]
    return [line.strip() for line in lines.replace("\r", "").split("\n") if line.strip()]


async def test_a_pod_that_is_gone_stays_in_view() -> None:
    other = replace(RUNNING, metadata=replace(RUNNING.metadata, name="other", uid="u-other"))
    drawn = await _drawn([PodChange((SUCCEEDED, other), is_list=True), PodChange((SUCCEEDED,), is_gone=True)])
    last = "\n".join(_last_picture(drawn))
    assert "hello" in last
    assert "Completed" in last


async def test_a_pod_that_a_later_list_has_not_is_said_to_be_deleted() -> None:
    drawn = await _drawn([PodChange((RUNNING,), is_list=True), PodChange((), is_list=True)])
    assert "(deleted)" in "\n".join(_last_picture(drawn))


async def test_trouble_is_said_below_the_table_until_a_list_comes() -> None:
    trouble = PodChange(trouble="connection refused")
    drawn = await _drawn([PodChange((RUNNING,), is_list=True), trouble])
    assert "not up to date: connection refused" in "\n".join(_last_picture(drawn))
    drawn = await _drawn([PodChange((RUNNING,), is_list=True), trouble, PodChange((RUNNING,), is_list=True)])
    assert "not up to date" not in "\n".join(_last_picture(drawn))


async def test_no_line_wraps_on_a_narrow_terminal() -> None:
    drawn = await _drawn([PodChange(tuple(ALL), is_list=True)], width=60)
    assert len(_last_picture(drawn)) == len(ALL) + 1
