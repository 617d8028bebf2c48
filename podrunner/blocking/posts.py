"""Plain functions that other threads have called on the event loop's thread, in their order.

One wake-up of the event loop serves all that came together: for each alone it costs more than what most of them do.
They are called in a task, as anyio's primitives need one. What is called does not belong here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Final, TypeVar

from podrunner.errors import RunnerClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Posts"]

T = TypeVar("T")

_logger = logging.getLogger(__name__)

_MOST: Final = 1000
"""Posts that wait before one who posts waits too: a thread that posts in a loop must not fill the memory."""


class Posts:
    """What waits to be called, and the task that calls it. Made on the event loop's thread, within its loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._arrived = asyncio.Event()
        self._waiting: deque[Callable[[], object]] = deque()
        self._is_woken = False
        self._closed = False

    def post(self, function: Callable[[], object]) -> None:
        """Has a function called soon, and waits for nothing; an error of it is logged. For all threads.

        Raises:
            RunnerClosedError: Nothing is called any more.
        """
        if not self.offer(function):
            raise RunnerClosedError("the runner was closed meanwhile")

    def offer(self, function: Callable[[], object]) -> bool:
        """Has a function called soon, as :meth:`post`; returns False if nothing is called any more."""
        self._waiting.append(function)
        if not self._is_woken:  # in this order: what is appended while the task begins to call is called, too
            self._wake()
        if not self._closed:
            return True
        try:
            self._waiting.remove(function)
        except ValueError:  # called just now, by closing
            return True
        return False

    def _wake(self) -> None:
        try:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._arrived.set)
        except RuntimeError:  # the loop is closed
            self._closed = True
        except BaseException:  # of a signal's handler, such as Ctrl-C: others rely on this wake-up by now
            self._is_woken = False
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._arrived.set)
            raise

    @property
    def is_waited_for(self) -> bool:
        """Whether something waits to be called."""
        return bool(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether so much waits that one who posts more is to wait, too."""
        return len(self._waiting) >= _MOST

    def call(self, function: Callable[[], T]) -> T:
        """Calls a function over there and returns its result. For all threads.

        Raises:
            RunnerClosedError: Nothing is called any more.
        """
        answer = self.ask(function)
        if answer is None:
            raise RunnerClosedError("the runner was closed meanwhile")
        return answer.result()

    def ask(self, function: Callable[[], T]) -> Future[T] | None:
        """Has a function called soon; returns what will have its result, or None if nothing is called any more.

        It has the caller's context variables. On the event loop's thread it is called at once: waiting there would
        never end.
        """
        answer: Future[T] = Future()
        context = copy_context()

        def call() -> None:
            try:
                answer.set_result(context.run(function))
            except BaseException as error:  # noqa: BLE001  # the caller's
                answer.set_exception(error)

        if threading.get_ident() == self._thread:
            call()
            return answer
        return answer if self.offer(call) else None

    async def serve(self) -> None:
        """Calls what comes, until it is cancelled; then no caller waits for it any more."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                self._is_woken = False
                self._call_some(len(self._waiting))
                if self._waiting:  # came meanwhile: the event loop has other work, too
                    self._arrived.set()
                    await asyncio.sleep(0)
        finally:
            self.close()

    def close(self) -> None:
        """Calls what waits, and nothing that comes later."""
        self._closed = True
        while self._waiting:
            self._call_some(len(self._waiting))

    def _call_some(self, most: int) -> None:
        for _ in range(most):
            if not self._waiting:
                return
            function = self._waiting.popleft()
            try:
                function()
            except Exception:
                _logger.exception("a call from another thread failed")
