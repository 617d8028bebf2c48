"""What a line of a log may mean besides its text: fields, a level, its pod and container. Pure; parsed only on request.

Each function takes a :class:`~podrunner.logs.LogLine` and never raises for what a container wrote: a line that does not
have the form is a line without it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from podrunner.logs.record import LogLine

__all__ = ["json_fields", "level_of", "prefixed"]

_LEVEL_FIELDS: Final = ("level", "levelname", "severity", "lvl", "log.level")
_LEVELS: Final = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "notice": "info",
    "warn": "warning",
    "warning": "warning",
    "err": "error",
    "error": "error",
    "fatal": "critical",
    "critical": "critical",
    "crit": "critical",
    "panic": "critical",
}
# A level stands in a line's beginning, in capitals: "2024-… ERROR …", "[WARNING] …", "{job.py:12} INFO - …".
_NAMES: Final = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|FATAL|CRITICAL|CRIT|PANIC"
_IN_TEXT: Final = re.compile(rf"(?<![\w-])({_NAMES})(?![\w-])")
_BEGINNING: Final = 100
_KLOG: Final = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d")
_KLOG_LEVELS: Final = {"I": "info", "W": "warning", "E": "error", "F": "critical"}


def json_fields(line: LogLine) -> dict[str, Any] | None:
    """The fields of a line that is one JSON object; None if it is none."""
    text = line.text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def level_of(line: LogLine) -> str | None:
    """How bad a line says it is: ``debug``, ``info``, ``warning``, ``error`` or ``critical``; None if it says nothing.

    Read from a field of a JSON object (``level``, ``levelname``, ``severity``, ``lvl``, ``log.level``), from klog's
    first letter, or from a name in capitals near the line's beginning.
    """
    fields = json_fields(line)
    if fields is not None:
        said = next((fields[name] for name in _LEVEL_FIELDS if name in fields), None)
        return _LEVELS.get(said.lower()) if isinstance(said, str) else None
    if found := _KLOG.match(line.text):
        return _KLOG_LEVELS[found[1]]
    found = _IN_TEXT.search(line.text, 0, _BEGINNING)
    return _LEVELS[found[1].lower()] if found else None


def prefixed(line: LogLine, pod: str, *, timestamp: bool = False) -> str:
    """The line as ``kubectl logs --prefix`` shows it: ``[pod/name/container] text``.

    Args:
        line: The line.
        pod: The pod's name, which lines do not hold.
        timestamp: Whether the node's time stamp stands between them, where there is one.
    """
    stamp = f"{line.timestamp} " if timestamp and line.timestamp else ""
    return f"[pod/{pod}/{line.container}] {stamp}{line.text}"
