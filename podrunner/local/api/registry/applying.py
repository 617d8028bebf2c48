"""Server-side apply: what each field manager applied last, so that what it leaves out next time is removed.

A real server keeps this in ``managedFields``. Here it is kept beside the objects, for maps only, and the managers'
claims are not compared: the last one to apply a field has it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["AppliedFields"]

Json = dict[str, Any]

_REMEMBERED = 2_000
"""Configurations kept; the oldest is forgotten first, and then only no longer removes what it once set."""


class AppliedFields:
    """What was applied, by object and manager."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Json] = {}

    def patch(self, uid: str, manager: str, applied: Json) -> Json:
        """Return the strategic merge patch from this manager's last configuration of an object to the new one."""
        return _with_removals(self._last.get((uid, manager), {}), applied)

    def remember(self, uid: str, manager: str, applied: Json) -> None:
        """Keep a configuration that was stored."""
        self._last.pop((uid, manager), None)
        if len(self._last) >= _REMEMBERED:
            del self._last[next(iter(self._last))]
        self._last[uid, manager] = applied


def _with_removals(last: Json, now: Json) -> Json:
    patch: Json = {key: None for key in last if key not in now}
    for key, value in now.items():
        known = last.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            patch[key] = _with_removals(known, value)
        else:
            patch[key] = value
    return patch
