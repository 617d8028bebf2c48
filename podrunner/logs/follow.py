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
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import msgspec

from podrunner.errors import ForbiddenError, NotFoundError, PodrunnerError
from podrunner.logs.connection import Connection
from podrunner.logs.cursor import LogCursor, Resumption, advance, next_run, since_time
from podrunner.logs.limiter import LogStreamLimiter
from podrunner.logs.lines import LineAssembler
from podrunner.logs.record import GapReason, LogBatch, LogGap

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import TaskGroup

    from podrunner.logs.container_state import ContainerView, PodState
    from podrunner.logs.limiter import StreamPermit

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
        since: Only lines from that time on, RFC 3339 in whole seconds; None: all.
    """

    idle_s: float = 300.0
    drain_s: float = 10.0
    follow: bool = True
    since: str | None = None


Emit = Callable[[LogBatch | LogGap, LogCursor], Awaitable[None]]


class ContainerFollower:
    """Reads one container's log and emits batches and gaps, each line once and in order."""

    def __init__(
        self,
        source: LogSource,
        pod: PodAddress,
        state: PodState,
        emit: Emit,
        *,
        cursor: LogCursor,
        limits: FollowLimits | None = None,
        limiter: LogStreamLimiter | None = None,
        random: Random | None = None,
    ) -> None:
        self._source = source
        self._pod = pod
        self._state = state
        self._emit = emit
        self._limits = limits or FollowLimits()
        self._limiter = limiter or LogStreamLimiter()
        self._random = random or Random()  # noqa: S311  # jitter, not a secret
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
                await self._state.changed()

    def _view(self) -> ContainerView:
        view = self._state.container(self.cursor.container)
        self._began = self._began or (view.started and not view.only_ended)
        return view

    def _never_began(self) -> bool:
        """Whether, as far as anybody knows, there never was a log: then nothing is missing."""
        return self._view().only_ended and not self._began and not self.cursor.stamp

    def _is_read(self, view: ContainerView) -> bool:
        return view.restart <= self.cursor.restart and self.cursor.complete

    async def _readable(self) -> ContainerView:
        while not self._is_readable(view := self._view()):
            await self._state.changed()
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
        patience = _Patience(self._limits.drain_s)
        while not self.cursor.complete:
            before = self.cursor
            async with self._permit() as permit:
                ended, overtaken = self._run_ended(), self._is_overtaken()
                error = None if overtaken else await self._connect(permit, ended=ended)
            if overtaken:
                await self._give_up(GapReason.RESTARTED, "the container was restarted again meanwhile")
            elif ended and error is None:
                await self._end_run(before)
            elif not isinstance(error, _TurnOverError):
                patience.note(progress=self.cursor != before, ended=self._run_ended())
                await self._try_again(patience, error)

    async def _end_run(self, before: LogCursor) -> None:
        if not before.stamp and self._is_overtaken():
            await self._emit_gap(GapReason.RESTARTED, "perhaps it was the next run's log that was read")
        await self._complete()

    async def _try_again(self, patience: _Patience, error: PodrunnerError | None) -> None:
        """Waits before the next connection, or gives up."""
        if error is not None and (self._is_hopeless(error) or patience.is_over):
            await (
                self._complete() if self._never_began() else self._give_up(GapReason.UNAVAILABLE, str(error))
            )
        elif isinstance(error, _UnendedLineError) and error.is_first:
            return
        elif error is not None or not self._run_ended():
            await self._pause(patience)

    @asynccontextmanager
    async def _permit(self) -> AsyncIterator[StreamPermit]:
        """A permit at one of the connections that all readers share."""
        permit = self._limiter.request(draining=self._run_ended())
        try:
            if not permit.is_held:
                await self._wait_for(permit)
            yield permit
        finally:
            permit.release()

    async def _wait_for(self, permit: StreamPermit) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._promote_when_ended, permit, name=f"log-permit {self._pod.name}")
            await permit.held()
            group.cancel_scope.cancel()

    async def _promote_when_ended(self, permit: StreamPermit) -> None:
        await self._ended()
        permit.promote()

    def _is_overtaken(self) -> bool:
        return self._view().restart > self.cursor.restart + 1

    def _is_hopeless(self, error: PodrunnerError) -> bool:
        # A kubelet that has just restarted answers 404 for pods that it has: only the pod's own end makes it
        # final.
        refused = isinstance(error, ForbiddenError) and not error.was_allowed
        return refused or (isinstance(error, NotFoundError) and self._view().gone)

    def _run_ended(self) -> bool:
        view = self._view()
        return view.restart > self.cursor.restart or view.ended or view.final

    async def _pause(self, patience: _Patience) -> None:
        """Waits out the back-off; the end of the run shortens it, once."""
        jittered = patience.delay_s * self._random.uniform(0.5, 1.0)
        ended = self._run_ended()
        with anyio.move_on_after(min(jittered, patience.left_s)):
            while ended or not self._run_ended():
                await self._state.changed()

    async def _ended(self) -> None:
        while not self._run_ended():
            await self._state.changed()

    async def _connect(self, permit: StreamPermit, *, ended: bool) -> PodrunnerError | None:
        """One connection, read to its end. Returns what broke it, or None if it ended in good order."""
        silence_s = self._limits.drain_s if ended else self._limits.idle_s
        connection = Connection(permit, follow=not ended, silence_s=silence_s)
        async with anyio.create_task_group() as group:
            if not ended:
                group.start_soon(self._shorten_when_ended, connection, name=f"log-end {self._pod.name}")
            try:
                with connection.scope:
                    await self._read(connection, self._opened(permit, connection, group))
            finally:
                connection.close()
        if connection.failure is not None:
            raise connection.failure
        if connection.complete or not (ended or connection.is_left):
            return connection.error
        if connection.is_left:
            return _TurnOverError()
        return _NothingCameError(f"no byte of the log came for {self._limits.drain_s:g} s")

    def _opened(
        self, permit: StreamPermit, connection: Connection, group: TaskGroup
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes] | None]:
        """The connection, held by a task of its own, which can close it while a sink takes its time.

        Where connections are plentiful, that is not worth the task.
        """
        if permit.limiter_has_spare:
            connection.on_recall(
                partial(group.start_soon, connection.over, name=f"log-recall {self._pod.name}")
            )
            return self._open(follow=connection.follow)
        group.start_soon(self._keep_open, connection, name=f"log-open {self._pod.name}")
        return connection.opened()

    async def _shorten_when_ended(self, connection: Connection) -> None:
        with connection.until_closed():
            await self._ended()
            connection.shorten(self._limits.drain_s)

    async def _read(
        self, connection: Connection, opened: AbstractAsyncContextManager[AsyncIterator[bytes] | None]
    ) -> None:
        try:
            async with opened as batches:
                if batches is not None:
                    connection.complete = await self._take_all(batches, connection)
        except PodrunnerError as error:
            connection.end(error)
        except Exception as error:  # noqa: BLE001  # the taker's: raised again outside of the task group
            connection.failure = error

    async def _keep_open(self, connection: Connection) -> None:
        """Holds the connection, and with it the permit: both may have to go while a sink still takes its time."""
        async with AsyncExitStack() as stack:
            with connection.until_closed():
                try:
                    connection.begin(await stack.enter_async_context(self._open(follow=connection.follow)))
                except PodrunnerError as error:
                    connection.end(error)
            with anyio.CancelScope(shield=True):  # the reading always closes it, and first
                await connection.over()
        if connection.is_left:
            connection.release_permit()

    async def _take_all(self, batches: AsyncIterator[bytes], connection: Connection) -> bool:
        """Hands on what comes. False if the connection was left before its end."""
        before, resumption, lines = self.cursor, Resumption(self.cursor), LineAssembler()
        async for data in batches:
            if not connection.pause():
                return False
            await self._take(lines.feed(data), resumption)
            if not connection.resume(moved=self.cursor != before):
                return False
        if connection.follow:
            return True  # a half line is read again: it may be no more than half
        if not connection.pause():
            return False
        await self._take(self._confirmed(lines.rest()), resumption)
        await self._note(resumption.end())
        return True

    def _open(self, *, follow: bool) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._source.stream_log(
            self._pod.namespace,
            self._pod.name,
            container=self.cursor.container,
            follow=follow,
            timestamps=True,
            since_time=since_time(self.cursor) or self._limits.since,
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


class _Patience:
    """How long to wait before the next connection, and how long the rest of an ended run's log is asked for."""

    def __init__(self, drain_s: float) -> None:
        self.delay_s = _FIRST_DELAY_S
        self._drain_s = drain_s
        self._ends_at = math.inf

    def note(self, *, progress: bool, ended: bool) -> None:
        """Takes note of a connection that did not bring the log's end."""
        self.delay_s = _FIRST_DELAY_S if progress else min(self.delay_s * 2, _LAST_DELAY_S)
        if progress or not ended:
            self._ends_at = math.inf
        elif self._ends_at == math.inf:
            self._ends_at = anyio.current_time() + self._drain_s

    @property
    def is_over(self) -> bool:
        return anyio.current_time() >= self._ends_at

    @property
    def left_s(self) -> float:
        return max(self._ends_at - anyio.current_time(), 0.05)


class _TurnOverError(PodrunnerError):
    """The connection was left to other readers."""


class _NothingCameError(PodrunnerError):
    """The server held the connection open and sent nothing."""


class _AnotherRunPerhapsError(PodrunnerError):
    """What the server shows does not go on where the reader stands."""


class _UnendedLineError(PodrunnerError):
    """The log ended within a line, not as the answer before."""

    def __init__(self, *, is_first: bool) -> None:
        super().__init__("the log ends within a line, each time elsewhere")
        self.is_first = is_first
