"""Time limits of requests on asyncio: one timer of the event loop for all requests that have the same limit.

A timer for each request costs more than ten times as much. What a request is does not belong here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["TimeLimits"]


class TimeLimits:
    """The limits of one transport's requests."""

    def __init__(self) -> None:
        self._limits: dict[float, _Limit] = {}

    async def keep(self, limit_s: float | None, work: Awaitable[T]) -> T:
        """Await something, for some seconds at most, as ``asyncio.wait_for`` does within the running task.

        Raises:
            TimeoutError: They are over.
        """
        if limit_s is None:
            return await work
        limit = self._limits.get(limit_s)
        if limit is None:
            limit = self._limits[limit_s] = _Limit(limit_s)
        waiter = limit.begin()
        try:
            return await work
        except asyncio.CancelledError as error:
            if waiter.is_withdrawn():
                raise TimeoutError from error
            raise
        finally:
            waiter.end()

    def close(self) -> None:
        """Stop all timers: no request is under way."""
        for limit in self._limits.values():
            limit.close()


class _Waiter:
    """A task within a limit; None: not any more."""

    __slots__ = ("cancelling", "is_expired", "task", "until_s")

    def __init__(self, task: asyncio.Task[object], until_s: float) -> None:
        self.task: asyncio.Task[object] | None = task
        self.until_s = until_s
        self.cancelling = task.cancelling()
        self.is_expired = False

    def is_withdrawn(self) -> bool:
        """Whether a cancellation came from the limit alone: it is withdrawn, as ``asyncio.timeout`` does."""
        if not self.is_expired or self.task is None:
            return False
        task, self.task = self.task, None
        return task.uncancel() <= self.cancelling

    def end(self) -> None:
        """The task is not within the limit any more; a cancellation that ended in something else does not stay."""
        self.is_withdrawn()
        self.task = None


class _Limit:
    """The tasks that have the same limit: the first to begin is the first whose time is over."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._waiters: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> _Waiter:
        """The running task begins what is limited."""
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        waiters = self._waiters
        while waiters and waiters[0].task is None:
            waiters.popleft()
        waiter = _Waiter(task, self._loop.time() + self._limit_s)
        waiters.append(waiter)
        if self._timer is None:
            self._timer = self._loop.call_at(waiter.until_s, self._expire)
        return waiter

    def _expire(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        while self._waiters and (self._waiters[0].task is None or self._waiters[0].until_s <= now_s):
            waiter = self._waiters.popleft()
            if waiter.task is not None:
                waiter.is_expired = True
                waiter.task.cancel()
        if self._waiters:
            self._timer = self._loop.call_at(self._waiters[0].until_s, self._expire)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
