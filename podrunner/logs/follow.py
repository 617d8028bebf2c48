"""Follows the log of one container to its end, over any number of broken connections.

The log of a run counts as complete only when it was read to an orderly end by a request that was made after
the run was known to be over: a follow that ends in good order may just as well have been cut by the four-hour
idle close, a rotation or a proxy. That costs one request more for a container that was followed while it ran,
and none for one that had already ended. A log that ends within a line is asked for once more: whether the container
wrote no line end, or a proxy ended the answer early but in good order, only a second answer shows. Delivering
is the sinks' business, the pod's state the watch's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import msgspec

from podrunner.errors import PodrunnerError
from podrunner.event_loop import current_time
from podrunner.logs.connection import Connection
from podrunner.logs.cursor import LogCursor, since_time
from podrunner.logs.limiter import LogStreamLimiter
from podrunner.logs.lines import LineAssembler
from podrunner.logs.record import GapReason, LogBatch, LogGap
from podrunner.logs.states import (
    Attempts,
    BackingOff,
    BackoffElapsed,
    ContainerChanged,
    Delivered,
    Delivering,
    Detached,
    Done,
    Emit,
    FollowLimits,
    Input,
    LinesReceived,
    PermitGranted,
    Reading,
    SilenceElapsed,
    SliceElapsed,
    State,
    StreamEnded,
    StreamFailed,
    Waiting,
    start,
    step,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from podrunner.logs.container_state import ContainerView, PodState
    from podrunner.logs.limiter import StreamPermit

__all__ = ["ContainerFollower", "LogSource", "PodAddress"]


_WHOLE: Final = "1970-01-01T00:00:00Z"


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
    """A pod's namespace and name, and its UID, because a name may be reused."""

    namespace: str
    name: str
    uid: str


EmitTo = Callable[[LogBatch | LogGap, LogCursor], Awaitable[None]]


class ContainerFollower:
    """Reads one container's log and emits batches and gaps, each line once and in order.

    It carries out what :mod:`podrunner.logs.states` decides: it waits, connects, feeds what happens, and emits.

    Args:
        source: The API server.
        pod: Which pod.
        state: The pod's state.
        emit: Takes each item, and the cursor behind it.
        cursor: Where to go on.
        limits: How long to wait for what.
        limiter: The streams shared with other readers; None: as many as needed.
        random: Source of jitter.

    Attributes:
        cursor: Behind the last item that was emitted.
    """

    def __init__(
        self,
        source: LogSource,
        pod: PodAddress,
        state: PodState,
        emit: EmitTo,
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
        self._now: State = start(cursor, state.container(cursor.container), self._limits)
        self._pending: tuple[Emit, ...] = ()
        self.cursor: LogCursor = cursor

    async def run(self) -> None:
        """Returns when the last run of the container is over and read, or cannot be read any more."""
        self._step(ContainerChanged(self._view()))
        await self._deliver()
        while not isinstance(self._now, Done):
            if isinstance(self._now, Waiting):
                await self._changed()
            elif isinstance(self._now, BackingOff):
                await self._back_off(self._now)
            else:
                await self._connect()
            await self._deliver()

    async def give_up(self) -> None:
        """Emits a gap in place of what was not read, after ``run`` was cancelled and nothing can be read any more."""
        self._note_view()
        if (isinstance(self._now, Done) or self._now.never_began) and not self._pending:
            return
        attempts: Attempts | None = getattr(self._now, "attempts", None)
        words = f": {attempts.words}" if attempts is not None and attempts.words else ""
        message = f"reading was ended before the log was read to its end{words}"
        stamp, restart = self.cursor.stamp or None, self.cursor.restart
        gap = LogGap(self.cursor.container, GapReason.UNAVAILABLE, stamp, message=message, restart=restart)
        await self._emit(gap, self.cursor)

    # Feeding the states

    def _step(self, event: Input) -> None:
        """Takes a step; what it emits is pending until :meth:`_deliver`."""
        self._now, effects = step(self._now, event)
        self._pending += effects

    def _feed(self, event: Input) -> None:
        """Notes the container's present state, then takes a step."""
        self._note_view()
        self._step(event)

    def _note_view(self) -> None:
        if not isinstance(self._now, Done) and self._view() != self._now.view:
            self._step(ContainerChanged(self._view()))

    def _view(self) -> ContainerView:
        return self._state.container(self._now.cursor.container)

    async def _changed(self) -> None:
        """Waits until the container is in another state than the one that was noted, and notes it."""
        while self._view() == self._now.view:
            await self._state.changed()
        self._note_view()

    async def _run_ended(self) -> None:
        """Returns when the run that is being read is over."""
        while not self._now.run_ended:
            await self._changed()

    async def _deliver(self) -> None:
        """Emits what is pending. A batch whose emission raises is not counted as read."""
        while self._pending:
            effect, *_ = self._pending
            await self._emit(effect.item, effect.cursor)
            self._pending = self._pending[1:]
            self.cursor = effect.cursor
        self.cursor = self._now.cursor

    # What each state waits for

    async def _back_off(self, state: BackingOff) -> None:
        jittered = state.attempts.delay_s * self._random.uniform(0.5, 1.0)
        with anyio.move_on_after(min(jittered, state.at_most_s)):
            while isinstance(self._now, BackingOff):
                await self._changed()
        if isinstance(self._now, BackingOff):
            self._step(BackoffElapsed())

    async def _connect(self) -> None:
        async with self._permit() as permit:
            self._feed(PermitGranted())
            if isinstance(self._now, Reading):
                await self._read(permit, self._open(self._now))

    @asynccontextmanager
    async def _permit(self) -> AsyncIterator[StreamPermit]:
        """Holds a permit for one of the streams that all readers share."""
        self._note_view()
        permit = self._limiter.request(draining=self._now.run_ended)
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
        await self._run_ended()
        permit.promote()

    # One stream

    async def _read(
        self, permit: StreamPermit, stream: AbstractAsyncContextManager[AsyncIterator[bytes]]
    ) -> None:
        """Reads one stream until it ends, or is left."""
        connection = Connection(permit, silence_s=self._silence_s(), slice_elapsed=self._slice_elapsed)
        async with anyio.create_task_group() as group:
            if not self._now.run_ended:
                group.start_soon(self._shorten_when_ended, connection, name=f"log-end {self._pod.name}")
            try:
                with connection.scope:
                    await self._take_all(connection, connection.opened(stream, group, name=self._pod.name))
                if isinstance(self._now, Reading) and connection.failure is None:
                    self._feed(SilenceElapsed(current_time()))
            finally:
                connection.close()
        if connection.failure is not None:
            raise connection.failure

    async def _take_all(
        self, connection: Connection, opened: AbstractAsyncContextManager[AsyncIterator[bytes]]
    ) -> None:
        try:
            async with opened as batches:
                await self._take(connection, batches)
        except PodrunnerError as error:
            if isinstance(self._now, Reading):
                self._feed(StreamFailed(error, current_time()))
            elif isinstance(self._now, Delivering | Detached):
                connection.failure = error
            # Else it comes from closing a stream that is read to its end, or left.
        except Exception as error:  # noqa: BLE001  # a sink's: raised again outside of the task group
            connection.failure = error

    async def _take(self, connection: Connection, batches: AsyncIterator[bytes]) -> None:
        """Hands on what comes, until the stream ends or is left."""
        lines = LineAssembler()
        async for data in batches:
            if not connection.pause():
                return
            self._feed(LinesReceived(lines.feed(data), current_time()))
            del data  # a batch must not stay in memory while nothing comes
            if not isinstance(self._now, Delivering):
                return
            await self._deliver()
            self._feed(Delivered())
            if not isinstance(self._now, Reading):
                return
            connection.resume(self._silence_s())
        if connection.pause():
            self._feed(StreamEnded(lines.rest(), current_time()))

    def _open(self, state: Reading) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._source.stream_log(
            self._pod.namespace,
            self._pod.name,
            container=state.cursor.container,
            follow=state.follow,
            timestamps=True,
            since_time=self._since(state),
            tail_lines=state.tail_lines,
            previous=state.view.restart > state.cursor.restart,
        )

    def _since(self, state: Reading) -> str | None:
        if state.whole or state.tail_lines:  # not without a time: other last lines may stand there instead
            return self._limits.since or _WHOLE
        return since_time(state.cursor) or self._limits.since

    def _slice_elapsed(self) -> bool:
        if isinstance(self._now, Reading | Delivering):
            self._feed(SliceElapsed())
        return not isinstance(self._now, Reading | Delivering)

    async def _shorten_when_ended(self, connection: Connection) -> None:
        with connection.until_closed():
            await self._run_ended()
            connection.shorten(self._silence_s())

    def _silence_s(self) -> float:
        """For how long the server may be silent: a container that has ended writes no more."""
        now, limits = self._now, self._limits
        if isinstance(now, Reading) and not now.follow:
            return limits.drain_s
        return min(limits.idle_s, limits.drain_s) if now.run_ended else limits.idle_s
