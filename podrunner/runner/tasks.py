"""The runner's background tasks, and how a task waits for a change.

A runner is often left because its surroundings were cancelled (a time-out, Ctrl-C, a sibling's error). Its watch and
its supervision must go on just then, or the end of the cancelled pods would not be seen. So each task is shielded from
the scope around it, and only the runner itself ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

__all__ = ["Notify", "SupervisedTasks"]


class SupervisedTasks:
    """Starts named tasks in a task group, out of reach of cancellation from outside."""

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._scopes: set[anyio.CancelScope] = set()
        self._cancelled = False

    def start_soon(self, function: Callable[..., Awaitable[Any]], *args: Any, name: str) -> None:
        """Starts a task."""
        self._group.start_soon(self._run, function, args, name=name)

    async def run(self, function: Callable[..., Awaitable[Any]], *args: Any, name: str) -> None:
        """Starts a task and returns when it has ended; it goes on though the caller is cancelled."""
        ended = anyio.Event()

        async def run() -> None:
            try:
                await function(*args)
            finally:
                ended.set()

        self.start_soon(run, name=name)
        await ended.wait()

    @property
    def is_cancelled(self) -> bool:
        """Whether all tasks were ended."""
        return self._cancelled

    def cancel(self) -> None:
        """Ends all tasks, and those that start from now on."""
        self._cancelled = True
        for scope in tuple(self._scopes):
            scope.cancel()

    async def _run(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        with anyio.CancelScope(shield=True) as scope:
            if self._cancelled:
                scope.cancel()
            self._scopes.add(scope)
            try:
                await function(*args)
            except Exception:
                self.cancel()  # a task that crashes ends the runner: the others must not keep it waiting
                raise
            finally:
                self._scopes.discard(scope)


class Notify:
    """Wakes all tasks that wait at that moment; each then checks its condition again.

    It costs nothing while no task waits: each of thousands of pods has one.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    async def wait(self) -> None:
        """Returns at the first :meth:`notify_all` after the call."""
        self._event = self._event or anyio.Event()
        await self._event.wait()

    def notify_all(self) -> None:
        """Wakes the waiting tasks; those that wait from now on wait for the next time."""
        if self._event is not None:
            self._event.set()
            self._event = None
