"""Where a reader stands in a container's log, and how it goes on from there after a break. Pure.

The API server can start a log at a time, in whole seconds (``PodLogOptions.sinceTime``; the API server hands
it to the kubelet without its fraction). The cursor therefore names a line more exactly than the server can:
by the nanosecond stamp, and by how many lines had that very stamp. After a reconnect everything up to and
including that line is dropped (:class:`Resumption`).
"""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

import msgspec

from podrunner.logs.kubelet_text import last_stamp, stamp_at
from podrunner.logs.record import GapReason, LogGap

__all__ = ["Admitted", "LogCursor", "Resumption", "advance", "next_run", "since_time", "stamp_ns"]

_SECONDS: Final = 19  # characters of 2024-01-31T10:20:30


class LogCursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last line that was read.

    Attributes:
        uid: UID of the pod.
        container: Name of the container.
        restart: Which run of the container: 0 for the first.
        stamp: Time stamp of the last line read, as the server wrote it; "" if none was.
        lines: How many lines with that very stamp were read.
        complete: Whether that run had ended and its log was read to the end.
        inherited: Whether the stamp comes from before that run, in the same second perhaps: what is not later
            was read, but the line itself need not be in that run's log.
    """

    uid: str
    container: str
    restart: int = 0
    stamp: str = ""
    lines: int = 0
    complete: bool = False
    inherited: bool = False


def next_run(cursor: LogCursor, restart: int, began_at: str) -> LogCursor:
    """Where to start in a later run of the same container.

    At its beginning, unless lines from that run's time were read already: a server that had restarted the
    container before the watch reported it showed the new run's log in place of the old one's.

    Args:
        cursor: Where the reader stands.
        restart: The later run.
        began_at: When that began, in whole seconds; "" if it is not known.
    """
    fresh = LogCursor(cursor.uid, cursor.container, restart)
    if not cursor.stamp or (began_at and stamp_ns(cursor.stamp) < stamp_ns(began_at)):
        return fresh
    return msgspec.structs.replace(fresh, stamp=cursor.stamp, lines=cursor.lines, inherited=True)


def advance(cursor: LogCursor, data: bytes) -> LogCursor:
    """The cursor after these whole lines; unchanged if none of them has a stamp."""
    stamp = last_stamp(data)
    if not stamp:
        return cursor
    lines = _count(data, stamp.encode() + b" ")
    before = cursor.lines if cursor.stamp == stamp else 0
    return msgspec.structs.replace(cursor, stamp=stamp, lines=before + lines, inherited=False)


def since_time(cursor: LogCursor) -> str | None:
    """From when to ask the server, in its resolution of a second; None for the whole log."""
    if not cursor.stamp:
        return None
    seconds = cursor.stamp[:_SECONDS]
    zone = cursor.stamp[_SECONDS:].lstrip(".0123456789")
    return seconds + zone


def stamp_ns(stamp: str) -> int:
    """A time stamp in nanoseconds since 1970, so that stamps of different spelling can be compared."""
    seconds, rest = stamp[:_SECONDS], stamp[_SECONDS:]
    zone = rest.lstrip(".0123456789")
    fraction = rest[: len(rest) - len(zone)].lstrip(".")
    whole = dt.datetime.fromisoformat(seconds + zone)
    return int(whole.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0"))


class Admitted(NamedTuple):
    """What is new among some lines.

    Attributes:
        lines: The new lines.
        gap: The gap before them; None if there is none.
        then: What is still to be dropped after these lines.
    """

    lines: bytes
    gap: LogGap | None
    then: Resumption


class Resumption(msgspec.Struct, frozen=True):
    """Drops from a resumed stream what was read before the break.

    If the cursor's line does not come again, or not as often as it was read, the node's log rotation took it, and
    with it perhaps lines that were never read: that is a gap. Give whole lines only.

    Attributes:
        cursor: Where the reader stood at the break.
        left: How many lines with the cursor's stamp are still to come; 0: everything from now on is new.
    """

    cursor: LogCursor
    left: int

    @classmethod
    def after(cls, cursor: LogCursor) -> Resumption:
        """Begins a stream that is resumed at the cursor."""
        return cls(cursor, cursor.lines if cursor.stamp else 0)

    def admit(self, data: bytes) -> Admitted:
        """Returns the new lines among these, and the gap before them if there is one."""
        if self.left == 0:
            return Admitted(data, None, self)
        rest, left = self._skip_seen(data)
        then = msgspec.structs.replace(self, left=left)
        return Admitted(rest, None, then) if left == 0 else _look_past(then, rest)

    def end(self) -> LogGap | None:
        """Returns the gap at the end of a log that was given whole, and in which the cursor's line never came."""
        return None if self.left == 0 else self.gap_before(None)

    def _skip_seen(self, data: bytes) -> tuple[bytes, int]:
        prefix = self.cursor.stamp.encode() + b" "
        start, left = 0, self.left
        while left and (at := _find(data, prefix, start)) >= 0:
            start = data.index(b"\n", at) + 1
            left -= 1
        return data[start:], left

    def gap_before(self, before: str | None) -> LogGap | None:
        """Returns the gap behind the cursor's line; None if that line need not be in this run's log."""
        cursor = self.cursor
        if cursor.inherited:
            return None
        return LogGap(
            cursor.container,
            GapReason.ROTATED,
            after=cursor.stamp,
            before=before,
            restart=cursor.restart,
            message="the last line read is no longer there",
        )


def _look_past(resumption: Resumption, data: bytes) -> Admitted:
    """Looks for a line that is later than the cursor's: then that one will not come again."""
    limit = stamp_ns(resumption.cursor.stamp)
    at = 0
    while at < len(data):
        stamp = stamp_at(data, at)
        if stamp and stamp_ns(stamp) > limit:
            then = msgspec.structs.replace(resumption, left=0)
            return Admitted(data[at:], resumption.gap_before(stamp), then)
        at = data.index(b"\n", at) + 1
    return Admitted(b"", None, resumption)


def _find(data: bytes, prefix: bytes, start: int) -> int:
    """Where the next line that begins with the prefix begins, or -1."""
    if data.startswith(prefix, start):
        return start
    at = data.find(b"\n" + prefix, start)
    return at + 1 if at >= 0 else -1


def _count(data: bytes, prefix: bytes) -> int:
    return data.count(b"\n" + prefix) + data.startswith(prefix)
