"""The runner's background tasks, and how a task waits for a change.

A runner is often left because its surroundings were cancelled (a time-out, Ctrl-C, a sibling's error). Its watch and
its supervision must go on just then, or the end of the cancelled pods would not be seen. So each task is shielded from
the scope around it, and only the runner itself ends it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import anyio

from podrunner.errors import RunnerClosedError
from podrunner.event_loop import Event, make_event
from podrunner.interruption import finish, protect, raised_by_a_signal, withdraw_cancellation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

__all__ = ["Notify", "SupervisedTasks"]

T = TypeVar("T")

_MOST_IDLE: Final = 64


class SupervisedTasks:
    """Starts named tasks in a task group, out of reach of cancellation from outside.

    Only asyncio's ``Task.cancel()`` on the task itself reaches one: what ends a program sends that to all tasks, as
    ``asyncio.run`` does after a second Ctrl-C. A runner that is being closed needs its tasks just then, so that those
    that may be repeated go on.

    A pod has several short tasks one after the other, and to make one costs more than most of them do. So one that has
    ended stays for the next, as long as others run.

    Attributes:
        on_failure: Called when a task has failed.
        on_interrupted: Called with what a signal's handler raised while a task was running, such as KeyboardInterrupt.
    """

    def __init__(self, group: TaskGroup) -> None:
        self.on_failure: Callable[[], None] = lambda: None
        self.on_interrupted: Callable[[BaseException], None] = lambda _: None
        self._group = group
        self._scopes: set[anyio.CancelScope] = set()
        self._idle: list[_IdleTask] = []
        self._busy = 0
        self._cancelled = False

    def start_soon(
        self, function: Callable[..., Awaitable[Any]], *args: Any, name: str, repeats: bool = False
    ) -> None:
        """Starts a task.

        Args:
            function: What it does.
            *args: Its arguments.
            name: Its name, unless an earlier one takes it over.
            repeats: Whether it begins anew when that, or a signal's handler, interrupts it; else it ends.
        """
        job = _Job(function, args, repeats)
        self._busy += 1
        if self._idle:
            self._idle.pop().give(job)
        else:
            self._group.start_soon(protect, partial(self._work, job), name=name)

    async def run(self, function: Callable[..., Awaitable[Any]], *args: Any, name: str) -> None:
        """Starts a task that may be repeated and returns when it has ended; it goes on if the caller is cancelled."""
        ended = make_event()

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

    async def _work(self, job: _Job | None) -> None:
        with anyio.CancelScope(shield=True) as scope:
            if self._cancelled:
                scope.cancel()
            self._scopes.add(scope)
            try:
                while job is not None:
                    try:
                        await self._run(job)
                    finally:
                        self._busy -= 1
                    job = await self._next()
            finally:
                self._scopes.discard(scope)
                if not self._busy:
                    self._release_idle()

    async def _run(self, job: _Job) -> None:
        is_over = False
        while not is_over:
            is_over = not job.repeats
            try:
                await job.function(*job.args)
                is_over = True
            except anyio.get_cancelled_exc_class():
                if self._cancelled:
                    raise
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

    async def _next(self) -> _Job | None:
        """Waits for what another task is started for; None: for nothing, as no task runs, or enough wait."""
        if not self._busy or len(self._idle) >= _MOST_IDLE:
            return None
        idle = _IdleTask()
        self._idle.append(idle)
        try:
            await idle.called.wait()
        except anyio.get_cancelled_exc_class():
            if idle in self._idle:
                self._idle.remove(idle)
            if idle.job is None:
                raise
            if not self._cancelled:
                withdraw_cancellation()
            # Else it begins all the same, and ends at its first wait: what waits for its end must see it.
        return idle.job

    def _release_idle(self) -> None:
        idle, self._idle = self._idle, []
        for each in idle:
            each.called.set()


class _Job(NamedTuple):
    """What a task does."""

    function: Callable[..., Awaitable[Any]]
    args: tuple[Any, ...]
    repeats: bool


class _IdleTask:
    """A task that has nothing to do."""

    __slots__ = ("called", "job")

    def __init__(self) -> None:
        self.called = make_event()
        self.job: _Job | None = None

    def give(self, job: _Job) -> None:
        """Lets it do something."""
        self.job = job
        self.called.set()


class _Call(Generic[T]):
    """A call in a task of its own, and what became of it."""

    def __init__(self, function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> None:
        self.scope = anyio.CancelScope()
        self.ended = make_event()
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

    Attributes:
        waiting: What the tasks wait for; None: none waits. Looked at where a call would cost more.
    """

    __slots__ = ("_callbacks", "waiting")

    def __init__(self) -> None:
        self.waiting: Event | None = None
        self._callbacks: list[Callable[[], object]] | None = None

    def call_once(self, callback: Callable[[], object]) -> None:
        """Calls a function at the next :meth:`notify_all`, as if a task had waited, but at once."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    async def wait(self) -> None:
        """Returns at the first :meth:`notify_all` after the call."""
        self.waiting = self.waiting or make_event()
        await self.waiting.wait()

    def notify_all(self) -> None:
        """Wakes the waiting tasks; those that wait from now on wait for the next time."""
        if self.waiting is not None:
            self.waiting.set()
            self.waiting = None
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()
