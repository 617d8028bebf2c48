"""Collects the logs of one pod: one follower per container, each with its sinks.

An error here is counted in :class:`LogStatus` and logged once; it never changes the workload's outcome. Starting a
collector, and deleting the pod after its end, is the runner's business.
"""

from __future__ import annotations

import logging
from random import Random
from typing import TYPE_CHECKING

import anyio
import msgspec

from podrunner.event_loop import Event, make_event
from podrunner.log_fields import pod_fields
from podrunner.logs.follow import ContainerFollower, LogSource, PodAddress
from podrunner.logs.outlet import CLOSE_S, NotOursError, SinkOutlet
from podrunner.logs.record import LogBatch, LogGap
from podrunner.logs.states import FollowLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podrunner.logs.container_state import ContainerView, PodState
    from podrunner.logs.cursor import LogCursor
    from podrunner.logs.limiter import LogStreamLimiter
    from podrunner.logs.sinks import SinkFactory

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
        may_write: Whether the pod is still this runner's: once it is not, a successor writes to the same files. Asked
            in the event loop.
        may_write_in_thread: The same, for worker threads; None: ``may_write``.
        random: Source of jitter.
        on_data: Called with each piece of a log that is emitted; None: nothing is.
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
        may_write_in_thread: Callable[[], bool] | None = None,
        random: Random | None = None,
        on_data: Callable[[bytes], None] | None = None,
    ) -> None:
        self.status: LogStatus = LogStatus()
        self.done: Event = make_event()
        self._source = source
        self._pod = pod
        self._state = state
        self._containers = tuple(containers)
        self._open = set(self._containers)  # containers with logs that are not read to their end
        self._one_done = make_event()
        self._sinks = tuple(sinks)
        self._limits = limits or FollowLimits()
        self._limiter = limiter
        self._on_trouble = on_trouble or (lambda _: None)
        self._may_write = may_write
        self._may_write_in_thread = may_write_in_thread or may_write
        self._random = random or Random()  # noqa: S311  # jitter, not a secret
        self._on_data = on_data
        self._scope = anyio.CancelScope()
        self._is_stopped = False
        self._is_last = False

    def stop(self) -> None:
        """Reads and writes nothing any more: the pod is another runner's."""
        self._is_stopped = True
        self._scope.cancel()

    def note_last(self) -> None:
        """No other runner will read on: what is not read when the collector is cancelled is lost, and gets its gap."""
        self._is_last = True

    def may_write(self) -> bool:
        """Whether something may be written to the sinks."""
        return self._may_write() and not self._is_stopped

    def may_write_in_thread(self) -> bool:
        """Whether something may be written to the sinks. For worker threads."""
        return self._may_write_in_thread() and not self._is_stopped

    def view(self, container: str) -> ContainerView:
        """A container as it is now known."""
        return self._state.container(container)

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
        try:
            if await self._begins(container):
                await self._follow(container)
        except NotOursError:
            pass
        except Exception as error:  # noqa: BLE001  # an error of a log never fails a pod
            self.report(f"log of {container}: {error!r}")
        self._open.discard(container)
        self.status.complete = self.may_write() and not (self._open or self.status.errors)
        self._one_done.set()
        self._one_done = make_event()

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
        outlet = SinkOutlet(self, self._pod.uid, container, drain_s=self._limits.drain_s, random=self._random)
        follower: ContainerFollower | None = None
        try:
            follower = self._follower(outlet, await outlet.open(self._sinks))
            await follower.run()
            await outlet.settle()
            await outlet.close(follower.cursor)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_S):
                is_last = self._is_last or self._state.container(container).gone
                if is_last and self.may_write():
                    await (follower or self._follower(outlet, outlet.start)).give_up()
                else:
                    outlet.leave_unopened()
            raise
        finally:
            cursor = outlet.start if follower is None else follower.cursor
            with anyio.CancelScope(shield=True):
                await outlet.close(cursor, is_hurried=True)

    def _follower(self, outlet: SinkOutlet, cursor: LogCursor) -> ContainerFollower:
        return ContainerFollower(
            self._source,
            self._pod,
            self._state,
            outlet.emit,
            cursor=cursor,
            limits=self._limits,
            limiter=self._limiter,
            random=self._random,
        )

    def report(self, problem: str) -> None:
        """Counts a problem, logs it and reports it."""
        if len(self.status.errors) < self._MOST_ERRORS:
            self.status.errors.append(problem)
        _logger.warning("log of pod %s: %s", self._pod.name, problem, extra=pod_fields(self._pod))
        self._on_trouble(problem)

    def count(self, item: LogBatch | LogGap) -> None:
        """Counts an item that is emitted."""
        if isinstance(item, LogBatch):
            self.status.bytes_read += len(item.data)
            if self._on_data is not None:
                self._on_data(item.data)
            return
        if len(self.status.gaps) < self._MOST_GAPS:
            self.status.gaps.append(item)
        self._on_trouble(item)
