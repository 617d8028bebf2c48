"""``podrunner.journal``: writes a runner's pods to a file as their lives go on."""

from __future__ import annotations

import logging
import time
from functools import partial
from os import SEEK_END
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, Self, TypeVar

import anyio

from podrunner.blocking import PodRunner, runner_behind
from podrunner.gantt.journal_file import header_line, record_lines
from podrunner.gantt.runner_records import record_of_tracked
from podrunner.runner.pod_changes import PodObserver, detach, observe, owner_of_runner, tracked_pods
from podrunner.runner.progress import start_beside

if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType

    from podrunner.blocking.bridge import Bridge
    from podrunner.runner import AsyncPodRunner
    from podrunner.runner.tracked import TrackedPod

__all__ = ["RunJournal", "journal"]

T = TypeVar("T")

_logger = logging.getLogger(__name__)

_EVERY_S: Final = 1.0
"""How often what has changed is written: of changes of one pod within that time, the last."""
_AT_ONCE: Final = 500
"""Records that are made in one step, 20 ms: the event loop has other work too."""


def journal(runner: AsyncPodRunner | PodRunner, path: str | PathLike[str]) -> RunJournal:
    """Writes the stages and outcomes of a runner's pods to a file, for ``podrunner timeline`` and :func:`timeline`.

    From now on until it is closed, or the runner ends: what has changed is appended each second, also to a file that is
    there. It delivers no outcome and sends no request. A disk that fails costs the journal only, which is logged.

    Args:
        runner: The runner, which is open.
        path: The file.

    Raises:
        RunnerClosedError: The runner is not open.
        OSError: The file cannot be written.
        CallFromEventLoopError: The blocking face was called from a running event loop.
    """
    asynchronous, bridge = runner_behind(runner) if isinstance(runner, PodRunner) else (runner, None)
    make = partial(_begun, asynchronous, Path(path))
    return RunJournal(make() if bridge is None else bridge.run(make), bridge)


def _ends_within_a_line(path: Path) -> bool:
    """Whether a file has a last line without its end: its writer was killed, or its disk was full."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, SEEK_END)
        return file.read() != b"\n"


class RunJournal:
    """A journal that is being written: made by :func:`journal`. For both faces; a context manager that closes it."""

    def __init__(self, writer: _Writer, bridge: Bridge | None) -> None:
        self._writer = writer
        self._bridge = bridge

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<journal {self._writer.path}>"

    def close(self) -> None:
        """Writes the pods as they are now, and ends the journal."""
        end = self._writer.close
        if self._bridge is None:
            end()
        else:
            self._bridge.run_if_open(end)


def _begun(runner: AsyncPodRunner, path: Path) -> _Writer:
    writer = _Writer(runner, path)
    writer.begin()
    return writer


class _Writer:
    """Notes which pods have changed, and writes their records; on the runner's event loop.

    Args:
        runner: The runner.
        path: The file.
    """

    def __init__(self, runner: AsyncPodRunner, path: Path) -> None:
        self.path: Path = path
        self._runner = runner
        self._observer = PodObserver(runner, self._note, self.close)
        self._changed: dict[TrackedPod, float | None] = dict.fromkeys(tracked_pods(runner))
        self._under_way: dict[TrackedPod, float | None] = {}
        self._writing = Lock()
        self._is_closed = False
        self._scope: anyio.CancelScope | None = None

    def begin(self) -> None:
        """Writes the header and begins to observe.

        Raises:
            RunnerClosedError: The runner is not open.
            OSError: The file cannot be written.
        """
        observe(self._runner, self._observer)
        try:
            line_end = b"\n" if _ends_within_a_line(self.path) else b""
            self._append(line_end + header_line(owner_of_runner(self._runner)))
            start_beside(self._runner, self._run)
        except BaseException:
            detach(self._runner, self._observer)
            raise

    def _note(self, pod: TrackedPod, is_gone: bool) -> None:  # noqa: FBT001  # the observer's signature
        self._changed[pod] = time.time() if is_gone else self._changed.get(pod)

    async def _run(self) -> None:
        with anyio.CancelScope() as self._scope:
            while not self._is_closed:
                await anyio.sleep(_EVERY_S)
                await self._write_changes()

    async def _write_changes(self) -> None:
        while self._changed and not self._is_closed:
            lines = self._lines(_AT_ONCE)
            try:
                await anyio.to_thread.run_sync(self._append_unless_closed, lines)
            except OSError as error:
                self._give_up(error)
            self._under_way = {}

    def _lines(self, most: int | None = None) -> bytes:
        chosen = list(self._changed.items())[:most]
        seen_s = time.time()
        for pod, _ in chosen:
            del self._changed[pod]
        self._under_way = dict(chosen)
        return record_lines(
            record_of_tracked(pod, self._runner, seen_s=seen_s, gone_s=gone_s) for pod, gone_s in chosen
        )

    def _append_unless_closed(self, lines: bytes) -> None:
        """In a worker thread: once the journal is closed, these are no longer the last records of their pods."""
        with self._writing:
            if not self._is_closed:
                self._append(lines)

    def _append(self, lines: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(lines)

    def _give_up(self, error: OSError) -> None:
        _logger.warning("the journal %s cannot be written, and is given up: %s", self.path, error)
        self._stop()

    def _stop(self) -> None:
        self._is_closed = True
        detach(self._runner, self._observer)
        if self._scope is not None:
            self._scope.cancel()

    def close(self) -> None:
        """Writes what has changed and all that is not over as it is now, and ends."""
        if self._is_closed:
            return
        self._changed = self._under_way | self._changed
        for pod in tracked_pods(self._runner):
            if pod.outcome is None:
                self._changed.setdefault(pod, None)
        try:
            with self._writing:
                self._is_closed = True
                self._append(self._lines())
        except OSError as error:
            self._give_up(error)
            return
        self._stop()
