"""The bridge: an event loop in a thread of its own, and calls over to it that Ctrl-C can end.

So can whatever else a signal's handler raises, such as ``sys.exit`` on SIGTERM.

What is called there does not belong here.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import anyio
from anyio.from_thread import start_blocking_portal

from podrunner.errors import CallFromEventLoopError, RunnerClosedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.from_thread import BlockingPortal

__all__ = ["Bridge"]

P = ParamSpec("P")
T = TypeVar("T")

# After Ctrl-C: what a cancelled call may take to clean up after itself (a launch looks for the pod it made).
_CANCEL_WITHIN_S: Final = 60.0


class Bridge:
    """Runs one asynchronous context manager, and calls, on an event loop in a thread of its own."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._leave: anyio.Event | None = None
        self._error: BaseException | None = None
        self._life: Future[None] | None = None
        self._process: int | None = None

    def enter(self, context: AbstractAsyncContextManager[Any]) -> None:
        """Starts the thread and enters the context there; whatever that raises ends the thread again.

        Raises:
            CallFromEventLoopError: An event loop runs in this thread.
        """
        _refuse_in_event_loop()
        self._process = os.getpid()
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal("asyncio", name="podrunner"))
            stack.callback(self._forget)
            entered: Future[None] = Future()
            self._life = self._portal.start_task_soon(self._live, context, entered, name="runner")
            self._wait(entered, cancel=self._life.cancel)
            self._stack = stack.pop_all()

    def exit(self, error: BaseException | None) -> None:
        """Leaves the context, with the error that the body ended with if there was one, and ends the thread.

        Ctrl-C while it is being left cancels what it waits for; leaving then goes on, in its own bounds.
        """
        if self._portal is None or self._life is None or self._leave is None or self._is_forked():
            return
        self._error = error
        with self._stack:
            self._portal.call(self._leave.set)
            with suppress(_SameError):
                self._wait(self._life, cancel=self._life.cancel)

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a coroutine function over there and waits for its result. Ctrl-C cancels it there first.

        Raises:
            CallFromEventLoopError: An event loop runs in this thread.
            RunnerClosedError: The bridge is not open.
        """
        portal = self._check()
        done = threading.Event()
        future = portal.start_task_soon(_told, partial(function, *args, **kwargs), done)
        try:
            return future.result()
        except BaseException:
            if not future.done():  # raised here, by a signal's handler
                future.cancel()
                done.wait(_CANCEL_WITHIN_S)
            raise

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a plain function on the event loop's thread."""
        return self._check().call(partial(function, *args, **kwargs))

    def run_if_open(self, function: Callable[[], T]) -> T:
        """Calls a plain function on the event loop's thread; right here once that is gone."""
        if self._portal is not None and not self._is_forked():
            return self._portal.call(function)
        return function()

    def _check(self) -> BlockingPortal:
        _refuse_in_event_loop()
        if self._portal is None:
            raise RunnerClosedError("the runner is not open; use it as a context manager")
        if self._is_forked():
            raise RunnerClosedError(
                "the runner was opened before a fork, in the parent; open one in this process"
            )
        return self._portal

    def _is_forked(self) -> bool:
        """Whether this is a child: threads are not inherited, so waiting for the event loop's would never end."""
        return self._process != os.getpid()

    def _forget(self) -> None:
        self._portal = None

    async def _live(self, context: AbstractAsyncContextManager[Any], entered: Future[None]) -> None:
        """The context's whole life in one task, as task groups need it."""
        self._leave = anyio.Event()
        try:
            async with context:
                entered.set_result(None)
                await self._leave.wait()
                if self._error is not None:
                    raise _SameError from self._error
        except _SameError:
            raise
        except BaseException as error:
            if entered.done():
                raise
            entered.set_exception(error)

    def _wait(self, future: Future[None], *, cancel: Callable[[], object]) -> None:
        try:
            future.result()
        except BaseException:
            if not future.done():
                cancel()
            raise


class _SameError(Exception):
    """Tells the asynchronous context that the body of the blocking one ended with an error."""


async def _told(call: Callable[[], Awaitable[T]], done: threading.Event) -> T:
    try:
        return await call()
    finally:
        done.set()


def _refuse_in_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        if not _in_trio():
            return
    raise CallFromEventLoopError(
        "the blocking face was called from a running event loop, which it would block; use AsyncPodRunner there, or "
        "call from a worker thread"
    )


def _in_trio() -> bool:
    import sys

    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())
