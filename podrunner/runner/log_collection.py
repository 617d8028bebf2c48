"""Which pods' logs are collected, when, and into which sinks. How a log is read belongs to ``podrunner.logs``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

import anyio

from podrunner.builder.result import RESULT_CONTAINER
from podrunner.log_fields import pod_fields
from podrunner.logs import (
    FileLogSink,
    FollowLimits,
    LogCollector,
    LogStreamLimiter,
    container_log_path,
    safe_log_path,
)
from podrunner.ownership import adoptions_of
from podrunner.runner.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

    from podrunner.config import RunnerConfig
    from podrunner.logs import LogGap, LogSource, SinkFactory
    from podrunner.runner.context import Fence
    from podrunner.runner.event_queue import EventBus
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPod

__all__ = ["LogCollection"]

_logger = logging.getLogger(__name__)


class LogCollection:
    """Starts a collector for each pod whose log is wanted by the configuration or by sinks of the caller's own.

    Args:
        source: The API server.
        config: Its ``logs`` are read.
        tasks: Where collectors run.
        random: Source of jitter.
        extra_sinks: Makes an embedder's own sinks for a pod; None: none.
        bus: Takes an event for each gap or trouble of a log.
        fence: Whether the runner is still the owner of its pods: without its Lease it writes nothing.
        owner: The runner's name, which cursor files bear.
        lease: Returns the UID of its Lease, which they bear too.

    Attributes:
        limiter: The connections that all readers of logs share.
        troubles: Gaps and other troubles with logs, ever.
    """

    def __init__(  # noqa: PLR0913  # the engine wires it
        self,
        source: LogSource,
        config: RunnerConfig,
        *,
        tasks: SupervisedTasks,
        random: Random,
        extra_sinks: Callable[[TrackedPod], Sequence[SinkFactory]] | None,
        bus: EventBus,
        fence: Fence,
        owner: str = "",
        lease: Callable[[], str] = lambda: "",
    ) -> None:
        self.troubles: int = 0
        self.limiter: LogStreamLimiter = LogStreamLimiter(config.logs.max_follows, turn_s=config.logs.turn_s)
        self._source = source
        self._config = config
        self._tasks = tasks
        self._random = random
        self._extra_sinks = extra_sinks
        self._bus = bus
        self._fence = fence
        self._owner = owner
        self._lease = lease
        self._writing: set[str] = set()  # UIDs of the pods whose log files are not forgotten
        self._writers: WeakValueDictionary[Path, TrackedPod] = WeakValueDictionary()  # the last of each file

    def begin(self, tracked: TrackedPod) -> None:
        """Starts collecting once one of the wanted containers has started, if that is wanted at all."""
        follow = self._config.logs.follow
        if follow in {"off", "on-demand"} or tracked.is_collected or tracked.is_relinquished:
            return
        containers = self._containers(tracked)
        if not any(tracked.container(name).started for name in containers):
            return
        tracked.is_collected = True
        sinks = [*self._file_sinks(tracked), *self._sinks_of_caller(tracked)]
        if sinks:
            self._collect(tracked, sinks, containers, follow=follow == "all")

    def is_writing(self, uid: str) -> bool:
        """Whether the log files of a pod are this runner's, and their cursors its to remove."""
        return uid in self._writing

    def leave(self, tracked: TrackedPod) -> None:
        """Stops collecting: the pod is another runner's, which goes on with the same files."""
        if tracked.collector is not None:
            tracked.collector.stop()
        self._writing.discard(tracked.uid)

    def remove_cursors(self, tracked: TrackedPod) -> None:
        """Removes the cursors of a pod that is gone: no successor will go on from them."""
        if tracked.files:
            self._tasks.start_soon(self.forget, tracked, name=f"log clean-up {tracked.name}", repeats=True)

    def _report(self, tracked: TrackedPod, trouble: LogGap | str) -> None:
        self.troubles += 1
        kind = EventKind.LOG_TROUBLE if isinstance(trouble, str) else EventKind.LOG_GAP
        self._bus.emit(tracked.event(kind, message=str(trouble)))

    def _containers(self, tracked: TrackedPod) -> tuple[str, ...]:
        wanted, main = self._config.logs.containers, tracked.main_container
        if wanted == "main" or tracked.pod is None:
            return (main,)
        spec = tracked.pod.spec
        every = [it.name for it in (*(spec.init_containers or ()), *(spec.containers or ()))]
        if wanted == "all":
            return tuple(name for name in every if name != RESULT_CONTAINER)  # which says nothing
        return tuple(name for name in every if name in wanted)

    def _collect(
        self, tracked: TrackedPod, sinks: Sequence[SinkFactory], containers: Sequence[str], *, follow: bool
    ) -> None:
        tracked.collector = LogCollector(
            self._source,
            tracked.address,
            tracked,
            containers=containers,
            sinks=sinks,
            limits=FollowLimits(follow=follow, drain_s=self._config.logs.drain_timeout_s),
            limiter=self.limiter,
            on_trouble=lambda trouble: self._report(tracked, trouble),
            may_write=lambda: self._fence.may_act() and not tracked.is_taken_over,
            may_write_in_thread=lambda: self._fence.may_write() and not tracked.is_taken_over,
            random=self._random,
            on_data=None if self._bus.hooks is None else self._bus.hooks.read,
        )
        self._tasks.start_soon(tracked.collector.run, name=f"log {tracked.name}")

    def _sinks_of_caller(self, tracked: TrackedPod) -> list[SinkFactory]:
        """Asks the embedder's function, once for each pod. Its error is that pod's: the log goes to the other sinks."""
        if self._extra_sinks is None:
            return []
        try:
            sinks = list(self._extra_sinks(tracked))
            wrong: list[object] = [sink for sink in sinks if not callable(cast("object", sink))]
            if wrong:
                raise TypeError(f"{type(wrong[0]).__name__} is no function that makes a sink")
        except Exception as error:  # noqa: BLE001  # it may raise anything
            problem = f"log_sinks failed: {error!r}"
            _logger.warning("log of pod %s: %s", tracked.name, problem, extra=pod_fields(tracked))
            self._report(tracked, problem)
            return []
        return sinks

    def _file_sinks(self, tracked: TrackedPod) -> list[SinkFactory]:
        logs, folder, relative = self._config.logs, self._config.logs.folder, tracked.log_path
        if folder is None or relative is None:
            return []

        def make(container: str) -> FileLogSink:
            path = safe_log_path(folder, container_log_path(relative, container, main=tracked.main_container))
            self._note_writer(path, tracked)
            sink = FileLogSink(
                path,
                timestamps=logs.timestamps,
                max_bytes=logs.max_file_bytes,
                compress=logs.compress,
                owner=self._owner,
                lease=self._lease(),
                namespace=tracked.namespace,
                may_write=lambda: tracked.collector is not None and tracked.collector.may_write_in_thread(),
                adoptions=adoptions_of(tracked.pod) if tracked.pod is not None else 0,
            )
            tracked.files.append(sink)
            self._writing.add(tracked.uid)
            return sink

        return [make]

    def _note_writer(self, path: Path, tracked: TrackedPod) -> None:
        """Reports it if another pod's log goes into the same file just now: their lines and cursors mingle there."""
        other = self._writers.get(path)
        self._writers[path] = tracked
        if other is None or other is tracked or other.collector is None or other.collector.done.is_set():
            return
        problem = f"{path} has the log of pod {other.name} too: give each workload a log_path of its own"
        _logger.warning("log of pod %s: %s", tracked.name, problem, extra=pod_fields(tracked))
        self._report(tracked, problem)

    async def forget(self, tracked: TrackedPod) -> None:
        """Waits until the log of a pod that is gone is collected, and removes its cursors."""
        # Shielded: the runner is often closed just now. It ends the collector too, so that the wait is short.
        with anyio.CancelScope(shield=True):
            if tracked.collector is not None:
                await tracked.collector.done.wait()
            for sink in tracked.files:
                try:
                    await sink.forget()
                except OSError as error:
                    _logger.info("a log's cursor was not removed: %s", error)
            self._writing.discard(tracked.uid)
