"""Durations and times as they are typed: ``90``, ``10m``, ``1h30m``, ``2026-11-28T17:00:00Z``. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from podrunner.errors import UsageError

__all__ = ["duration", "seconds_of", "since_time"]

_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION: Final = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s?)?", re.ASCII)
_LONGEST_S: Final = 366 * 86_400


def seconds_of(text: str, *, option: str) -> int:
    """Return the seconds of a duration such as ``90``, ``90s``, ``10m``, ``1h30m`` or ``2d``.

    Raises:
        UsageError: It is none, or not from one second to 366 days.
    """
    found = _DURATION.fullmatch(text)
    pieces = found.groups() if found else ()
    seconds = sum(int(piece or 0) * size for piece, size in zip(pieces, _UNITS.values(), strict=False))
    if not 1 <= seconds <= _LONGEST_S:
        raise UsageError(
            f"{option} takes a duration up to 366 days such as 90s, 10m, 1h30m or 2d, not {text!r}"
        )
    return seconds


def since_time(text: str, *, now: datetime) -> str:
    """Return the time from which a log is wanted, as Kubernetes takes it: RFC 3339 in whole seconds.

    Args:
        text: A duration before now, or a time in RFC 3339.
        now: The present time.

    Raises:
        UsageError: It is neither.
    """
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC) if "T" in text else None
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        moment = now - timedelta(seconds=seconds_of(text, option="--since"))
    return f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}Z"


def duration(seconds: float) -> str:
    """Return a duration for people: ``0.4s``, ``12s``, ``3m20s``, ``2h05m``, ``3d4h``."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    if whole < 7_200:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 172_800:
        return f"{whole // 3_600}h{whole % 3_600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3_600}h"
