"""The runner's background tasks, and how a task waits for a change.

A runner is often left because its surroundings were cancelled (a time-out, Ctrl-C, a sibling's error). Its watch and
its supervision must go on just then, or the end of the cancelled pods would not be seen. So each task is shielded from
the scope around it, and only the runner itself ends it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

from podrunner.errors import RunnerClosedError
from podrunner.interruption import finish, protect, raised_by_a_signal, withdraw_cancellation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

__all__ = ["Notify", "SupervisedTasks"]

T = TypeVar("T")


class SupervisedTasks:
    """Starts named tasks in a task group, out of reach of cancellation from outside.

    Only asyncio's ``Task.cancel()`` on the task itself reaches one: what ends a program sends that to all tasks, as
    ``asyncio.run`` does after a second Ctrl-C. A runner that is being closed needs its tasks just then, so that those
    that may be repeated go on.

    Attributes:
        on_failure: Called when a task has failed.
        on_interrupted: Called with what a signal's handler raised while a task was running, such as KeyboardInterrupt.
    """

    def __init__(self, group: TaskGroup) -> None:
        self.on_failure: Callable[[], None] = lambda: None
        self.on_interrupted: Callable[[BaseException], None] = lambda _: None
        self._group = group
        self._scopes: set[anyio.CancelScope] = set()
        self._cancelled = False

    def start_soon(
        self, function: Callable[..., Awaitable[Any]], *args: Any, name: str, repeats: bool = False
    ) -> None:
        """Starts a task.

        Args:
            function: What it does.
            *args: Its arguments.
            name: Its name.
            repeats: Whether it begins anew when that, or a signal's handler, interrupts it; else it ends.
        """
        take = partial(self._once, function, args)
        self._group.start_soon(partial(self._run, take, repeats=repeats), name=name)

    async def run(self, function: Callable[..., Awaitable[Any]], *args: Any, name: str) -> None:
        """Starts a task that may be repeated and returns when it has ended; it goes on if the caller is cancelled."""
        ended = anyio.Event()

        async def run() -> None:
            try:
                await function(*args)
            finally:
                ended.set()

        self.start_soon(run, name=name, repeats=True)
        await ended.wait()

    async def call(
        self,
        function: Callable[..., Awaitable[T]],
        *args: Any,
        name: str,
        undo: Callable[[T], Awaitable[object]] | None = None,
    ) -> T:
        """Calls a function in a task, and returns its result.

        If the caller is cancelled, the function is too, and the caller waits until it has cleaned up, however often it
        is cancelled meanwhile.

        Args:
            function: What is called.
            *args: Its arguments.
            name: The task's name.
            undo: Called with the result if the caller is cancelled in the instant in which it comes.

        Raises:
            RunnerClosedError: The runner's tasks were ended meanwhile.
        """
        call = _Call(function, args)
        self.start_soon(call.run, name=name)
        try:
            await finish(call.ended, on_interrupted=call.scope.cancel)
        except BaseException:
            if undo is not None and call.results and not self._cancelled:
                self.start_soon(undo, call.results[0], name=f"undo {name}", repeats=True)
            raise
        return call.result()

    @property
    def is_cancelled(self) -> bool:
        """Whether all tasks were ended."""
        return self._cancelled

    def cancel(self) -> None:
        """Ends all tasks, and those that start from now on."""
        self._cancelled = True
        for scope in tuple(self._scopes):
            scope.cancel()

    async def _run(self, take: Callable[[], Awaitable[object]], *, repeats: bool) -> None:
        is_over = False
        while not is_over:
            is_over = not repeats
            try:
                await protect(take)
                is_over = True
            except anyio.get_cancelled_exc_class():
                withdraw_cancellation()
            except Exception:
                self.cancel()  # a task that crashes ends the runner: the others must not keep it waiting
                self.on_failure()
                raise
            except BaseException as error:
                raised = raised_by_a_signal(error)
                if raised is None:
                    raise
                self.on_interrupted(raised)

    async def _once(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        with anyio.CancelScope(shield=True) as scope:
            if self._cancelled:
                scope.cancel()
            self._scopes.add(scope)
            try:
                await function(*args)
            finally:
                self._scopes.discard(scope)


class _Call(Generic[T]):
    """A call in a task of its own, and what became of it."""

    def __init__(self, function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> None:
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.results: list[T] = []
        self._function = function
        self._args = args
        self._error: Exception | None = None

    async def run(self) -> None:
        try:
            with self.scope:
                self.results.append(await self._function(*self._args))
        except Exception as error:  # noqa: BLE001  # the caller's
            self._error = error
        finally:
            self.ended.set()

    def result(self) -> T:
        """Returns what the function returned, or raises what it raised."""
        if self._error is not None:
            raise self._error
        if not self.results:
            raise RunnerClosedError("the runner was closed meanwhile")
        return self.results[0]


class Notify:
    """Wakes all tasks that wait at that moment; each then checks its condition again.

    It costs nothing while no task waits: each of thousands of pods has one.
    """

    __slots__ = ("_callbacks", "_event")

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        self._callbacks: list[Callable[[], object]] | None = None

    def call_once(self, callback: Callable[[], object]) -> None:
        """Calls a function at the next :meth:`notify_all`, as if a task had waited, but at once."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    async def wait(self) -> None:
        """Returns at the first :meth:`notify_all` after the call."""
        self._event = self._event or anyio.Event()
        await self._event.wait()

    def notify_all(self) -> None:
        """Wakes the waiting tasks; those that wait from now on wait for the next time."""
        if self._event is not None:
            self._event.set()
            self._event = None
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()
