"""Where a log may be found: the local files, the pod itself, a worker's log server.

Each place gives a log as a stream of bytes, never as a whole, from any offset on. In which order they are asked, and
what is made of the stream, is :mod:`podrunner.logs.reader`.
"""

from __future__ import annotations

import zlib
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import anyio.to_thread
import msgspec

from podrunner.errors import ConfigError, LogError, NotFoundError
from podrunner.logs.files import FileLogSink, below_folder, container_log_path, safe_log_path
from podrunner.logs.kubelet_text import KubeletText, last_stamp
from podrunner.logs.leftovers import is_read_on
from podrunner.logs.lines import LineAssembler
from podrunner.logs.polled import follow_pod
from podrunner.logs.record import LogBatch, LogGap
from podrunner.logs.segments import LogFiles
from podrunner.workload.log_path import checked_log_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from podrunner.config import LogSettings
    from podrunner.kube.log_server import LogServer
    from podrunner.logs.kubelet_text import Separated
    from podrunner.logs.limiter import LogStreamLimiter
    from podrunner.logs.polled import PodLogSource

__all__ = ["FoundLog", "LocalFile", "LogPlace", "LogQuery", "PodLog", "ServerLog", "configured_places"]

_POLL_S: Final = 0.5
_UNREADABLE: Final = (OSError, EOFError, zlib.error)


class LogQuery(msgspec.Struct, frozen=True):
    """The log that is wanted; a place uses the fields that it knows.

    Attributes:
        log_path: The log's path below the log folder, or None if there is none. A local file's may be absolute, as
            ``pod.log_path`` is.
        namespace: The pod's namespace, or None if no pod is known.
        pod: The pod's name, or None.
        container: The container, or None for the main one.
        main_container: Name of the main container, whose file is ``log_path`` itself; "": the pod's default.
        host: The worker that serves its logs, or None: the pod's name, which is its host's name.
    """

    log_path: str | None = None
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    main_container: str = "base"
    host: str | None = None

    @property
    def file_path(self) -> str | None:
        """The path of the container's file below a log folder, or None."""
        if self.log_path is None:
            return None
        return container_log_path(
            self.log_path, self.container or self.main_container, main=self.main_container
        )


class FoundLog:
    """A log that was found, while its place is open.

    Attributes:
        source: Where: ``file``, ``pod`` or ``server``.
        header: Lines to show before the log, each beginning with ``***``.
        batches: Its bytes, without time stamps unless they are the file's.
    """

    def __init__(self, source: str, header: str, batches: AsyncIterator[bytes]) -> None:
        self.source = source
        self.header = header
        self.batches = batches


class LogPlace(Protocol):
    """Somewhere a log may be found."""

    def open(
        self, query: LogQuery, *, offset: int = 0, follow: bool = False
    ) -> AbstractAsyncContextManager[FoundLog | None]:
        """Opens the log; gives None if it is not here.

        Args:
            query: The log that is wanted.
            offset: How many bytes are left out.
            follow: Whether the stream goes on as long as the log is being written.

        Raises:
            OSError: It is here and cannot be read.
            PodrunnerError: Likewise.
        """
        ...


class LocalFile:
    """The files under a log folder, which the collector writes, or the task itself on a shared volume.

    Parts that were cut off are read before the file itself. A log is still being written while the cursor beside it,
    which stays until the pod is gone, does not say that its reader has come to the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def open(
        self, query: LogQuery, *, offset: int = 0, follow: bool = False
    ) -> AsyncIterator[FoundLog | None]:
        """Opens the file if there is one."""
        path = self._path(query.file_path)
        files = None if path is None else await anyio.to_thread.run_sync(_files, path, offset)
        if files is None or path is None:
            yield None
            return
        try:
            header = f"*** Reading local file: {path}"
            yield FoundLog("file", header, _FileBatches(files, path, follow=follow))
        finally:
            files.close()

    def _path(self, written: str | None) -> Path | None:
        """Returns the file of a log's path, which may be absolute if it is below the folder."""
        return None if written is None else safe_log_path(self._folder, below_folder(self._folder, written))


def _files(path: Path, offset: int) -> LogFiles | None:
    try:
        return LogFiles(path, offset=offset)
    except FileNotFoundError:
        return None


class _FileBatches:
    """What is in the files, and with ``follow`` what is still being written to them."""

    def __init__(self, files: LogFiles, path: Path, *, follow: bool) -> None:
        self._files = files
        self._cursor = FileLogSink(path).cursor_path
        self._follow = follow

    def __aiter__(self) -> _FileBatches:
        return self

    async def __anext__(self) -> bytes:
        while True:
            goes_on, data = await anyio.to_thread.run_sync(self._read_more)
            if data:
                return data
            if not goes_on:
                raise StopAsyncIteration
            await anyio.sleep(_POLL_S)

    def _read_more(self) -> tuple[bool, bytes]:
        # Before reading: what was written before the end is read.
        goes_on = self._follow and is_read_on(self._cursor)
        try:
            return goes_on, self._files.read()
        except _UNREADABLE as error:
            raise LogError(f"the log breaks off: {error}") from error


class PodLog:
    """The pod itself, while it is there. Followed, each line comes once, over broken connections too.

    Args:
        source: The API server.
        tail_lines: Only the last so many lines; None: all that the node has.
        since_time: Only from this RFC 3339 time on; None: all that the node has.
        timestamps: Whether each line keeps the node's time stamp.
        turns: The connections shared with other readers; None: as many as it takes.
    """

    def __init__(
        self,
        source: PodLogSource,
        *,
        tail_lines: int | None = None,
        since_time: str | None = None,
        timestamps: bool = False,
        turns: LogStreamLimiter | None = None,
    ) -> None:
        self._source = source
        self._tail_lines = tail_lines
        self._since_time = since_time
        self._timestamps = timestamps
        self._limiter = turns

    @asynccontextmanager
    async def open(
        self, query: LogQuery, *, offset: int = 0, follow: bool = False
    ) -> AsyncIterator[FoundLog | None]:
        """Opens what the node still has."""
        if query.namespace is None or query.pod is None:
            yield None
            return
        async with AsyncExitStack() as stack:
            try:
                content = await (self._followed if follow else self._read)(query, stack)
            except NotFoundError:
                found = None
            else:
                header = f"*** Reading the log of pod {query.namespace}/{query.pod} from the API server"
                found = FoundLog("pod", header, _Beyond(content, offset))
            yield found

    async def _read(self, query: LogQuery, stack: AsyncExitStack) -> AsyncIterator[bytes]:
        if self._limiter is not None:
            await stack.enter_async_context(self._limiter.drain())
        log = self._source.stream_log(
            query.namespace or "",
            query.pod or "",
            container=query.container or query.main_container or None,
            tail_lines=self._tail_lines,
            timestamps=True,
            since_time=self._since_time,
        )
        container = query.container or query.main_container
        batches = await stack.enter_async_context(log)
        return _PodBatches(batches, container=container, timestamps=self._timestamps)

    async def _followed(self, query: LogQuery, stack: AsyncExitStack) -> AsyncIterator[bytes]:
        log = follow_pod(
            self._source,
            query.namespace or "",
            query.pod or "",
            container=query.container or query.main_container or None,
            tail_lines=self._tail_lines,
            since_time=self._since_time,
            limiter=self._limiter,
        )
        return _FollowedBatches(await stack.enter_async_context(log), timestamps=self._timestamps)


class _FollowedBatches:
    """A followed log as bytes: a gap is a line of it."""

    def __init__(self, items: AsyncIterator[LogBatch | LogGap], *, timestamps: bool) -> None:
        self._items = items
        self._timestamps = timestamps

    def __aiter__(self) -> _FollowedBatches:
        return self

    async def __anext__(self) -> bytes:
        item = await anext(self._items)
        return f"{item}\n".encode() if isinstance(item, LogGap) else item.content(timestamps=self._timestamps)


class _PodBatches:
    """A pod's log as the node has it, in whole lines; what the kubelet cannot give is a gap, as a line of it."""

    def __init__(self, batches: AsyncIterator[bytes], *, container: str, timestamps: bool) -> None:
        self._batches = aiter(batches)
        self._container = container
        self._timestamps = timestamps
        self._lines = LineAssembler()
        self._kubelet = KubeletText()
        self._last_stamp = ""
        self._ended = False

    def __aiter__(self) -> _PodBatches:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            try:
                content = self._content(self._kubelet.separate(self._lines.feed(await anext(self._batches))))
            except StopAsyncIteration:
                self._ended = True
                content = self._content(self._kubelet.end(self._lines.rest())) + self._gap()
            if content:
                return content
        raise StopAsyncIteration

    def _content(self, found: Separated) -> bytes:
        self._kubelet = found.then
        self._last_stamp = last_stamp(found.lines) or self._last_stamp
        return LogBatch("", 0, found.lines).content(timestamps=self._timestamps)

    def _gap(self) -> bytes:
        gap = self._kubelet.gap(self._container, after=self._last_stamp)
        return b"" if gap is None else f"{gap}\n".encode()


class _Beyond:
    """What comes after so many bytes."""

    def __init__(self, batches: AsyncIterator[bytes], skip: int) -> None:
        self._batches = batches
        self._skip = skip

    def __aiter__(self) -> _Beyond:
        return self

    async def __anext__(self) -> bytes:
        while True:
            data = await anext(self._batches)
            skipped, self._skip = self._skip, max(0, self._skip - len(data))
            if len(data) > skipped:
                return data[skipped:]


class ServerLog:
    """A worker's log server.

    Args:
        url: Template of its URLs: ``http://{host}:8793/log/{path}`` is Airflow's.
        secret: Signs the requests as Airflow's servers demand; None: unsigned. Never shown.
    """

    def __init__(self, url: str, *, secret: str | None = None) -> None:
        self._connect = partial(_server, url, secret)

    @asynccontextmanager
    async def open(
        self, query: LogQuery, *, offset: int = 0, follow: bool = False
    ) -> AsyncIterator[FoundLog | None]:
        """Opens the file if the server has it. The server marks no end: it is never followed."""
        del follow
        if query.file_path is None:
            yield None
            return
        path, host = checked_log_path(query.file_path), query.host or query.pod
        async with self._connect().open(path, host=host, offset=offset) as served:
            if served is None:
                yield None
                return
            yield FoundLog("server", f"*** Fetching from: {served.url}", served.batches)


def configured_places(settings: LogSettings, pod: PodLog | None = None) -> list[LogPlace]:
    """The places that a configuration knows, in the order in which they are asked; the pod in between."""
    places: list[LogPlace] = []
    if settings.folder is not None:
        places.append(LocalFile(settings.folder))
    if pod is not None:
        places.append(pod)
    if settings.server_url is not None:
        key = settings.server_secret_key
        places.append(
            ServerLog(settings.server_url, secret=key.get_secret_value() if key is not None else None)
        )
    return places


def _server(url: str, secret: str | None) -> LogServer:
    try:
        from podrunner.kube.log_server import LogServer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"reading from a log server needs {error.name}, which is not installed",
            key="logs.server_url",
            remedy="Install podrunner[httpx].",
        ) from error
    return LogServer(url, secret=secret)
