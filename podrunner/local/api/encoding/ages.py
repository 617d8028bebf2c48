"""Times as kubectl shows them: ``5s``, ``3m12s``, ``2d4h`` (apimachinery's ``duration.HumanDuration``)."""

from __future__ import annotations

from datetime import datetime

__all__ = ["age", "human_duration", "seconds_of"]

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 86400 * 365

_STEPS: tuple[tuple[int, int, str, int, str], ...] = (
    # below this many seconds: whole unit, its letter, rest's unit (0: no rest), its letter
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def human_duration(seconds: float) -> str:
    """Return a duration in at most two units, rounded down."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    for below, unit, letter, small, small_letter in _STEPS:
        if whole < below:
            rest = (whole % unit) // small if small else 0
            return f"{whole // unit}{letter}{f'{rest}{small_letter}' if rest else ''}"
    return f"{whole // _YEAR}y"


def seconds_of(timestamp: str | None) -> float | None:
    """Return the seconds since the epoch of an RFC 3339 text; None if there is none."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else None


def age(timestamp: str | None, now: float) -> str:
    """Return how long ago a timestamp is; ``<unknown>`` if there is none."""
    then = seconds_of(timestamp)
    return "<unknown>" if then is None else human_duration(now - then)
