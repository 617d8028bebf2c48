"""What ``run`` says on standard error while its pod waits: why, and for how long.

On a terminal it is one line, which is written anew and goes when the log begins; elsewhere a line for each cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

import anyio

from podrunner.cells import clipped
from podrunner.cli.failures import one_line
from podrunner.cli.moments import duration
from podrunner.cli.screen import ellipsis_of, is_terminal, table_width
from podrunner.event_loop import current_time

if TYPE_CHECKING:
    from podrunner.runner import AsyncPodRunner

__all__ = ["WaitProgress"]

_EVERY_S: Final = 1.0
_CLEAR: Final = "\r\x1b[2K"


class WaitProgress:
    """Says why a pod waits.

    Args:
        stream: Standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_transient = is_terminal(stream)
        self._since_s = current_time()
        self._cause = ""
        self._is_waiting = False
        self._is_drawn = False

    async def watch(self, runner: AsyncPodRunner) -> None:
        """Say what happens until cancelled."""
        async with anyio.create_task_group() as tasks:
            if self._is_transient:
                tasks.start_soon(self._keep_drawing, name="podrunner-run-clock")
            async with runner.events(observe=True) as events:
                async for event in events:
                    if event.kind == "created":
                        self._waits("created")
                    elif event.kind == "status-changed":
                        self._changed(event.status, event.message)

    def log_begins(self) -> None:
        """The pod's output comes: nothing waits any more."""
        self._is_waiting = False
        self._clear()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._clear()
        self._stream.write(f"podrunner: {one_line(text)}\n")

    def _waits(self, cause: str) -> None:
        self._since_s, self._cause, self._is_waiting = current_time(), cause, True
        self._draw()

    def _changed(self, status: str, message: str) -> None:
        if self._is_transient:
            self._cause = f"{status}: {message}" if message else status
            self._is_waiting = self._is_waiting and status != "Running"
            self._draw()
        elif message:
            self.say(f"{status}: {message}")

    async def _keep_drawing(self) -> None:
        try:
            while True:
                await anyio.sleep(_EVERY_S)
                self._draw()
        finally:
            self._clear()

    def _draw(self) -> None:
        if not (self._is_transient and self._is_waiting):
            self._clear()
            return
        text = one_line(f"podrunner: waits {duration(current_time() - self._since_s)}: {self._cause}")
        width = (table_width(self._stream) or 80) - 1
        self._stream.write(_CLEAR + clipped(text, width, ellipsis=ellipsis_of(self._stream)))
        self._stream.flush()
        self._is_drawn = True

    def _clear(self) -> None:
        if self._is_drawn:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._is_drawn = False
