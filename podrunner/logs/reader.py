"""Reads the log of a finished or running task, wherever it is: the places are asked in order.

The first place is the local file that the collector (or the task itself, on a shared volume) wrote, under the
heading that Airflow gives it; the next is the pod, then a worker's log server. A place that has nothing is passed over;
one that fails adds a line to the heading, and the next is asked. The places themselves are
:mod:`podrunner.logs.sources`; following a running pod, every line once, is :mod:`podrunner.logs.follow`.
"""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import anyio.to_thread
import msgspec

from podrunner.errors import LogError, PodrunnerError
from podrunner.logs.kubelet_text import KubeletText, last_stamp
from podrunner.logs.lines import LineAssembler
from podrunner.logs.record import LogBatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from podrunner.logs.follow import LogSource
    from podrunner.logs.sources import FoundLog, LogPlace, LogQuery

__all__ = ["PAGE_BYTES", "LogDocument", "LogPage", "LogReader", "read_lines"]

PAGE_BYTES: Final = 1024 * 1024
"""How much of a log is on a page, by default."""


class LogDocument(msgspec.Struct, frozen=True):
    """A log and where it was found.

    Attributes:
        source: Where: ``file``, ``pod`` or ``server``.
        header: Lines to show before the log, each beginning with ``***``.
        lines: The log, without line ends.
    """

    source: str
    header: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Header and log as one text."""
        return "".join(f"{line}\n" for line in (self.header, *self.lines))

    def __str__(self) -> str:
        return self.text


class LogPage(LogDocument, frozen=True):
    """A part of a log.

    Attributes:
        next_offset: Where the next page begins, in bytes of the log.
        is_last: Whether nothing follows, for now at least.
    """

    next_offset: int = 0
    is_last: bool = True


async def read_lines(
    source: LogSource,
    namespace: str,
    name: str,
    *,
    container: str | None = None,
    tail_lines: int | None = None,
) -> list[str]:
    """The log of a container as it is now, or its last lines; any error of ``podrunner.kube``.

    What the kubelet cannot give is a gap, as text.
    """
    assembler, parts = LineAssembler(), []
    kubelet = KubeletText()
    async with source.stream_log(
        namespace, name, container=container, tail_lines=tail_lines, timestamps=True
    ) as batches:
        async for data in batches:
            lines, kubelet = kubelet.separate(assembler.feed(data))
            parts.append(lines)
    rest, kubelet = kubelet.end(assembler.rest())
    read = LogBatch(container or "", 0, b"".join((*parts, rest)))
    gap = kubelet.gap(read.container, after=last_stamp(read.data))
    return [*read.texts(), *([] if gap is None else [str(gap)])]


class LogReader:
    """Asks one place after the other.

    Args:
        places: In the order of asking.
    """

    def __init__(self, places: Sequence[LogPlace]) -> None:
        self._places = tuple(places)

    @asynccontextmanager
    async def open(
        self, query: LogQuery, *, offset: int = 0, follow: bool = False
    ) -> AsyncIterator[FoundLog]:
        """Opens the log at the first place that has it, as a stream: ``async with reader.open(query) as log``.

        Args:
            query: The log that is wanted.
            offset: How many bytes of it are left out.
            follow: Go on as long as it is being written, where the place knows whether it is.

        Raises:
            LogError: No place has it; the message says why each failed. While it is read: it breaks off.
            PodrunnerError: While it is read: the connection broke.
        """
        failures: list[str] = []
        for place in self._places:
            async with AsyncExitStack() as stack:
                try:
                    found = await stack.enter_async_context(place.open(query, offset=offset, follow=follow))
                except (OSError, PodrunnerError) as error:
                    failures.append(f"*** {type(place).__name__} failed: {error}")
                    continue
                if found is not None:
                    found.header = "\n".join((*failures, found.header))
                    yield found
                    return
        wanted = query.log_path or f"pod {query.namespace}/{query.pod}"
        raise LogError("; ".join((f"no log found of {wanted}", *failures)))

    async def read(self, query: LogQuery) -> LogDocument:
        """The whole log, in memory. For a large one, see :meth:`read_page`, :meth:`open` and :meth:`save`.

        Raises:
            LogError: No place has it, or it breaks off.
            PodrunnerError: The connection broke.
        """
        async with self.open(query) as found:
            data = b"".join([batch async for batch in found.batches])
            return LogDocument(found.source, found.header, _lines(data))

    async def read_page(self, query: LogQuery, *, offset: int = 0, limit_bytes: int = PAGE_BYTES) -> LogPage:
        """A part of the log: whole lines, unless one alone is longer than a page.

        A local file and a log server are read from there on; a pod gives its log from the beginning each time, of which
        what comes before is thrown away.

        Args:
            query: The log that is wanted.
            offset: Where to begin, in bytes of the log: 0, or ``next_offset`` of the page before.
            limit_bytes: How much at most, at least 1.

        Raises:
            LogError: No place has it, or it breaks off.
            PodrunnerError: The connection broke.
        """
        async with self.open(query, offset=offset) as found:
            data, ended = await _up_to(found.batches, limit_bytes)
            if not ended:
                data = data[: data.rfind(b"\n", 0, limit_bytes) + 1] or data[:limit_bytes]
            return LogPage(
                found.source, found.header, _lines(data), next_offset=offset + len(data), is_last=ended
            )

    async def save(self, query: LogQuery, path: Path) -> str:
        """Writes the whole log to a file of its own, as it comes; a file is there only once it is whole.

        Args:
            query: The log that is wanted.
            path: The file, which is replaced if it exists.

        Returns:
            The header, which is not in the file.

        Raises:
            LogError: No place has it, or it breaks off.
            OSError: The file cannot be written.
            PodrunnerError: The connection broke.
        """
        async with self.open(query) as found:
            file = await anyio.to_thread.run_sync(_temporary, path)
            try:
                async for batch in found.batches:
                    await anyio.to_thread.run_sync(file.write, batch)
                await anyio.to_thread.run_sync(_finish, file, path)
            except BaseException:
                _discard(file)
                raise
            return found.header


def _temporary(path: Path) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False)


def _finish(file: IO[bytes], path: Path) -> None:
    file.close()
    Path(file.name).replace(path)


def _discard(file: IO[bytes]) -> None:
    file.close()
    with suppress(OSError):
        Path(file.name).unlink()


async def _up_to(batches: AsyncIterator[bytes], limit: int) -> tuple[bytes, bool]:
    """A little more than so many bytes, and whether that was all."""
    parts, size = [], 0
    async for batch in batches:
        parts.append(batch)
        size += len(batch)
        if size > limit:
            return b"".join(parts), False
    return b"".join(parts), True


def _lines(data: bytes) -> tuple[str, ...]:
    text = data.decode("utf-8", "replace")
    return tuple(text.removesuffix("\n").split("\n")) if text else ()
