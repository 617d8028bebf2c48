"""Where one container's log goes: gives each item to each of its sinks, and keeps a sink's trouble to that sink.

An error that may pass is tried again while the container runs, and for the drain time after its end; what a sink could
not take by then is a gap in it. Any other error ends that sink. What a sink does with a log does not belong here.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from podrunner.errors import LogError
from podrunner.event_loop import current_time
from podrunner.logs.cursor import LogCursor, lines_behind
from podrunner.logs.recent import later_stamp, stamp_ns
from podrunner.logs.record import GapReason, LogBatch, LogGap, split_stamp
from podrunner.logs.sinks import ThreadSink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from random import Random

    from podrunner.logs.container_state import ContainerView
    from podrunner.logs.sinks import LogSink, SinkFactory

__all__ = ["CLOSE_S", "PASSING", "NoSinkLeftError", "NotOursError", "OutletOwner", "SinkOutlet"]

PASSING: Final = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EAGAIN,
        errno.ESTALE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.ENOLCK,
        errno.EBUSY,
        errno.ETIMEDOUT,
    }
)
"""Errors of the system that may pass: no file handles, space, quota or memory; a network file system that is away."""

P = ParamSpec("P")

# A disk that is full is not helped by more tries; handles come free within moments.
_FIRST_DELAY_S: Final = 0.05
_LAST_DELAY_S: Final = 5.0
CLOSE_S: Final = 5.0
"""Seconds that closing a sink may take: one that hangs must not hold up the end of the runner."""
_STAMP_SEARCH: Final = 40  # bytes in which a line's time stamp is


class NoSinkLeftError(Exception):
    """Not one of podrunner's errors, which following takes for the connection's."""


class NotOursError(Exception):
    """Not one of podrunner's errors, which following takes for the connection's."""


class OutletOwner(Protocol):
    """What an outlet asks of the collector."""

    def may_write(self) -> bool:
        """Whether something may be written to the sinks, by the event loop's knowledge too."""
        ...

    def may_write_in_thread(self) -> bool:
        """Whether something may be written to the sinks; in any thread."""
        ...

    def view(self, container: str) -> ContainerView:
        """The container as it is now known."""
        ...

    def report(self, problem: str) -> None:
        """Counts a problem."""
        ...

    def count(self, item: LogBatch | LogGap) -> None:
        """Counts an item that is emitted, or a gap that a sink has."""
        ...


class SinkOutlet:
    """One container's sinks.

    Args:
        owner: The collector.
        uid: UID of the pod.
        container: The container's name.
        drain_s: For how long after the container's end what may pass is tried again.
        random: Source of jitter.
    """

    def __init__(
        self, owner: OutletOwner, uid: str, container: str, *, drain_s: float, random: Random
    ) -> None:
        self._owner = owner
        self._fresh = LogCursor(uid, container)
        self._drain_s = drain_s
        self._random = random
        self._feeds: list[_Feed] = []

    async def open(self, factories: Sequence[SinkFactory]) -> LogCursor:
        """Makes and opens all sinks; returns the cursor of the one that is furthest behind.

        Raises:
            NotOursError: The pod is another runner's.
        """
        what = f"sink of {self._fresh.container}"
        for factory in factories:
            try:
                feed = _Feed(factory(self._fresh.container), self._owner, self._fresh, retry=self._retry())
            except Exception as error:  # noqa: BLE001  # an embedder's function may raise anything
                self._fail(what, error)
            else:
                self._feeds.append(feed)
        for feed in tuple(self._feeds):
            try:
                await feed.open()
            except Exception as error:  # noqa: BLE001  # a sink may raise anything
                self._feeds.remove(feed)
                self._fail(what, error)
        for feed in self._feeds:
            feed.begin_at(self.start)
        return self.start

    @property
    def start(self) -> LogCursor:
        """The first line that a sink remembers: the others have what follows, each up to its own."""
        starts = [feed.start for feed in self._feeds if feed.start is not None]
        return reduce(lambda one, other: other if _is_behind(other, one) else one, starts or [self._fresh])

    def leave_unopened(self) -> None:
        """Forgets each sink that is not open yet: a successor will open its own."""
        self._feeds = [feed for feed in self._feeds if feed.is_open]

    def _retry(self) -> _Retry:
        view = partial(self._owner.view, self._fresh.container)
        return _Retry(view, self._owner.may_write, drain_s=self._drain_s, random=self._random)

    async def emit(self, item: LogBatch | LogGap, cursor: LogCursor) -> None:
        """Gives the item to each sink, one after the other, the first one last.

        A successor goes on where the reader stands, so that a sink that has the item by the end is given it again.

        Raises:
            NoSinkLeftError: No sink is left.
            NotOursError: The pod is another runner's.
        """
        if not self._owner.may_write():
            raise NotOursError
        if not self._feeds:
            raise NoSinkLeftError("every sink failed")
        self._owner.count(item)
        for feed in tuple(reversed(self._feeds)):
            try:
                await feed.give(item, cursor)
            except NotOursError:
                raise
            except Exception as error:  # noqa: BLE001  # a sink may raise anything
                self._drop(feed, error)

    async def settle(self) -> None:
        """Returns when each sink that could not take everything has its gap. It may take for ever: to be cancelled."""
        for feed in tuple(self._feeds):
            await self._each(feed, feed.settle)

    async def close(self, cursor: LogCursor, *, is_hurried: bool = False) -> None:
        """Closes each sink that is not closed, in a bounded time.

        Args:
            cursor: Where the reader stands.
            is_hurried: Whether the runner is being ended, or has lost the pod: the drain time is not waited for.
        """
        within_s = CLOSE_S if is_hurried else max(CLOSE_S, self._drain_s)
        for feed in tuple(self._feeds):
            with suppress(NotOursError):
                await self._close(feed, cursor, within_s)

    async def _close(self, feed: _Feed, cursor: LogCursor, within_s: float) -> None:
        with anyio.move_on_after(within_s) as scope:
            await self._each(feed, partial(feed.close, cursor))
        if scope.cancelled_caught:
            self._drop(feed, TimeoutError(f"it was not closed within {within_s:g} s"))
        elif feed in self._feeds:
            self._feeds.remove(feed)

    async def _each(self, feed: _Feed, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except NotOursError:
            raise
        except Exception as error:  # noqa: BLE001  # a sink may raise anything
            self._drop(feed, error)

    def _drop(self, feed: _Feed, error: Exception) -> None:
        self._feeds.remove(feed)
        self._fail(type(feed.sink).__name__, error)

    def _fail(self, what: str, error: Exception) -> None:
        if isinstance(error, NotOursError) or not self._owner.may_write():
            raise NotOursError from error
        self._owner.report(f"{what}: {error!r}")


class _Retry:
    """How often one sink is asked again after errors that may pass."""

    def __init__(
        self,
        view: Callable[[], ContainerView],
        may_write: Callable[[], bool],
        *,
        drain_s: float,
        random: Random,
    ) -> None:
        self._view = view
        self._may_write = may_write
        self._drain_s = drain_s
        self._random = random
        self._gives_up_at = float("inf")

    async def until_drained(self, call: Callable[[], Awaitable[Any]]) -> OSError | None:
        """Calls until that succeeds, or the container has ended and the drain time is over: then returns the error."""
        return await self._until(call, self._is_over)

    async def until_done(self, call: Callable[[], Awaitable[Any]]) -> None:
        """Calls until that succeeds."""
        await self._until(call, lambda: False)

    async def _until(self, call: Callable[[], Awaitable[Any]], is_over: Callable[[], bool]) -> OSError | None:
        delay_s = _FIRST_DELAY_S
        while (error := await self.attempt(call)) is not None:
            if not self._may_write():
                raise NotOursError from error
            if is_over():
                return error
            await anyio.sleep(delay_s * self._random.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, _LAST_DELAY_S)
        return None

    async def attempt(
        self, call: Callable[P, Awaitable[Any]], *args: P.args, **kwargs: P.kwargs
    ) -> OSError | None:
        """Calls once; returns an error that may pass."""
        try:
            await call(*args, **kwargs)
        except OSError as error:
            if error.errno not in PASSING:
                raise
            return error
        except anyio.get_cancelled_exc_class() as error:
            await checkpoint_if_cancelled()
            # By an awaited task of the embedder's.
            raise LogError("it was cancelled, and not by the runner") from error
        return None

    def _is_over(self) -> bool:
        """Whether the container has ended, and its drain time is over since that was seen here."""
        view, now_s = self._view(), current_time()
        if not (view.ended or view.final):
            self._gives_up_at = float("inf")
        elif self._gives_up_at == float("inf"):
            self._gives_up_at = now_s + self._drain_s
        return now_s >= self._gives_up_at


class _Feed:
    """One sink, and what it did not take.

    Attributes:
        sink: The sink.
        start: The cursor that it remembered when it was opened.
        is_open: Whether it was opened.
    """

    def __init__(self, sink: LogSink, owner: OutletOwner, fresh: LogCursor, *, retry: _Retry) -> None:
        self.sink = sink
        self.start: LogCursor | None = None
        self.is_open: bool = False
        self._owner = owner
        self._retry = retry
        self._at = fresh  # behind the last item that the sink has
        self._missing: tuple[LogGap, LogCursor] | None = None
        self._ahead: LogCursor | None = None  # up to where the sink has what is read
        if isinstance(sink, ThreadSink):
            sink.may_write = owner.may_write_in_thread

    async def open(self) -> None:
        """Opens the sink, if that is possible before the drain time is over."""
        await self._retry.until_drained(self._open)

    def begin_at(self, start: LogCursor) -> None:
        """The reading begins there, which may be before what the sink has."""
        self._ahead = None if self.start is None or self.start == start else self.start

    def _without_known(self, item: LogBatch | LogGap) -> LogBatch | LogGap | None:
        """Returns what the sink has not of an item; None: it has all."""
        ahead = self._ahead
        if ahead is None or isinstance(item, LogGap) or item.restart < ahead.restart:
            return item if ahead is None or isinstance(item, LogGap) else None
        begin = 0 if item.restart > ahead.restart or not ahead.stamp else lines_behind(ahead, item.data)
        if begin is None:
            return None
        self._ahead = None
        return LogBatch(item.container, item.restart, item.data[begin:]) if begin < len(item.data) else None

    async def _open_late(self) -> None:
        """Opens the sink after the reading has begun. One that an earlier reader began gets its gap, and no more.

        Raises:
            LogError: It was begun: what it has would be read again.
        """
        await self._open()
        if self.start is not None and self.start.stamp:
            gap = self._gap("the log could not be opened in time")
            self._owner.count(gap)
            await self.sink.gap(gap, self.start)
            raise LogError("it was opened too late to go on where it had stopped")

    def _gap(self, message: str, *, restart: int = 0) -> LogGap:
        at = self._at
        return LogGap(
            at.container, GapReason.UNWRITTEN, after=at.stamp or None, message=message, restart=restart
        )

    async def _open(self) -> None:
        start = await self.sink.open(uid=self._at.uid, container=self._at.container)
        if start is not None and not isinstance(start, LogCursor):
            raise LogError(f"the sink remembers {type(start).__name__}, not a LogCursor")
        self.is_open, self.start = True, start
        self._at = start or self._at

    async def give(self, given: LogBatch | LogGap, cursor: LogCursor) -> None:
        item = self._without_known(given)
        if item is None:
            return
        if self._ahead is not None:
            cursor = self._at  # a gap among what it has
        if self._missing is not None and not await self._note_missing(item):
            self._missing = self._missing[0], cursor
            return
        if await self._retry.attempt(self._hand, item, cursor) is None:
            return
        if (error := await self._retry.until_drained(partial(self._hand, item, cursor))) is not None:
            self._miss(item, cursor, error)

    async def _hand(self, item: LogBatch | LogGap, cursor: LogCursor) -> None:
        if not self.is_open:
            await self._open_late()
        if isinstance(item, LogBatch):
            await self.sink.write(item, cursor)
        else:
            await self.sink.gap(item, cursor)
        self._at = cursor

    def _miss(self, item: LogBatch | LogGap, cursor: LogCursor, error: OSError) -> None:
        """Notes that an item was not taken. The gap is written before the next one, or at the end."""
        message = f"the sink could not take them: {error.strerror or error}"
        gap = self._gap(message, restart=item.restart)
        self._missing = gap, cursor
        self._owner.count(gap)

    async def _note_missing(self, before: LogBatch | LogGap) -> bool:
        assert self._missing is not None, "asked before"
        gap, cursor = self._missing
        return await self._retry.attempt(self._write_gap, gap, cursor, _first_stamp(before)) is None

    async def _write_gap(self, gap: LogGap, cursor: LogCursor, before: str | None = None) -> None:
        if not self.is_open:
            await self._open_late()
        await self.sink.gap(
            LogGap(gap.container, gap.reason, gap.after, before, gap.message, gap.restart), cursor
        )
        self._at, self._missing = cursor, None

    async def settle(self) -> None:
        if not self.is_open:
            await self._retry.until_done(self._open_late)
        if self._missing is not None:
            await self._retry.until_done(partial(self._write_gap, *self._missing))

    async def close(self, cursor: LogCursor) -> None:
        if self._ahead is not None and not cursor.complete:
            cursor = self._ahead
        if self._missing is not None:
            error = await self._retry.attempt(self._write_gap, *self._missing)
            if error is not None:  # a successor reads on from where the sink stands
                self._owner.report(f"{type(self.sink).__name__}: {self._missing[0]}; {error!r}")
                cursor = self._at
        if self.is_open:
            await self._retry.until_done(partial(self.sink.close, cursor))
        elif self._owner.may_write():
            self._owner.report(f"{type(self.sink).__name__}: it could not be opened")


def _is_behind(one: LogCursor, other: LogCursor) -> bool:
    """Whether a cursor comes before another one of the same log: by the lines that both know, else by time stamps."""
    ones, others = one.recent.split(), other.recent.split()
    if one.restart == other.restart and ones[-1:] != others[-1:]:
        if ones and ones[-1] in others:
            return True
        if others and others[-1] in ones:
            return False
    return _place(one) < _place(other)


def _place(cursor: LogCursor) -> tuple[int, int, int, bool]:
    newest = later_stamp(cursor.stamp, cursor.recent.compact().newest)
    return cursor.restart, stamp_ns(newest) if newest else 0, cursor.lines, cursor.complete


def _first_stamp(item: LogBatch | LogGap) -> str | None:
    if isinstance(item, LogGap):
        return item.before
    return split_stamp(item.data[:_STAMP_SEARCH].decode("ascii", "replace"))[0] or None
