"""Waiting, and steps, that no interruption ends early.

What belongs here: outlasting what interrupts a task from outside. anyio's scopes can be shielded from; asyncio's
``Task.cancel()`` cannot, which a second Ctrl-C sends to every task, nor can KeyboardInterrupt in trio's main task. What
is to be done when one comes does not belong here.
"""

from __future__ import annotations

import asyncio
import math
import time
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from podrunner.event_loop import Event, make_event

if TYPE_CHECKING:
    import threading
    from collections.abc import Awaitable, Callable

__all__ = [
    "complete",
    "finish",
    "interruptions",
    "outlast",
    "persist",
    "protect",
    "raised_by_a_signal",
    "wait_out",
    "withdraw_cancellation",
]

T = TypeVar("T")


def interruptions() -> tuple[type[BaseException], ...]:
    """Returns what interrupts a task from outside: cancellation, and what handlers of signals raise."""
    return (anyio.get_cancelled_exc_class(), KeyboardInterrupt, SystemExit)


def raised_by_a_signal(error: BaseException) -> BaseException | None:
    """Returns what a signal's handler has raised, if an error is that, or a group of nothing else; None: it is not."""
    if isinstance(error, BaseExceptionGroup):
        found = [raised_by_a_signal(each) for each in error.exceptions]
        return None if None in found else found[0]
    return error if isinstance(error, KeyboardInterrupt | SystemExit) else None


async def protect(function: Callable[[], Awaitable[T]]) -> T:
    """Calls a function; on trio, Ctrl-C is raised in the main task meanwhile, not in whatever happens to run."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return await function()
    result: T = await _protected_on_trio()(function)
    return result


@cache
def _protected_on_trio() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    from trio.lowlevel import enable_ki_protection

    @enable_ki_protection
    async def call(function: Callable[[], Awaitable[Any]]) -> Any:
        return await function()

    return call


async def outlast(event: Event) -> BaseException | None:
    """Returns when an event is set, no sooner, with the last interruption that came meanwhile; None: none came."""
    interruption: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while not event.is_set():
            try:
                await event.wait()
            except interruptions() as error:
                interruption = error
    return interruption


async def finish(event: Event, *, on_interrupted: Callable[[], None]) -> None:
    """Waits until an event is set, no sooner; an interruption is raised after that.

    Args:
        event: What is waited for.
        on_interrupted: Called with the first interruption.
    """
    first: BaseException | None = None
    try:
        await event.wait()
    except interruptions() as error:
        first = error
        on_interrupted()
    if first is None:
        return
    # One that came in spite of the shield is the one that no scope catches. It is raised here, outside the handler: as
    # the context of another, a scope would take both for its own.
    raise await outlast(event) or first


async def complete(function: Callable[[], Awaitable[T]], *, name: str) -> T:
    """Calls a function in a task of its own, which nothing interrupts; an interruption is raised after that.

    Args:
        function: What is called.
        name: The task's name.
    """
    ended, results, errors = make_event(), list[T](), list[Exception]()

    async def run() -> None:
        with anyio.CancelScope(shield=True):
            try:
                results.append(await protect(function))
            except Exception as error:  # noqa: BLE001  # raised in the caller's task, which a group would wrap
                errors.append(error)
            finally:
                ended.set()

    group = anyio.create_task_group()
    await group.__aenter__()
    try:
        group.start_soon(run, name=name)
        await finish(ended, on_interrupted=lambda: None)
    finally:
        await group.__aexit__(None, None, None)
    if errors:
        raise errors[0]
    return results[0]


async def persist(
    step: Callable[[], Awaitable[object]],
    *,
    deadline_s: float = math.inf,
    on_begin: Callable[[anyio.CancelScope], None] = lambda _: None,
) -> bool:
    """Takes a step that may be repeated, and repeats it whenever an interruption ends it.

    For tasks of one's own, which have no other caller to be cancelled by. What a signal's handler has raised, as on
    asyncio from the second Ctrl-C on, in whatever task runs, is raised after that.

    Args:
        step: What is done.
        deadline_s: When it is given up, on the event loop's clock.
        on_begin: Called with the scope of each try; cancelling it gives the step up.

    Returns:
        Whether it was done.
    """
    raised: BaseException | None = None
    is_done = False
    while not is_done:
        scope = anyio.CancelScope(shield=True, deadline=deadline_s)
        try:
            with scope:
                on_begin(scope)
                await step()
                is_done = True
        except anyio.get_cancelled_exc_class():  # none that a scope has sent: it is caught there
            withdraw_cancellation()
        except BaseException as error:
            raised = raised_by_a_signal(error)
            if raised is None:
                raise
        if scope.cancel_called:
            break
    if raised is not None:
        raise raised
    return is_done


def withdraw_cancellation() -> None:
    """Takes note that the running task goes on although ``Task.cancel()`` was called."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None, "it runs"
        task.uncancel()


def wait_out(event: threading.Event, *, within_s: float) -> BaseException | None:
    """Waits for an event of another thread, for some time at most, whatever a signal's handler raises meanwhile.

    Returns:
        The last that it raised; None: nothing.
    """
    interruption: BaseException | None = None
    until = time.monotonic() + within_s
    while not event.is_set() and (left_s := until - time.monotonic()) > 0:
        try:
            event.wait(left_s)
        except BaseException as error:  # noqa: BLE001  # the caller raises it
            interruption = error
    return interruption
