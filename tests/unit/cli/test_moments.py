"""Durations and times as they are typed and shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from podrunner.cli.moments import duration, seconds_of, since_time
from podrunner.errors import UsageError

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5_400), ("2d", 172_800), ("1d1h1m1s", 90_061)],
)
def test_a_duration_is_read(text, seconds) -> None:
    assert seconds_of(text, option="--timeout") == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5h", "10 m", "m", "400d", "soon", "\u0663"])
def test_what_is_no_duration_is_refused(text) -> None:
    with pytest.raises(UsageError, match="--timeout takes a duration"):
        seconds_of(text, option="--timeout")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", "2026-01-02T11:50:00Z"),
        ("2026-01-02T10:00:00Z", "2026-01-02T10:00:00Z"),
        ("2026-01-02T10:00:00.9+02:00", "2026-01-02T08:00:00Z"),
        ("0005-01-02T10:00:00Z", "0005-01-02T10:00:00Z"),
    ],
)
def test_a_log_begins_at_a_time(text, moment) -> None:
    assert since_time(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["2026-99-02T10:00:00Z", "0001-01-01T00:00:00+23:00", "T"])
def test_what_is_no_time_is_refused(text) -> None:
    with pytest.raises(UsageError, match="--since"):
        since_time(text, now=NOW)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.44, "0.4s"),
        (59.9, "59s"),
        (119, "119s"),
        (125, "2m05s"),
        (7_300, "2h01m"),
        (180_000, "2d2h"),
    ],
)
def test_a_duration_is_short(seconds, shown) -> None:
    assert duration(seconds) == shown
