"""What the log of a container consists of: batches of stamped lines, single lines, and gaps.

A batch keeps the bytes as the server sent them, each line with its time stamp in front, because most
consumers want many lines at once and only some want the stamps. How lines are put together from a stream
belongs to :mod:`podrunner.logs.lines`, where a reader stands in them to :mod:`podrunner.logs.cursor`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

__all__ = ["GapReason", "LogBatch", "LogGap", "LogLine", "split_stamp"]

_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))(?: |$)")
_STAMP_BYTES: Final = re.compile(_STAMP.pattern.encode("ascii"))
# The kubelet writes stamps with nine digits and, on nodes in UTC, a Z: 30 characters and a space
# (RFC3339NanoFixed in its log reader). Any other spelling takes the slow way through the pattern.
_WIDTH: Final = 31
_ZONE: Final = slice(29, 31)


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a container's output.

    Attributes:
        text: The line without its time stamp and line end; bytes that are not UTF-8 became U+FFFD.
        timestamp: When the container wrote it, by its node's clock, RFC 3339 with nanoseconds; "" if the
            server gave none.
        container: Name of the container.
        restart: How often that container had been restarted before.
    """

    text: str
    timestamp: str = ""
    container: str = ""
    restart: int = 0

    def __str__(self) -> str:
        return self.text


class GapReason(StrEnum):
    """Why lines are missing. The values are stable."""

    ROTATED = "rotated"
    """The node's log rotation removed them before they could be read."""
    RESTARTED = "restarted"
    """The container was restarted more than once meanwhile: only the last two runs can be read."""
    UNAVAILABLE = "unavailable"
    """The pod or its node went away, or the server kept refusing, before they could be read."""
    UNWRITTEN = "unwritten"
    """The sink could not take them, such as for want of space, until the drain time was over."""


class LogGap(msgspec.Struct, frozen=True, gc=False):
    """A place where lines are, or may be, missing.

    Attributes:
        container: Name of the container.
        reason: Why.
        after: Time stamp of the last line before the gap; None if nothing had been read.
        before: Time stamp of the first line after it; None if nothing follows.
        message: A detail, such as the server's error; "" if there is none.
        restart: How often the container had been restarted before.
    """

    container: str
    reason: GapReason
    after: str | None = None
    before: str | None = None
    message: str = ""
    restart: int = 0

    def __str__(self) -> str:
        span = f"after {self.after or 'the start'}, before {self.before or 'the end'}"
        more = f": {self.message}" if self.message else ""
        return f"*** Log gap in container {self.container} ({self.reason}), {span}{more}"


class LogBatch(msgspec.Struct, frozen=True, gc=False):
    r"""Whole lines of one container, as they came.

    Attributes:
        container: Name of the container.
        restart: How often that container had been restarted before.
        data: The lines, each with its time stamp in front and a ``\n`` at its end.
    """

    container: str
    restart: int
    data: bytes

    def texts(self, *, timestamps: bool = False) -> list[str]:
        """The lines as text, without line ends; with their time stamps if wanted."""
        lines = _split(self.data.decode("utf-8", "replace"))
        if timestamps:
            return lines
        return [line[_WIDTH:] if line[_ZONE] == "Z " else split_stamp(line)[1] for line in lines]

    def content(self, *, timestamps: bool = False) -> bytes:
        """The lines as the container's own bytes; with their time stamps if wanted."""
        if timestamps:
            return self.data
        lines = self.data.split(b"\n")
        return b"\n".join([line[_WIDTH:] if line[_ZONE] == b"Z " else _unstamped(line) for line in lines])

    def records(self) -> list[LogLine]:
        """The lines as records."""
        return [self._record(line) for line in self.texts(timestamps=True)]

    def _record(self, line: str) -> LogLine:
        stamp, text = split_stamp(line)
        return LogLine(text, stamp, self.container, self.restart)


def split_stamp(line: str) -> tuple[str, str]:
    """Time stamp and text of a line; the stamp is "" where there is none (a message of the runtime)."""
    found = _STAMP.match(line)
    return (found[1], line[found.end() :]) if found else ("", line)


def _unstamped(line: bytes) -> bytes:
    found = _STAMP_BYTES.match(line)
    return line[found.end() :] if found else line


def _split(text: str) -> list[str]:
    # Only "\n" ends a line of a container: splitlines() would also cut at "\r", form feeds and U+2028.
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines
