"""A pod's log as a stream of lines: what ``pod.logs()`` returns.

The reading (:class:`PodLogReading`) is done by a task of the runner's, which hands whole batches over a short queue;
iterating therefore holds no task group and no connection of its own, may stop anywhere, and may be done from any task
or, in batches, from another thread. How lines are read from the server belongs to :mod:`podrunner.logs`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import anyio
from anyio.lowlevel import checkpoint, current_token

from podrunner.errors import LogError, PodrunnerError
from podrunner.logs import (
    ContainerFollower,
    ContainerView,
    FollowLimits,
    GapReason,
    LocalFile,
    LogBatch,
    LogCursor,
    LogGap,
    LogLine,
    LogQuery,
)
from podrunner.logs.lines import LineAssembler
from podrunner.runner.iteration import iter_items

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from podrunner.runner.context import RunnerContext
    from podrunner.runner.tracked import TrackedPod

__all__ = ["AsyncLogStream", "PodLogReading", "next_lines", "next_records"]

T = TypeVar("T")

# Batches of at most 64 KiB or so: enough to keep reader and writer busy, too few to matter in memory.
_BATCHES_WAITING: Final = 8

# To wake another thread costs as much as to read a batch or two. So where a log flows, its reader gets what comes in
# these rounds of the event loop at once, about 1 MB; a batch takes two or three rounds. A log that is quiet ends the
# waiting: all of it is less than the waking of the thread.
_ROUNDS: Final = 24
_QUIET_ROUNDS: Final = 3

Item = LogBatch | LogGap | list[str]
"""A list is text without time stamps: lines of a local file."""
Put = Callable[[Item], Awaitable[None]]


class AsyncLogStream:
    """The lines of a container's log, each once and in order.

    Iterate over it (``async for line in pod.logs()``), or enter it first (``async with pod.logs() as lines``) to be
    sure that leaving early ends the reading at once. A gap appears as a line that begins with ``*** Log gap``, and in
    ``gaps``.

    Attributes:
        gaps: The gaps met so far.
    """

    def __init__(
        self,
        produce: Callable[[Put], Awaitable[None]],
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        *,
        timestamps: bool = False,
        rest: Callable[[], LogGap] | None = None,
    ) -> None:
        self.gaps: list[LogGap] = []
        self._start = start
        self._rest = rest  # the gap in place of what is not read when the runner ends the reading
        self._timestamps = timestamps
        self._pump = _Pump(produce)
        self._receive: MemoryObjectReceiveStream[Item] | None = None
        self._held: list[Item] = []
        self._home: object = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[str]:
        return iter_items(self.next_lines)

    def __del__(self) -> None:
        # Dropped half-read: the reading task, which knows only the other end of the queue, comes to its end.
        if self._receive is not None and _event_loop() == self._home:
            self.close()

    async def next_lines(self) -> list[str]:
        """The next lines, as many as came together, at least one; an empty list at the end.

        Raises:
            PodrunnerError: The log cannot be read at all.
        """
        return await self._taken(self._texts)

    async def next_records(self) -> list[LogLine | LogGap]:
        """Like :meth:`next_lines`, as records: with time stamp, container and restart; gaps as gaps."""
        return await self._taken(_records)

    def records(self) -> AsyncIterator[LogLine | LogGap]:
        """Iterates over records instead of lines."""
        return iter_items(self.next_records)

    def close(self) -> None:
        """Ends the reading."""
        self._held = []
        if _event_loop() is not None:  # else it has ended, and the reading with it
            self._pump.scope.cancel()
        if self._receive is not None:
            self._receive.close()

    def _texts(self, item: Item) -> list[str]:
        if isinstance(item, LogBatch):
            return item.texts(timestamps=self._timestamps)
        return [str(item)] if isinstance(item, LogGap) else item

    async def _taken(self, read: Callable[[Item], list[T]], *, rounds: int = 0) -> list[T]:
        """What is read from all items that wait, or from the next one that holds anything; [] at the end."""
        found: list[T] = []
        while not found and (items := await self._waiting(rounds)):
            for item in items:
                found += read(item)
        return found

    async def _waiting(self, rounds: int) -> list[Item]:
        receive = self._open()
        try:
            items = self._held or [await receive.receive()]
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self.close()
            if self._pump.error is not None:
                raise self._pump.error from None
            return self._cut_off()
        _take_waiting(receive, items)
        self._held = items  # a call that is cancelled gives nothing: the next one gives them
        if rounds:
            await _take_coming(receive, items, rounds)
        self._held = []
        self.gaps += [item for item in items if isinstance(item, LogGap)]
        return items

    def _cut_off(self) -> list[Item]:
        """The gap in place of what was not read, once, if the runner ended the reading."""
        if self._rest is None or not self._pump.is_cut_off:
            return []
        self._pump.is_cut_off = False
        gap = self._rest()
        self.gaps.append(gap)
        return [gap]

    def _open(self) -> MemoryObjectReceiveStream[Item]:
        if self._receive is None:
            self._home = _event_loop()
            send, self._receive = anyio.create_memory_object_stream[Item](_BATCHES_WAITING)
            try:
                self._start(partial(self._pump.run, send))
            except BaseException:
                send.close()
                self._receive.close()
                raise
        return self._receive


async def next_lines(stream: AsyncLogStream) -> list[str]:
    """The next lines for a caller in another thread: more at once, so that it is woken less often."""
    return await stream._taken(stream._texts, rounds=_ROUNDS)  # noqa: SLF001  # no method of the public class


async def next_records(stream: AsyncLogStream) -> list[LogLine | LogGap]:
    """The same, as records."""
    return await stream._taken(_records, rounds=_ROUNDS)  # noqa: SLF001


def _take_waiting(receive: MemoryObjectReceiveStream[Item], items: list[Item]) -> None:
    # The end is met again by the next call; another thread may close the stream meanwhile.
    with suppress(anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
        while True:
            items.append(receive.receive_nowait())


async def _take_coming(receive: MemoryObjectReceiveStream[Item], items: list[Item], rounds: int) -> None:
    """Takes also what comes in the next rounds of the event loop."""
    last = 0
    for number in range(rounds):
        await checkpoint()
        known = len(items)
        _take_waiting(receive, items)
        if len(items) > known:
            last = number
        elif number - last >= _QUIET_ROUNDS:
            return


class _Pump:
    """The reading task's half of a stream. It does not know the other half, which may be dropped at any time."""

    def __init__(self, produce: Callable[[Put], Awaitable[None]]) -> None:
        self.scope = anyio.CancelScope()
        self.error: PodrunnerError | None = None
        self.is_cut_off: bool = False
        self._produce = produce

    async def run(self, send: MemoryObjectSendStream[Item]) -> None:
        with self.scope, send:
            try:
                await self._produce(send.send)
            except anyio.BrokenResourceError:
                return  # the reader closed the stream
            except PodrunnerError as error:
                self.error = error
            except BaseException:
                self.is_cut_off = not self.scope.cancel_called  # by the runner, that is, not by the reader
                raise


def _event_loop() -> object:
    try:
        return current_token()
    except RuntimeError:
        return None


def _records(item: Item) -> list[LogLine | LogGap]:
    if isinstance(item, LogBatch):
        return [*item.records()]
    return [item] if isinstance(item, LogGap) else [LogLine(text) for text in item]


class PodLogReading:
    """One reading of a container's log: from the pod, or of a pod that is gone from the local file.

    Args:
        pod: The pod. It is not deleted while its log is read, up to ``logs.drain_timeout_s``.
        context: The runner's.
        container: The container's name.
        follow: Whether to go on until the container is over.
        since: Only lines from that time on, or of the last so many seconds before the reading begins; None: all.
    """

    def __init__(
        self,
        pod: TrackedPod,
        context: RunnerContext,
        container: str,
        *,
        follow: bool,
        since: datetime | float | None,
    ) -> None:
        self._pod = pod
        self._context = context
        self._container = container
        self._follow = follow
        self._since = since
        self._follower: ContainerFollower | None = None

    def rest(self) -> LogGap:
        """Returns the gap in place of what was not read when the runner was closed."""
        fresh = LogCursor(self._pod.uid, self._container)
        cursor = fresh if self._follower is None else self._follower.cursor
        return _rest_of(cursor, "the runner was closed before the log was read to its end")

    async def run(self, put: Put) -> None:
        """Reads the log and puts what is read.

        Raises:
            PodrunnerError: The log cannot be read at all.
        """
        if self._pod.is_gone:
            await self._read_file(put)
            return
        self._pod.begin_reading()
        try:
            await self._read_pod(put)
        finally:
            self._pod.end_reading()

    async def _read_pod(self, put: Put) -> None:
        pod, context = self._pod, self._context
        while self._follow and not (pod.uid or pod.state.is_ended):
            await pod.changed()
        restart = pod.container(self._container).restart
        self._follower = follower = ContainerFollower(
            context.client,
            pod.address,
            _Present(pod, follow=self._follow),
            lambda item, _: put(item),
            cursor=LogCursor(pod.uid, self._container, restart=restart),
            limits=FollowLimits(drain_s=context.config.logs.drain_timeout_s, since=_since_time(self._since)),
            limiter=context.limiter,
            random=context.random,
        )
        await follower.run()
        if self._follow and pod.is_relinquished:
            message = "this runner does not own the pod any more, and does not see its end"
            await put(_rest_of(follower.cursor, message))

    async def _read_file(self, put: Put) -> None:
        folder, pod = self._context.config.logs.folder, self._pod
        query = LogQuery(pod.log_path, container=self._container, main_container=pod.main_container)
        if folder is None:
            raise self._no_file()
        lines = LineAssembler()
        async with LocalFile(folder).open(query) as found:
            if found is None:
                raise self._no_file()
            async for batch in found.batches:
                await put(_decoded(lines.feed(batch)))
            await put(_decoded(lines.rest()))

    def _no_file(self) -> LogError:
        pod = self._pod
        return LogError(f"pod {pod.namespace}/{pod.name} is gone, and there is no local file of its log")


def _decoded(lines: bytes) -> list[str]:
    return lines.decode("utf-8", "replace").split("\n")[:-1]


def _rest_of(cursor: LogCursor, message: str) -> LogGap:
    after = cursor.stamp or None
    return LogGap(
        cursor.container, GapReason.UNAVAILABLE, after=after, message=message, restart=cursor.restart
    )


class _Present:
    """A pod's state, cut off at the present: what there is to read now is all that there will be.

    One that is followed is cut off when the runner does not own it any more: its end would never be seen.
    """

    def __init__(self, pod: TrackedPod, *, follow: bool) -> None:
        self._pod = pod
        self._follow = follow

    def container(self, name: str) -> ContainerView:
        view = self._pod.container(name)
        if self._follow and not self._pod.is_relinquished:
            return view
        return ContainerView(view.restart, view.started, ended=True, final=True, gone=view.gone)

    async def changed(self) -> None:
        await self._pod.changed()


def _since_time(since: datetime | float | None) -> str | None:
    if since is None:
        return None
    if isinstance(since, datetime):
        moment = since.astimezone(UTC)
    else:
        moment = datetime.fromtimestamp(datetime.now(UTC).timestamp() - since, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
