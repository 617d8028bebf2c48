"""Lines of a container as records of Python's logging."""

from __future__ import annotations

import logging

import pytest
from podrunner.logs import GapReason, LogCursor, LogGap, LoggingSink
from podrunner.logs.record import LogBatch
from tests.unit.logs.conftest import stamped

pytestmark = pytest.mark.anyio

FRESH = LogCursor("uid-1", "base")
BATCH = LogBatch("base", 2, stamped(1, b"100 % done") + b"\n" + stamped(2) + b"\n")


async def fed(level: int) -> None:
    sink = LoggingSink(logging.getLogger("pods"), level=level)
    assert await sink.open(uid="uid-1", container="base") is None
    await sink.write(BATCH, FRESH)
    await sink.gap(LogGap("base", GapReason.ROTATED, after="then", restart=2), FRESH)
    await sink.close(FRESH)


async def test_each_line_is_a_record_with_the_nodes_time(caplog):
    """G9: the container's own time is kept."""
    caplog.set_level(logging.INFO, logger="pods")
    await fed(logging.INFO)
    lines = caplog.records[:2]
    assert [record.getMessage() for record in lines] == ["100 % done", "line 2"]
    assert [(record.container, record.restart) for record in lines] == [("base", 2)] * 2
    assert lines[0].timestamp == "2024-05-01T10:20:00.000000001Z"


async def test_a_gap_is_a_warning(caplog):
    await fed(logging.INFO)
    assert caplog.records[-1].levelno == logging.WARNING
    assert "Log gap" in caplog.records[-1].getMessage()


async def test_a_level_that_is_off_costs_nothing(caplog):
    caplog.set_level(logging.INFO, logger="pods")
    await fed(logging.DEBUG)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
