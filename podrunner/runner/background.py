"""The runner's background tasks: they outlive the cancellation of the code that uses the runner.

A runner is often left because its surroundings were cancelled (a timeout, Ctrl-C, a sibling's error). Its watch and its
supervision must go on just then, or nobody would see the cancelled pods end. So each task is shielded from the scope
around it, and only the runner itself ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

__all__ = ["Background"]


class Background:
    """Starts named tasks in a task group, out of reach of cancellation from outside."""

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._scopes: set[anyio.CancelScope] = set()
        self._cancelled = False

    def start_soon(self, function: Callable[..., Awaitable[Any]], *args: Any, name: str) -> None:
        """Start a task."""
        self._group.start_soon(self._run, function, args, name=name)

    @property
    def is_cancelled(self) -> bool:
        """Whether all tasks were ended."""
        return self._cancelled

    def cancel(self) -> None:
        """End all tasks, and those that start from now on."""
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
