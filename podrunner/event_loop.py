"""The event loop's clock and events, without asking each time which loop runs.

anyio looks up its backend at every call, by the running task: for thousands of pods and events that costs more than
what is asked for. What belongs here: primitives that are asked for at every request or event. All else is anyio's.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Event", "clock_of_loop", "current_time", "make_event"]


class Event(Protocol):
    """An event that tasks wait for: anyio's, asyncio's or trio's."""

    def set(self) -> None:
        """Set the flag, and wake all tasks that wait."""

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        ...

    async def wait(self) -> object:
        """Wait until the flag is set; at once if it is."""


def current_time() -> float:
    """Return the event loop's clock, in seconds, as :func:`anyio.current_time` does."""
    loop = _asyncio_loop()
    return anyio.current_time() if loop is None else loop.time()


def clock_of_loop() -> Callable[[], float]:
    """Return what tells the time of the event loop that runs, for what asks often."""
    loop = _asyncio_loop()
    if loop is None:
        return anyio.current_time
    return time.monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time


def make_event() -> Event:
    """Return an event for tasks of the loop that runs."""
    return anyio.Event() if _asyncio_loop() is None else asyncio.Event()


def _asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop if it is asyncio's that runs the caller; None: it is not, or none runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    trio = sys.modules.get("trio")  # its guest mode runs within a loop of asyncio's
    return None if trio is not None and trio.lowlevel.in_trio_run() else loop
