"""Where a reader stands in a container's log, and how it goes on from there after a break. Pure.

The API server can start a log at a time, in whole seconds (``PodLogOptions.sinceTime``; the API server hands
it to the kubelet without its fraction), or so many lines before its end (``tailLines``). The cursor names a line more
exactly than either: by its content, and by how often it was read (:mod:`podrunner.logs.recent`). After a reconnect
everything up to and including that line is dropped (:class:`Resumption`). How many of the last lines hold it is
searched for by :mod:`podrunner.logs.tail_search`.

Nothing rests on an order of time stamps, which the runtime does not keep. The node's files have an order: rotation
takes their beginning. So what comes before the cursor's line was read, and if that line is gone, everything that is
left is new. Only to notice that early, while the log goes on, stamps are compared, and then the whole log is asked for.
"""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

import msgspec

from podrunner.logs.kubelet_text import last_stamp, stamp_at
from podrunner.logs.recent import RecentLines, later_stamp, line_key, stamp_ns
from podrunner.logs.record import GapReason, LogGap

__all__ = [
    "Admitted",
    "LogCursor",
    "Resumption",
    "advance",
    "lines_behind",
    "next_run",
    "since_time",
    "stamp_ns",
]

_SECONDS: Final = 19  # characters of 2024-01-31T10:20:30
_USUAL: Final = 30  # characters of 2024-01-31T10:20:30.123456789Z
_SET_BACK: Final = dt.timedelta(seconds=10)
# A first new line that is older than the last one by nearly as much: still older ones may have been passed over.
_SUSPECT_NS: Final = 8_000_000_000
_MAX_HELD_BYTES: Final = 4 * 1024 * 1024


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
        recent: The last lines read; empty in a cursor that an earlier podrunner saved.
    """

    uid: str
    container: str
    restart: int = 0
    stamp: str = ""
    lines: int = 0
    complete: bool = False
    inherited: bool = False
    recent: RecentLines = RecentLines()

    def compact(self) -> LogCursor:
        """The cursor without text of the log, as it is saved: 1 KiB at most."""
        return msgspec.structs.replace(self, recent=self.recent.compact())


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
    newest = later_stamp(cursor.stamp, cursor.recent.compact().newest)
    if not newest or (began_at and stamp_ns(newest) < stamp_ns(began_at)):
        return fresh
    return msgspec.structs.replace(
        fresh, stamp=cursor.stamp, lines=cursor.lines, inherited=True, recent=cursor.recent
    )


def advance(cursor: LogCursor, data: bytes) -> LogCursor:
    """The cursor after these whole lines; unchanged if none of them has a stamp."""
    stamp = last_stamp(data)
    if not stamp:
        return cursor
    lines = _count(data, stamp.encode() + b" ")
    before = cursor.lines if cursor.stamp == stamp else 0
    recent = cursor.recent.and_then(data, stamp)
    return msgspec.structs.replace(cursor, stamp=stamp, lines=before + lines, inherited=False, recent=recent)


def since_time(cursor: LogCursor) -> str | None:
    """From when to ask the server, in its resolution of a second; None for the whole log.

    For a cursor whose line cannot be recognised among the last lines.
    Some seconds before the cursor's line: the kubelet compares stamps, and would pass over what was written after the
    node's clock was set back.
    """
    if not cursor.stamp:
        return None
    seconds = cursor.stamp[:_SECONDS]
    zone = cursor.stamp[_SECONDS:].lstrip(".0123456789")
    if cursor.recent:
        seconds = (dt.datetime.fromisoformat(seconds) - _SET_BACK).isoformat()
    return seconds + zone


def lines_behind(cursor: LogCursor, data: bytes) -> int | None:
    """Where, among whole lines of its run that come in order, those begin that are behind the cursor's.

    Args:
        cursor: The cursor; its line comes once, or not at all.
        data: The lines.

    Returns:
        Their beginning; None: none is, as far as these lines show.
    """
    prefix, keys, at = cursor.stamp.encode() + b" ", cursor.recent.split(), 0
    while not cursor.inherited and (at := _find(data, prefix, at)) >= 0:
        end = data.index(b"\n", at) + 1
        if not keys or line_key(data[at:end]) == keys[-1]:
            return end
        at = end
    return _first_later(data, later_stamp(cursor.stamp, cursor.recent.compact().newest))


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
        left: How many lines like the cursor's are still to come; 0: everything from now on is new.
        key: What the cursor's line is recognised by; b"": by its stamp alone.
        follow: Whether the stream does not end: a gap is suspected as soon as a line is later than all that were read.
        whole: Whether the whole log was asked for.
        is_tail: Whether only the last lines were asked for, which may begin behind the cursor's line.
        is_trusted: Whether a line that is later than all that were read proves the gap: the whole log broke off before.
        is_past: Whether a later run has begun. If its first lines were taken for this run's, the cursor's line is one
            of them, and lines that are not later than it cannot be given in order any more.
        held: The lines since the last one like the cursor's, which are new if there is no further one.
        has_later: Whether one of them is later than all that were read.
        has_begun: Whether a new line has come.
        is_doubtful: Whether the whole log has to be asked for.
        is_short: Whether the last lines that were asked for begin behind the cursor's.
        dropped_bytes: How much came that was read before.
    """

    cursor: LogCursor
    left: int
    key: bytes = b""
    follow: bool = True
    whole: bool = False
    is_tail: bool = False
    is_trusted: bool = False
    is_past: bool = False
    held: tuple[bytes, ...] = ()
    has_later: bool = False
    has_begun: bool = False
    is_doubtful: bool = False
    is_short: bool = False
    dropped_bytes: int = 0

    @classmethod
    def after(
        cls,
        cursor: LogCursor,
        *,
        follow: bool = True,
        whole: bool = False,
        is_tail: bool = False,
        is_trusted: bool = False,
        is_past: bool = False,
    ) -> Resumption:
        """Begins a stream that is resumed at the cursor.

        Args:
            cursor: Where the reader stands.
            follow: Whether the stream goes on while the container runs.
            whole: Whether it gives the whole log, and not only what is not older than :func:`since_time`.
            is_tail: Whether it gives the last lines only.
            is_trusted: Whether a line that is later than all that were read proves a gap.
            is_past: Whether a later run than the cursor's has begun.
        """
        keys = cursor.recent.split() if cursor.recent else []
        left, key = cursor.lines if cursor.stamp else 0, b""
        if 0 < left <= len(keys):
            left, key = keys.count(keys[-1]), keys[-1]
        recent = cursor.recent.compact() if cursor.recent else cursor.recent
        cursor = msgspec.structs.replace(cursor, recent=recent)
        return cls(
            cursor,
            left,
            key,
            follow=follow,
            whole=whole,
            is_tail=is_tail,
            is_trusted=is_trusted,
            is_past=is_past,
        )

    def admit(self, data: bytes) -> Admitted:
        """Returns the new lines among these, and the gap before them if there is one."""
        if self.left == 0:
            return self._begin(data)
        if self.is_tail and self._begins_between(data):
            return Admitted(b"", None, msgspec.structs.replace(self, is_short=True))
        rest, left = self._skip_seen(data)
        dropped_bytes = self.dropped_bytes + len(data) - (0 if left else len(rest))
        then = msgspec.structs.replace(self, left=left, dropped_bytes=dropped_bytes)
        if left == 0:
            return msgspec.structs.replace(then, held=(), has_later=False).admit(rest)
        if not self.cursor.recent:
            return _look_past(then, rest)
        before = then if left == self.left else msgspec.structs.replace(then, held=(), has_later=False)
        return _hold(before, rest) if rest else Admitted(b"", None, before)

    def end(self) -> LogGap | None:
        """Returns the gap at the end of a log that was given whole, and in which the cursor's line never came."""
        return None if self.left == 0 else self.gap_before(stamp_at(b"".join(self.held[:1]), 0) or None)

    def finish(self) -> Admitted:
        """Returns what is new at the end of a log: all that is held, behind a gap."""
        then = msgspec.structs.replace(self, left=0, held=())
        lines = b"".join(self.held)
        if self.held and self.is_past:
            later = _first_later(lines, self.cursor.stamp)
            lines = b"" if later is None else lines[later:]
        return Admitted(lines, self.end(), then)

    def _begin(self, data: bytes) -> Admitted:
        """Gives new lines; the first one may show that the node's clock was set back."""
        if self.has_begun or not data:
            return Admitted(data, None, self)
        then = msgspec.structs.replace(self, has_begun=True, is_doubtful=self._was_set_back(data))
        return Admitted(data, None, then)

    def _was_set_back(self, data: bytes) -> bool:
        """Whether the clock was set back by so much that the kubelet may have passed over lines."""
        first = stamp_at(data, 0)
        if self.whole or self.is_tail or not self.cursor.recent or self.cursor.inherited or not first:
            return False
        return stamp_ns(self.cursor.stamp) - stamp_ns(first) > _SUSPECT_NS

    def _begins_between(self, data: bytes) -> bool:
        """Whether the last lines begin between two lines like the cursor's: then it is not known which one comes."""
        if self.dropped_bytes or self.left == 1 or not data:
            return False
        keys = self.cursor.recent.split()
        return line_key(data[: data.index(b"\n") + 1]) in keys[keys.index(self.key) + 1 :]

    def _skip_seen(self, data: bytes) -> tuple[bytes, int]:
        prefix = self.cursor.stamp.encode() + b" "
        start, at, left = 0, 0, self.left
        while left and (at := _find(data, prefix, at)) >= 0:
            end = data.index(b"\n", at) + 1
            if not self.key or line_key(data[at:end]) == self.key:
                start, left = end, left - 1
            at = end
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


def _hold(resumption: Resumption, data: bytes) -> Admitted:
    """Keeps lines of which it is not known yet whether they are new: the cursor's line may still come."""
    later = _first_later(data, resumption.cursor.recent.newest)
    then = msgspec.structs.replace(
        resumption,
        held=(*resumption.held, data),
        has_later=later is not None or resumption.has_later,
    )
    is_full = sum(map(len, then.held)) > _MAX_HELD_BYTES
    if then.is_tail:
        return Admitted(b"", None, msgspec.structs.replace(then, is_short=then.has_later or is_full))
    if then.has_later and (_is_gap_sure(then, later) or (is_full and not then.follow)):
        return then.finish()
    if then.follow and later is not None:
        return _suspect(then, data[later:])
    return Admitted(b"", None, msgspec.structs.replace(then, held=()) if is_full else then)


def _is_gap_sure(then: Resumption, later: int | None) -> bool:
    """Whether a later line proves that the cursor's will not come.

    The file's first line does: rotation takes the beginning of what was read first.
    """
    is_first = then.whole and later == 0 and then.dropped_bytes == len(then.held[0])
    return then.cursor.inherited or then.is_trusted or is_first


def _suspect(resumption: Resumption, data: bytes) -> Admitted:
    """Asks for the whole log before a gap is believed: lines that are later may have been read all the same."""
    then = msgspec.structs.replace(resumption, left=0, held=(), has_begun=True, is_doubtful=True)
    return Admitted(data, resumption.gap_before(stamp_at(data, 0) or None), then)


def _look_past(resumption: Resumption, data: bytes) -> Admitted:
    """Looks for a line that is later than the cursor's: then that one will not come again.

    For a cursor without the last lines, as an earlier podrunner saved it.
    """
    later = _first_later(data, resumption.cursor.stamp)
    if later is None:
        return Admitted(b"", None, resumption)
    then = msgspec.structs.replace(resumption, left=0, has_begun=True)
    return Admitted(data[later:], resumption.gap_before(stamp_at(data, later)), then)


def _first_later(data: bytes, than: str) -> int | None:
    """Where the first line that is later begins; None if none is."""
    limit, limit_ns, at = than.encode(), stamp_ns(than), 0
    is_usual = len(limit) == _USUAL and limit.endswith(b"Z")
    while at < len(data):
        head = data[at : at + _USUAL]
        if is_usual and head.endswith(b"Z") and len(head) == _USUAL:  # most lines: no parsing
            is_later = head > limit
        else:
            stamp = stamp_at(data, at)
            is_later = bool(stamp) and stamp_ns(stamp) > limit_ns
        if is_later:
            return at
        at = data.index(b"\n", at) + 1
    return None


def _find(data: bytes, prefix: bytes, start: int) -> int:
    """Where the next line that begins with the prefix begins, or -1."""
    if data.startswith(prefix, start):
        return start
    at = data.find(b"\n" + prefix, start)
    return at + 1 if at >= 0 else -1


def _count(data: bytes, prefix: bytes) -> int:
    return data.count(b"\n" + prefix) + data.startswith(prefix)
