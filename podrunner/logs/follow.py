"""Follows the log of one container to its end, over any number of broken connections.

The log of a run counts as complete only when it was read to an orderly end by a request that was made after
the run was known to be over: a follow that ends in good order may just as well have been cut by the four-hour
idle close, a rotation or a proxy. That costs one request more for a container that was followed while it ran,
and none for one that had already ended. A log that ends within a line is asked for once more: whether the container
wrote no line end, or a proxy ended the answer early but in good order, only a second answer tells. What is sent where
is the sinks' business; what the pod's state is, the watch's.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import msgspec

from podrunner.errors import ForbiddenError, NotFoundError, PodrunnerError
from podrunner.logs.cursor import LogCursor, Resumption, advance, next_run, since_time
from podrunner.logs.lines import LineAssembler
from podrunner.logs.record import GapReason, LogBatch, LogGap

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from podrunner.logs.life import ContainerView, PodLife

__all__ = ["ContainerFollower", "FollowLimits", "LogSource", "PodAddress"]

# The back-off of client-go's reflector (0.8 s doubled up to 30 s): known to be gentle to a server in trouble.
_FIRST_DELAY_S: Final = 0.8
_LAST_DELAY_S: Final = 30.0


class LogSource(Protocol):
    """The one verb that following needs of ``podrunner.kube``."""

    def stream_log(
        self,
        namespace: str,
        name: str,
        *,
        container: str | None = None,
        follow: bool = False,
        timestamps: bool = True,
        since_time: str | None = None,
        tail_lines: int | None = None,
        previous: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Opens a container's log; gives batches of bytes."""
        ...


class PodAddress(msgspec.Struct, frozen=True):
    """Which pod: where it is, and its UID, because a name may come back."""

    namespace: str
    name: str
    uid: str


class FollowLimits(msgspec.Struct, frozen=True):
    """How long to wait for what.

    Attributes:
        idle_s: A connection on which nothing came for so long is replaced: rotation and half-open connections
            stop a follow without a word. A quiet container costs one request each such span.
        drain_s: How long, after the container's end, no byte may come before the connection is given up; and
            how long a refusing server is asked again for the rest.
        follow: Whether to read while the container runs; False reads once, at its end.
    """

    idle_s: float = 300.0
    drain_s: float = 10.0
    follow: bool = True


Emit = Callable[[LogBatch | LogGap, LogCursor], Awaitable[None]]


class ContainerFollower:
    """Reads one container's log and emits batches and gaps, each line once and in order."""

    def __init__(
        self,
        source: LogSource,
        pod: PodAddress,
        life: PodLife,
        emit: Emit,
        *,
        cursor: LogCursor,
        limits: FollowLimits | None = None,
        random: Random | None = None,
        since: str | None = None,
    ) -> None:
        self._source = source
        self._pod = pod
        self._life = life
        self._emit = emit
        self._limits = limits or FollowLimits()
        self._random = random or Random()  # noqa: S311  # jitter, not a secret
        self._since = since
        self.cursor: LogCursor = cursor
        self._doubted: LogCursor | None = None
        self._unended: tuple[LogCursor, bytes] | None = None  # the last line, seen once, and where it stood
        self._began = False  # seen to have begun

    async def run(self) -> None:
        """Returns when the last run of the container is over and read, or cannot be read any more."""
        while True:
            view = await self._readable()
            if view.started:
                await self._catch_up(view)
            if view.final or self._view().final:
                if not view.started or self._is_read(self._view()):
                    return
                continue
            if self._is_read(self._view()):
                await self._life.changed()

    def _view(self) -> ContainerView:
        view = self._life.container(self.cursor.container)
        self._began = self._began or (view.started and not view.only_ended)
        return view

    def _never_began(self) -> bool:
        """Whether, as far as anybody knows, there never was a log: then nothing is missing."""
        return self._view().only_ended and not self._began and not self.cursor.stamp

    def _is_read(self, view: ContainerView) -> bool:
        return view.restart <= self.cursor.restart and self.cursor.complete

    async def _readable(self) -> ContainerView:
        while not self._is_readable(view := self._view()):
            await self._life.changed()
        return view

    def _is_readable(self, view: ContainerView) -> bool:
        return view.final or (view.started and (view.ended or self._limits.follow))

    async def _catch_up(self, view: ContainerView) -> None:
        """Reads what is left of earlier runs, then the present one."""
        if view.restart > self.cursor.restart:
            await self._leave_run(view)
        if not self.cursor.complete:
            await self._read_run()

    async def _leave_run(self, view: ContainerView) -> None:
        # The server keeps the present run and the one before it.
        passed = view.restart - self.cursor.restart
        if passed > 1:
            if passed > 2 or not self.cursor.complete:  # one run that cannot be read any more
                await self._emit_gap(
                    GapReason.RESTARTED, f"runs up to {view.restart - 2} were not read to their end"
                )
            self.cursor = next_run(self.cursor, view.restart - 1, "")
        if not self.cursor.complete:
            await self._read_run()
        self.cursor = next_run(self.cursor, view.restart, view.began_at)

    async def _read_run(self) -> None:
        """Connects until the run's log is complete or beyond reach."""
        delay, give_up_at = _FIRST_DELAY_S, math.inf
        while not self.cursor.complete:
            before, ended = self.cursor, self._run_ended()
            if self._view().restart > self.cursor.restart + 1:
                await self._give_up(GapReason.RESTARTED, "the container was restarted again meanwhile")
                return
            error = await self._connect(ended=ended)
            if ended and error is None:
                if not before.stamp and self._view().restart > before.restart + 1:
                    await self._emit_gap(
                        GapReason.RESTARTED, "perhaps it was the next run's log that was read"
                    )
                await self._complete()
                return
            progress = self.cursor != before
            delay = _FIRST_DELAY_S if progress else min(delay * 2, _LAST_DELAY_S)
            if progress or not self._run_ended():
                give_up_at = math.inf
            elif give_up_at == math.inf:
                give_up_at = anyio.current_time() + self._limits.drain_s
            if error is not None and (self._is_hopeless(error) or anyio.current_time() >= give_up_at):
                await (
                    self._complete()
                    if self._never_began()
                    else self._give_up(GapReason.UNAVAILABLE, str(error))
                )
                return
            if isinstance(error, _UnendedLineError) and error.is_first:
                continue
            if error is not None or not self._run_ended():
                await self._pause(delay, give_up_at)

    def _is_hopeless(self, error: PodrunnerError) -> bool:
        # A kubelet that has just restarted answers 404 for pods that it has: only the pod's own end makes it
        # final.
        return isinstance(error, ForbiddenError) or (isinstance(error, NotFoundError) and self._view().gone)

    def _run_ended(self) -> bool:
        view = self._view()
        return view.restart > self.cursor.restart or view.ended or view.final

    async def _pause(self, delay: float, give_up_at: float) -> None:
        """Waits out the back-off; the end of the run shortens it, once."""
        jittered = delay * self._random.uniform(0.5, 1.0)
        ended = self._run_ended()
        with anyio.move_on_after(min(jittered, max(give_up_at - anyio.current_time(), 0.05))):
            while ended or not self._run_ended():
                await self._life.changed()

    async def _connect(self, *, ended: bool) -> PodrunnerError | None:
        """One connection, read to its end. Returns what broke it, or None if it ended in good order."""
        connection = _Connection(self._limits.drain_s if ended else self._limits.idle_s)
        async with anyio.create_task_group() as group:
            if not ended:
                group.start_soon(self._shorten_when_ended, connection, name=f"log-end {self._pod.name}")
            with connection.scope:
                connection.error = await self._read(connection, follow=not ended)
                connection.complete = True
            group.cancel_scope.cancel()
        if connection.complete or not ended:
            return connection.error
        return _NothingCameError(f"no byte of the log came for {self._limits.drain_s:g} s")

    async def _shorten_when_ended(self, connection: _Connection) -> None:
        while not self._run_ended():
            await self._life.changed()
        connection.shorten(self._limits.drain_s)

    async def _read(self, connection: _Connection, *, follow: bool) -> PodrunnerError | None:
        resumption, lines = Resumption(self.cursor), LineAssembler()
        try:
            async with self._open(follow=follow) as batches:
                async for data in batches:
                    connection.pause()
                    await self._take(lines.feed(data), resumption)
                    connection.resume()
            if not follow:
                connection.pause()
                await self._take(self._confirmed(lines.rest()), resumption)
                await self._note(resumption.end())
        except PodrunnerError as error:
            return error
        return None

    def _open(self, *, follow: bool) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._source.stream_log(
            self._pod.namespace,
            self._pod.name,
            container=self.cursor.container,
            follow=follow,
            timestamps=True,
            since_time=since_time(self.cursor) or self._since,
            previous=self._view().restart > self.cursor.restart,
        )

    async def _take(self, lines: bytes, resumption: Resumption) -> None:
        fresh, gap = (lines, None) if resumption.done else resumption.admit(lines)
        await self._note(gap)
        if fresh:
            after = advance(self.cursor, fresh)
            await self._emit(LogBatch(after.container, after.restart, fresh), after)
            self.cursor = after

    def _confirmed(self, rest: bytes) -> bytes:
        """The last line, if it had no end; only if two answers in a row end so at the same place."""
        before, self._unended = self._unended, (self.cursor, rest) if rest else None
        if not rest or before == self._unended:
            return rest
        raise _UnendedLineError(is_first=before is None)

    async def _note(self, gap: LogGap | None) -> None:
        """Tells of a gap, once it is sure that it is one.

        The line where the reader stood is missing also from the log of the next run, which the server may show
        already while the watch still tells of this one.
        """
        if gap is None:
            return
        view = self._view()
        settled = view.final and view.restart == self.cursor.restart
        if self._doubted != self.cursor and not settled:
            self._doubted = self.cursor
            raise _AnotherRunPerhapsError("the last line read is not in the log")
        await self._emit(gap, self.cursor)

    async def _complete(self) -> None:
        self.cursor = msgspec.structs.replace(self.cursor, complete=True)

    async def _give_up(self, reason: GapReason, message: str) -> None:
        await self._emit_gap(reason, message)
        await self._complete()

    async def _emit_gap(self, reason: GapReason, message: str) -> None:
        cursor = self.cursor
        gap = LogGap(
            cursor.container, reason, after=cursor.stamp or None, message=message, restart=cursor.restart
        )
        await self._emit(gap, cursor)


class _NothingCameError(PodrunnerError):
    """The server held the connection open and sent nothing."""


class _AnotherRunPerhapsError(PodrunnerError):
    """What the server shows does not go on where the reader stands."""


class _UnendedLineError(PodrunnerError):
    """The log ended within a line, not as the answer before."""

    def __init__(self, *, is_first: bool) -> None:
        super().__init__("the log ends within a line, each time elsewhere")
        self.is_first = is_first


class _Connection:
    """The silence that one connection is allowed. A sink that takes its time is not the server's silence."""

    def __init__(self, silence_s: float) -> None:
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + silence_s)
        self.error: PodrunnerError | None = None
        self.complete = False
        self._silence_s = silence_s
        self._reading = True

    def pause(self) -> None:
        self._reading = False
        self.scope.deadline = math.inf

    def resume(self) -> None:
        self._reading = True
        self.scope.deadline = anyio.current_time() + self._silence_s

    def shorten(self, silence_s: float) -> None:
        self._silence_s = min(self._silence_s, silence_s)
        if self._reading:
            self.resume()
