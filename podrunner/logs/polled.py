"""Follows the log of a pod without a watch, each line once: the pod is polled whenever a connection has ended.

A runner's watch covers its own pods; this is for any pod, as ``podrunner logs --follow`` shows it. How a log is
followed over broken connections is :mod:`podrunner.logs.follow`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from podrunner.errors import LogError, NotFoundError, PodrunnerError
from podrunner.event_loop import make_event
from podrunner.logs.container_state import container_view
from podrunner.logs.cursor import LogCursor
from podrunner.logs.follow import ContainerFollower, LogSource, PodAddress
from podrunner.logs.record import LogBatch, LogGap
from podrunner.logs.states import FollowLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from podrunner.logs.container_state import ContainerView
    from podrunner.logs.limiter import LogStreamLimiter
    from podrunner.outcome.record import Pod

__all__ = ["PodLogSource", "follow_pod"]

# A quiet container that waits for its image, or whose connection hangs, is noticed to have ended within that time.
_POLL_EVERY_S: Final = 5.0
_BATCHES_WAITING: Final = 8
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


class PodLogSource(LogSource, Protocol):
    """The two verbs that this needs of ``podrunner.kube``."""

    async def read_pod(self, namespace: str, name: str) -> Pod:
        """Reads a pod."""
        ...


@asynccontextmanager
async def follow_pod(
    source: PodLogSource,
    namespace: str,
    name: str,
    *,
    container: str | None = None,
    tail_lines: int | None = None,
    since_time: str | None = None,
    limiter: LogStreamLimiter | None = None,
) -> AsyncIterator[AsyncIterator[LogBatch | LogGap]]:
    """Opens a container's log, to its end: of the last run, where the container is restarted.

    Args:
        source: The API server.
        namespace: The pod's namespace.
        name: The pod's name.
        container: The container; None: the one that the pod names as its default, or its first.
        tail_lines: Begin with the last so many lines, as of the first connection that gives any; None: all.
        since_time: Begin at this RFC 3339 time; None: at the beginning.
        limiter: The connections shared with other readers; None: as many as it takes.

    Raises:
        NotFoundError: There is no such pod.
        LogError: It has no such container.
        PodrunnerError: It cannot be read.
    """
    pod = await source.read_pod(namespace, name)
    polled = _PolledPod(source, pod, _chosen_container(pod, container), tail_lines, since_time)
    send, receive = anyio.create_memory_object_stream[LogBatch | LogGap](_BATCHES_WAITING)
    follower = ContainerFollower(
        polled,
        PodAddress(namespace, name, pod.metadata.uid),
        polled,
        lambda item, _: send.send(item),
        cursor=LogCursor(pod.metadata.uid, polled.name, polled.first_run),
        limits=FollowLimits(since=since_time),
        limiter=limiter,
    )
    batches, failure = _Batches(receive), None
    async with anyio.create_task_group() as group, receive:
        group.start_soon(polled.keep_polling, name=f"poll {name}")
        group.start_soon(batches.fill, follower, send, name=f"log {name}")
        try:
            yield batches
        except Exception as error:  # noqa: BLE001  # raised below: a task group would wrap the caller's own error
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _chosen_container(pod: Pod, wanted: str | None) -> str:
    names = [spec.name for spec in (*(pod.spec.containers or ()), *(pod.spec.init_containers or ()))]
    chosen = wanted or (pod.metadata.annotations or {}).get(_DEFAULT_CONTAINER) or names[0]
    if chosen not in names:
        raise LogError(f"pod {pod.metadata.name} has no container {chosen!r}, only {', '.join(names)}")
    return chosen


class _Batches:
    """What the follower emits."""

    def __init__(self, receive: MemoryObjectReceiveStream[LogBatch | LogGap]) -> None:
        self._receive = receive
        self._error: PodrunnerError | None = None

    async def fill(
        self, follower: ContainerFollower, send: MemoryObjectSendStream[LogBatch | LogGap]
    ) -> None:
        with send:
            try:
                await follower.run()
            except PodrunnerError as error:
                self._error = error

    def __aiter__(self) -> _Batches:
        return self

    async def __anext__(self) -> LogBatch | LogGap:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None


class _PolledPod:
    """The pod's state, and its log: after each connection the pod is read, so that its end is known."""

    def __init__(
        self, source: PodLogSource, pod: Pod, name: str, tail_lines: int | None, since_time: str | None
    ) -> None:
        self.name = name
        self._source = source
        self._pod = pod
        self._tail_lines = tail_lines
        self._since_time = since_time
        self._gone = False
        self._has_connected = False
        self._change = make_event()
        self.first_run = self.container(name).restart

    def container(self, name: str) -> ContainerView:
        return container_view(self._pod, name, gone=self._gone)

    async def changed(self) -> None:
        await self._change.wait()

    async def keep_polling(self) -> None:
        while not self._gone:
            await anyio.sleep(_POLL_EVERY_S)
            await self._poll()

    async def _poll(self) -> None:
        meta = self._pod.metadata
        try:
            found = await self._source.read_pod(meta.namespace, meta.name)
        except NotFoundError:
            self._gone = True
        except PodrunnerError:
            return  # nothing is concluded from a poll that failed; the next one follows
        else:
            self._gone = found.metadata.uid != meta.uid
            self._pod = self._pod if self._gone else found
        self._change.set()
        self._change = make_event()

    def _reads_first(self, options: dict[str, Any]) -> bool:
        if self._since_time is None:
            return options.get("since_time") is None
        # The time of the last line that was read may be the same second.
        return not self._has_connected

    @asynccontextmanager
    async def stream_log(
        self, namespace: str, name: str, **options: Any
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        # Only where nothing was read yet: a node selects the last lines first, and by time afterwards.
        if self._reads_first(options) and self.container(self.name).restart == self.first_run:
            options["tail_lines"] = self._tail_lines
        self._has_connected = True
        try:
            async with self._source.stream_log(namespace, name, **options) as batches:
                yield batches
        finally:
            await self._poll()
