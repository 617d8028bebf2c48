"""Reads the log of a finished or running task, wherever it is: the places are asked in order.

The first place is the local file that the collector (or the task itself, on a shared volume) wrote, under the
heading that Airflow gives it; the next is the pod. A place that has nothing answers None; one that fails adds
a line to the heading, and the next is asked. Following a running pod is :mod:`podrunner.logs.follow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread
import msgspec

from podrunner.errors import LogError, NotFoundError, PodrunnerError
from podrunner.logs.files import container_log_path, safe_log_path
from podrunner.logs.lines import LineAssembler
from podrunner.logs.record import LogBatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from podrunner.logs.follow import LogSource

__all__ = ["LocalFile", "LogDocument", "LogPlace", "LogQuery", "LogReader", "PodLog"]


class LogQuery(msgspec.Struct, frozen=True):
    """Whose log is wanted; a place uses what it knows.

    Attributes:
        log_path: The log's path below the log folder, or None if there is none.
        namespace: The pod's namespace, or None if no pod is known.
        pod: The pod's name, or None.
        container: The container, or None for the main one.
        main_container: Name of the main container, whose file is ``log_path`` itself.
    """

    log_path: str | None = None
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    main_container: str = "base"


class LogDocument(msgspec.Struct, frozen=True):
    """A log and where it was found.

    Attributes:
        source: Where: ``file`` or ``pod``.
        header: What the reader has to say before the log, each line beginning with ``***``.
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


class LogPlace(Protocol):
    """Somewhere a log may be found."""

    async def find(self, query: LogQuery) -> LogDocument | None:
        """The log, or None if it is not here. Raises :class:`OSError` or :class:`PodrunnerError`."""
        ...


class LocalFile:
    """The files under a log folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def find(self, query: LogQuery) -> LogDocument | None:
        """Reads the file if there is one."""
        if query.log_path is None:
            return None
        container = query.container or query.main_container
        path = safe_log_path(
            self._folder, container_log_path(query.log_path, container, main=query.main_container)
        )
        return await anyio.to_thread.run_sync(self._read, path)

    def _read(self, path: Path) -> LogDocument | None:
        if not path.exists():
            return None
        text = path.read_bytes().decode("utf-8", "replace")
        lines = text.removesuffix("\n").split("\n") if text else []
        return LogDocument("file", f"*** Reading local file: {path}", tuple(lines))


class PodLog:
    """The pod itself, while it is there."""

    def __init__(self, source: LogSource, *, tail_lines: int | None = None) -> None:
        self._source = source
        self._tail_lines = tail_lines

    async def find(self, query: LogQuery) -> LogDocument | None:
        """Reads what the node still has."""
        if query.namespace is None or query.pod is None:
            return None
        try:
            lines = await read_lines(
                self._source,
                query.namespace,
                query.pod,
                container=query.container or query.main_container,
                tail_lines=self._tail_lines,
            )
        except NotFoundError:
            return None
        header = f"*** Reading the log of pod {query.namespace}/{query.pod} from the API server"
        return LogDocument("pod", header, tuple(lines))


async def read_lines(
    source: LogSource,
    namespace: str,
    name: str,
    *,
    container: str | None = None,
    tail_lines: int | None = None,
) -> list[str]:
    """The log of a container as it is now, or its last lines; any error of ``podrunner.kube``."""
    assembler = LineAssembler()
    async with source.stream_log(
        namespace, name, container=container, tail_lines=tail_lines, timestamps=True
    ) as batches:
        parts = [assembler.feed(data) async for data in batches]
    parts.append(assembler.rest())
    return LogBatch(container or "", 0, b"".join(parts)).texts()


class LogReader:
    """Asks each place in turn.

    Args:
        places: In the order of asking.
    """

    def __init__(self, places: Sequence[LogPlace]) -> None:
        self._places = tuple(places)

    async def read(self, query: LogQuery) -> LogDocument:
        """The log from the first place that has it.

        Raises:
            LogError: No place has it; the message says why each failed.
        """
        failures: list[str] = []
        for place in self._places:
            try:
                document = await place.find(query)
            except (OSError, PodrunnerError) as error:
                failures.append(f"*** {type(place).__name__} failed: {error}")
                continue
            if document is not None:
                header = "\n".join((*failures, document.header))
                return msgspec.structs.replace(document, header=header)
        wanted = query.log_path or f"pod {query.namespace}/{query.pod}"
        raise LogError("; ".join((f"no log found of {wanted}", *failures)))
