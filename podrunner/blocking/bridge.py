"""The bridge: an event loop in a thread of its own, and calls over to it that Ctrl-C can end.

So can whatever else a signal's handler raises, such as ``sys.exit`` on SIGTERM.

What is called there does not belong here.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from podrunner.blocking.posts import Posts
from podrunner.errors import CallFromEventLoopError, RunnerClosedError, called_after_close
from podrunner.interruption import wait_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Bridge", "refuse_in_event_loop"]

P = ParamSpec("P")
T = TypeVar("T")

# A thread that was started begins at once; one that Ctrl-C kept from being started never does.
_BEGINS_WITHIN_S: Final = 5.0
# After Ctrl-C: what a cancelled call may take to clean up after itself (a launch looks for the pod it made).
_CANCEL_WITHIN_S: Final = 60.0


class Bridge:
    """Runs one asynchronous context manager, and calls, on an event loop in a thread of its own."""

    def __init__(self) -> None:
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread | None = None
        self._begun = threading.Event()
        self._over = threading.Event()
        self._is_abandoned = False
        self._error: BaseException | None = None
        self._entered: Future[None] = Future()
        self._left: Future[None] = Future()
        self._notes: list[str] = []
        self._posts: Posts | None = None
        self._waits: set[threading.Event] = set()
        self._process: int | None = None
        self._now_s: Callable[[], float] = lambda: 0.0

    def enter(self, context: AbstractAsyncContextManager[Any]) -> None:
        """Starts the thread and enters the context there; whatever that raises ends the thread again.

        Raises:
            CallFromEventLoopError: An event loop runs in this thread.
        """
        refuse_in_event_loop()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._serve, args=(context,), name="podrunner", daemon=True)
        try:
            self._thread.start()
            self._entered.result()
        except BaseException:
            self._is_abandoned = True
            self._end()
            raise

    def exit(self, error: BaseException | None) -> None:
        """Leaves the context, with the error that the body ended with if there was one, and ends the thread.

        What a signal's handler raises meanwhile, such as KeyboardInterrupt at Ctrl-C, cancels what leaving waits for,
        and is raised when the thread has ended. However often it comes, leaving goes on, in its own bounds.
        """
        if self._thread is None or self._is_forked():
            return
        self._error = error
        interruption = self._end()
        raised = interruption or error
        if raised is not None:
            for note in self._notes:
                raised.add_note(note)
        if interruption is not None:
            raise interruption
        with suppress(_SameError):
            self._left.result()

    def _end(self) -> BaseException | None:
        """Waits until the context is left and the thread has ended; returns what was raised meanwhile."""
        interruption: BaseException | None = None
        while True:
            try:
                self._post(self._cancel if self._is_abandoned or interruption is not None else self._leave)
                if self._begun.wait(_BEGINS_WITHIN_S):
                    # Not by Thread.join alone: interrupted, it takes the thread for one that has ended (bpo-45274).
                    self._over.wait()
                if self._thread is not None and self._begun.is_set():
                    self._thread.join()
                self._thread = None
            except BaseException as error:  # noqa: BLE001  # of a signal's handler; the last one is raised in the end
                interruption = error
            else:
                return interruption

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a coroutine function over there and waits for its result. Ctrl-C cancels it there first.

        Raises:
            CallFromEventLoopError: An event loop runs in this thread.
            RunnerClosedError: The bridge is not open.
        """
        portal = self._check(function)
        done = threading.Event()
        try:
            future = portal.start_task_soon(_told, partial(function, *args, **kwargs), done)
        except RuntimeError as error:  # it has ended since it was looked at
            raise called_after_close(_name_of(function)) from error
        try:
            return future.result()
        except BaseException:
            if not future.done():  # raised here, by a signal's handler
                future.cancel()
                wait_out(done, within_s=_CANCEL_WITHIN_S)
            raise

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a plain function on the event loop's thread."""
        return self._checked_posts(function).call(partial(function, *args, **kwargs))

    def run_if(
        self, is_needed: Callable[[], bool], function: Callable[P, list[T]], *args: P.args, **kwargs: P.kwargs
    ) -> list[T]:
        """Calls a plain function over there, unless a look from here says that it would return nothing."""
        posts = self._checked_posts(function)
        return posts.call(partial(function, *args, **kwargs)) if is_needed() else []

    def look(self, function: Callable[[float], T], *, call: str) -> T:
        """Calls a function that only reads, right here, with the event loop's time; ``call`` is its name in errors."""
        posts = self._checked_posts(call)
        if posts.is_waited_for:  # what was posted before counts
            posts.call(_nothing)
        return function(self._now_s())

    def run_if_open(self, function: Callable[[], T]) -> T:
        """Calls a plain function on the event loop's thread; right here once that is gone."""
        posts = self._posts
        answer = None if posts is None or self._is_forked() else posts.ask(function)
        return function() if answer is None else answer.result()

    def post_if_open(self, function: Callable[[], object]) -> None:
        """Has a plain function called on the event loop's thread, before what is called next; here once it is gone."""
        posts = self._posts
        if posts is not None and posts.is_full:
            self.run_if_open(function)
        elif posts is None or self._is_forked() or not posts.offer(function):
            function()

    def wait_for(self, register: Callable[[Callable[[], object]], object]) -> None:
        """Waits until a callback is called, or the thread has ended; Ctrl-C ends the waiting, and nothing else.

        Args:
            register: Takes the callback, on the event loop's thread.
        """
        posts = self._checked_posts("wait")
        called = threading.Event()
        self._waits.add(called)
        try:
            posts.post(partial(register, called.set))
            if not self._over.is_set():
                called.wait()
        finally:
            self._waits.discard(called)

    def _checked_posts(self, function: Callable[..., Any] | str) -> Posts:
        self._check(function)
        posts = self._posts  # the event loop's thread may set it to None at any time
        if posts is None:
            raise called_after_close(_name_of(function))
        return posts

    def _check(self, function: Callable[..., Any] | str) -> BlockingPortal:
        refuse_in_event_loop()
        portal = self._portal  # the event loop's thread may set it to None at any time
        if portal is None and self._process is not None:
            raise called_after_close(_name_of(function))
        if portal is None:
            raise RunnerClosedError("the runner is not open; use it as a context manager")
        if self._is_forked():
            raise RunnerClosedError(
                "the runner was opened before a fork, in the parent; open one in this process"
            )
        return portal

    def _is_forked(self) -> bool:
        """Whether this is a child: threads are not inherited, so waiting for the event loop's would never end."""
        return self._process != os.getpid()

    def _post(self, function: Callable[[], None]) -> None:
        """Calls a function on the event loop's thread, if that still runs; waits for nothing."""
        if self._portal is not None:
            with suppress(RuntimeError):  # it ends just now
                self._portal.start_task_soon(function)

    # On the event loop's thread

    def _leave(self) -> None:
        self._leaving.set()

    def _cancel(self) -> None:
        self._leaving.set()
        self._scope.cancel()

    def _serve(self, context: AbstractAsyncContextManager[Any]) -> None:
        self._begun.set()
        error: BaseException | None = None
        try:
            error = anyio.run(self._live, context)
        except BaseException as raised:  # noqa: BLE001  # raised in the thread that waits for it
            error = raised
        for future in (self._entered, self._left):
            if not future.done() and error is None:
                future.set_result(None)
            elif not future.done():
                future.set_exception(error)
        self._over.set()
        for wait in tuple(self._waits):
            wait.set()

    async def _live(self, context: AbstractAsyncContextManager[Any]) -> BaseException | None:
        """The context's whole life in one task, as task groups need it; returns its error, which a group would wrap."""
        self._leaving, self._scope = anyio.Event(), anyio.CancelScope()
        self._now_s = asyncio.get_running_loop().time
        error: BaseException | None = None
        async with BlockingPortal() as portal:
            async with anyio.create_task_group() as group:
                self._portal, self._posts = portal, Posts()
                group.start_soon(self._posts.serve, name="podrunner-posts")
                try:
                    with self._scope:
                        if self._is_abandoned:
                            self._cancel()
                        await self._live_in(context)
                except BaseException as raised:  # noqa: BLE001
                    error = raised
                self._portal = None
                self._posts.close()
                group.cancel_scope.cancel()
            self._posts = None
            # Calls of other threads end by themselves, as the context is left; after an error none is waited for.
            await portal.stop(cancel_remaining=self._scope.cancel_called or error is not None)
        return error

    async def _live_in(self, context: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with context:
                self._entered.set_result(None)
                await self._leaving.wait()
                if self._error is not None:
                    raise _SameError from self._error
        except BaseException as error:
            self._notes += getattr(error, "__notes__", ())
            raise


class _SameError(Exception):
    """Tells the asynchronous context that the body of the blocking one ended with an error."""


async def _told(call: Callable[[], Awaitable[T]], done: threading.Event) -> T:
    try:
        return await call()
    finally:
        done.set()


def _nothing() -> None:
    """Does nothing: when it was called, whatever was posted before has been called."""


def _name_of(function: Callable[..., Any] | str) -> str:
    """Returns what the caller called, as ``launch``; "": not known."""
    name = function if isinstance(function, str) else str(getattr(function, "__name__", ""))
    return "" if name.startswith(("_", "<")) else name


def refuse_in_event_loop() -> None:
    """Refuses a blocking call from a running event loop.

    Raises:
        CallFromEventLoopError: One runs in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        if not _in_trio():
            return
    raise CallFromEventLoopError(
        "the blocking face was called from a running event loop, which it would block; use AsyncPodRunner there "
        "(`async with`, `await`: also in a notebook), or call from a worker thread (`asyncio.to_thread`)"
    )


def _in_trio() -> bool:
    import sys

    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())
