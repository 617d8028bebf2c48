"""Collects the logs of one pod: one follower per container, each with its sinks.

An error here is counted in :class:`LogStatus` and logged once; it never changes the workload's outcome. Starting a
collector, and deleting the pod after its end, is the runner's business.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import msgspec

from podrunner.logs.cursor import LogCursor
from podrunner.logs.follow import ContainerFollower, LogSource, PodAddress
from podrunner.logs.record import LogBatch, LogGap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from podrunner.logs.container_state import PodState
    from podrunner.logs.limiter import LogStreamLimiter
    from podrunner.logs.sinks import LogSink, SinkFactory
    from podrunner.logs.states import FollowLimits

__all__ = ["LogCollector", "LogStatus"]

_logger = logging.getLogger(__name__)


class LogStatus(msgspec.Struct):
    """How the collection of a pod's logs stands.

    Attributes:
        complete: Whether every container's log was read to its end (gaps are listed in ``gaps``).
        bytes_read: Bytes of log taken, with time stamps.
        gaps: The gaps found so far, at most the first hundred.
        errors: Messages of the first ten errors at most; each ended one sink or one container's log.
    """

    complete: bool = False
    bytes_read: int = 0
    gaps: list[LogGap] = msgspec.field(default_factory=list)
    errors: list[str] = msgspec.field(default_factory=list)


class LogCollector:
    """The logs of one pod.

    Args:
        source: The API server.
        pod: Which pod.
        state: Its state.
        containers: Names of the containers to collect.
        sinks: Per container a fresh set of sinks.
        limits: How long to wait for what.
        limiter: The connections shared with other readers; None: as many as it takes.
        on_trouble: Called with each gap, and with the message of each error, as it happens.
        may_write: Whether the pod is still this runner's: once it is not, a successor writes to the same files.
        random: Source of jitter.
    """

    _MOST_GAPS = 100
    _MOST_ERRORS = 10

    def __init__(  # noqa: PLR0913  # what following needs, and what collecting adds
        self,
        source: LogSource,
        pod: PodAddress,
        state: PodState,
        *,
        containers: Sequence[str],
        sinks: Sequence[SinkFactory],
        limits: FollowLimits | None = None,
        limiter: LogStreamLimiter | None = None,
        on_trouble: Callable[[LogGap | str], None] | None = None,
        may_write: Callable[[], bool] = lambda: True,
        random: Random | None = None,
    ) -> None:
        self.status: LogStatus = LogStatus()
        self.done: anyio.Event = anyio.Event()
        self._source = source
        self._pod = pod
        self._state = state
        self._containers = tuple(containers)
        self._open = set(self._containers)  # containers with logs that are not read to their end
        self._one_done = anyio.Event()
        self._sinks = tuple(sinks)
        self._limits = limits
        self._limiter = limiter
        self._on_trouble = on_trouble or (lambda _: None)
        self._may_write = may_write
        self._random = random
        self._scope = anyio.CancelScope()

    def stop(self) -> None:
        """Reads and writes nothing any more: the pod is another runner's."""
        self._scope.cancel()

    def may_write(self) -> bool:
        """Whether something may be written to the sinks."""
        return self._may_write() and not self._scope.cancel_called

    async def run(self) -> None:
        """Collects until it is stopped, or each log is complete or beyond reach. Raises cancellation only."""
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    for container in self._containers:
                        group.start_soon(self._collect, container, name=f"log {self._pod.name}/{container}")
        finally:
            self.done.set()
            self._one_done.set()

    async def drained(self, main: str) -> None:
        """Returns when every log that has an end was read to it: of the main container, and of all that are over.

        Also when the collector has ended before. A sidecar that goes on is not waited for: it ends only when the pod is
        deleted.
        """
        while not self.done.is_set() and any(
            name == main or self._state.container(name).final for name in self._open
        ):
            await self._one_done.wait()

    async def _collect(self, container: str) -> None:
        if await self._begins(container):
            await self._follow(container)
        self._open.discard(container)
        self.status.complete = self.may_write() and not (self._open or self.status.errors)
        self._one_done.set()
        self._one_done = anyio.Event()

    async def _begins(self, container: str) -> bool:
        """Waits for a container to start. False: it never will; it leaves no log, and no empty file."""
        while not (view := self._state.container(container)).started:
            if view.final:
                return False
            await self._state.changed()
        return True

    async def _follow(self, container: str) -> None:
        if not self.may_write():
            return
        outlet = _Outlet(self)
        cursor = await outlet.open(self._sinks, self._pod.uid, container)
        follower = ContainerFollower(
            self._source,
            self._pod,
            self._state,
            outlet.emit,
            cursor=cursor,
            limits=self._limits,
            limiter=self._limiter,
            random=self._random,
        )
        try:
            await follower.run()
        except _NotOursError:
            pass
        except Exception as error:  # noqa: BLE001  # an error of a log never fails a pod
            self.report(f"log of {container}: {error!r}")
        finally:
            with anyio.CancelScope(shield=True):
                await outlet.close(follower.cursor)

    def report(self, problem: str) -> None:
        """Counts a problem, logs it and reports it."""
        if len(self.status.errors) < self._MOST_ERRORS:
            self.status.errors.append(problem)
        _logger.warning(
            "log of pod %s: %s", self._pod.name, problem, extra={"pod": self._pod.name, "uid": self._pod.uid}
        )
        self._on_trouble(problem)

    def count(self, item: LogBatch | LogGap) -> None:
        """Counts an item that is emitted."""
        if isinstance(item, LogBatch):
            self.status.bytes_read += len(item.data)
            return
        if len(self.status.gaps) < self._MOST_GAPS:
            self.status.gaps.append(item)
        self._on_trouble(item)


class _NoSinkLeftError(Exception):
    """Not one of podrunner's errors, which following takes for the connection's."""


class _NotOursError(Exception):
    """Not one of podrunner's errors, which following takes for the connection's."""


class _Outlet:
    """One container's sinks; a sink that fails is left out from then on."""

    def __init__(self, collector: LogCollector) -> None:
        self._collector = collector
        self._sinks: list[LogSink] = []

    async def open(self, factories: Sequence[SinkFactory], uid: str, container: str) -> LogCursor:
        """Makes and opens all sinks; returns the first cursor that a sink remembers."""
        cursors: list[LogCursor | None] = []
        for factory in factories:
            try:
                sink = factory(container)
                cursors.append(await sink.open(uid=uid, container=container))
            except Exception as error:  # noqa: BLE001  # a sink may raise anything
                self._collector.report(f"sink of {container}: {error!r}")
            else:
                self._sinks.append(sink)
        return next((cursor for cursor in cursors if cursor is not None), LogCursor(uid, container))

    async def emit(self, item: LogBatch | LogGap, cursor: LogCursor) -> None:
        """Gives the item to each sink, one after the other.

        Raises:
            _NoSinkLeftError: No sink is left.
            _NotOursError: The pod is another runner's.
        """
        if not self._collector.may_write():
            raise _NotOursError
        if not self._sinks:
            raise _NoSinkLeftError("every sink failed")
        self._collector.count(item)
        for sink in tuple(self._sinks):
            try:
                await (sink.write(item, cursor) if isinstance(item, LogBatch) else sink.gap(item, cursor))
            except Exception as error:  # noqa: BLE001  # a sink may raise anything
                self._drop(sink, error)

    async def close(self, cursor: LogCursor) -> None:
        """Closes each sink."""
        for sink in tuple(self._sinks):
            try:
                await sink.close(cursor)
            except Exception as error:  # noqa: BLE001  # a sink may raise anything
                self._drop(sink, error)

    def _drop(self, sink: LogSink, error: Exception) -> None:
        self._sinks.remove(sink)
        self._collector.report(f"{type(sink).__name__}: {error!r}")
