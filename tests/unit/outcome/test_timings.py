"""Timings as datetimes, with durations."""

from __future__ import annotations

import datetime as dt

from podrunner.outcome import Timings

TIMINGS = Timings(
    created="2026-01-02T03:04:05Z",
    scheduled="2026-01-02T03:04:06Z",
    started="2026-01-02T03:04:10Z",
    finished="2026-01-02T04:04:10Z",
)


def test_times_are_datetimes_with_a_zone():
    assert TIMINGS.created_at == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert TIMINGS.scheduled_at == dt.datetime(2026, 1, 2, 3, 4, 6, tzinfo=dt.UTC)
    assert TIMINGS.started_at == dt.datetime(2026, 1, 2, 3, 4, 10, tzinfo=dt.UTC)
    assert TIMINGS.finished_at == dt.datetime(2026, 1, 2, 4, 4, 10, tzinfo=dt.UTC)
    assert TIMINGS.finished_at - TIMINGS.started_at == dt.timedelta(seconds=TIMINGS.run_s)


def test_what_is_not_known_or_no_time_is_none():
    assert Timings().started_at is None
    assert Timings(started="yesterday").started_at is None
    assert Timings(started="2026-01-02T03:04:05").started_at is None  # of no zone
