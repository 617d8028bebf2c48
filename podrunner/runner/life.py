"""The life of a runner, from its opening to its close, in one task of its own.

The task of the caller is cancelled by time-outs, by the failure of a sibling, by Ctrl-C: once, or again and again. None
of it reaches the task here: it hears that the caller was interrupted, brings the opening or the close to its end, and
only then the interruption goes on in the caller's task.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, TypeAlias

import anyio

from podrunner.errors import CloseTimeoutError
from podrunner.event_loop import make_event
from podrunner.interruption import finish, interruptions, outlast, persist, protect, withdraw_cancellation
from podrunner.runner.closing import ClosePolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from podrunner.runner.engine import Engine

__all__ = ["RunnerLife"]

Opener: TypeAlias = "Callable[[AsyncExitStack, anyio.CancelScope], Awaitable[Engine | None]]"


class RunnerLife:
    """Opens an engine, keeps it, closes it.

    Args:
        opener: Opens the engine; the stack closes what it opened. Cancelling the scope ends the opening: then it
            returns None.
        policy: What becomes of the pods if a task of the engine ends the runner's block.

    Attributes:
        engine: The engine, once it is open.
    """

    def __init__(self, opener: Opener, *, policy: ClosePolicy) -> None:
        self.engine: Engine | None = None
        self._opener = opener
        self._group = anyio.create_task_group()
        self._opening = anyio.CancelScope()
        self._opened = make_event()
        self._closing = make_event()
        self._closed = make_event()
        self._leaving = make_event()
        self._ended = make_event()
        self._policy = policy
        self._is_clean = False
        self._error: BaseException | None = None
        self._timeout: CloseTimeoutError | None = None
        self._entered_by = 0

    # In the caller's task

    async def enter(self) -> Engine:
        """Opens the engine. If that is interrupted or fails, nothing is left behind.

        Raises:
            PodrunnerError: The cluster cannot be reached, or it refuses the Lease.
        """
        await self._group.__aenter__()
        self._entered_by = anyio.get_current_task().id
        self._group.start_soon(self._live, name="runner")
        try:
            await finish(self._opened, on_interrupted=self._opening.cancel)
        except interruptions() as interruption:
            self._leave()
            await outlast(self._ended)
            await self._end_group(interruption)
            raise
        if self._error is not None or self.engine is None:
            await self._end_group(None)
            raise self._error or RuntimeError("the opening ended without an engine")
        return self.engine

    async def close(self, policy: ClosePolicy, *, is_clean: bool) -> None:
        """Closes the engine; a second call waits for the first.

        Args:
            policy: What becomes of the pods. An interruption makes it ``cancel``, unless it is ``detach``.
            is_clean: Whether the runner's block was not ended by an error.

        Raises:
            CloseTimeoutError: Pods did not end in the time for it; they are named.
        """
        self._ask(policy, is_clean=is_clean)
        await finish(self._closed, on_interrupted=self._shorten)
        timeout, self._timeout = self._timeout, None
        if timeout is not None:
            raise timeout

    async def leave(self, policy: ClosePolicy, error: BaseException | None) -> None:
        """Closes the engine and everything that was opened; raises what interrupted that.

        Args:
            policy: What becomes of the pods, as for :meth:`close`.
            error: What ended the runner's block; None: nothing.

        Raises:
            CloseTimeoutError: Pods did not end in the time for it; they are named. If the block ended by an error, or
                the close was interrupted, that bears it as a note.
        """
        self._ask(policy, is_clean=error is None)
        self._leave()
        interruption: BaseException | None = None
        try:
            await finish(self._ended, on_interrupted=self._shorten)
        except interruptions() as caught:
            interruption = caught
        try:
            await self._end_group(error)
        except interruptions() as caught:
            interruption = caught
        self._raise(error, interruption)

    def _ask(self, policy: ClosePolicy, *, is_clean: bool) -> None:
        if not self._closing.is_set():
            self._policy, self._is_clean = policy, is_clean
            self._closing.set()
        elif policy is ClosePolicy.CANCEL:
            self._shorten()

    def _leave(self) -> None:
        self._closing.set()
        self._leaving.set()

    def _shorten(self) -> None:
        """Ends the pods that a close waits for."""
        if self.engine is not None and self._policy is not ClosePolicy.DETACH:
            self.engine.closing.shorten()

    async def _end_group(self, error: BaseException | None) -> None:
        """Leaves the task group, whose only task has ended."""
        if anyio.get_current_task().id != self._entered_by:
            return  # a cell of a notebook, which is a task, opened the runner, and another one leaves it
        if self._group.cancel_scope.cancel_called and isinstance(error, anyio.get_cancelled_exc_class()):
            # Its own cancellation is its business, and that of what failed, which is raised instead.
            with suppress(anyio.get_cancelled_exc_class()):
                await self._group.__aexit__(type(error), error, error.__traceback__)
        else:
            await self._group.__aexit__(None, None, None)  # it would wrap another error in a group

    def _raise(self, error: BaseException | None, interruption: BaseException | None) -> None:
        if self._error is not None:
            raise self._error
        pending = interruption or error
        if self._timeout is not None and pending is None:
            raise self._timeout
        if self._timeout is not None and pending is not None:
            pending.add_note(str(self._timeout))
        if interruption is not None:
            raise interruption

    # In the task of its own

    async def _live(self) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await protect(self._open_and_close)
            except anyio.get_cancelled_exc_class() as error:
                withdraw_cancellation()
                self._error = error if self.engine is None else self._error
            except BaseException as error:  # noqa: BLE001  # raised in the caller's task
                self._error = error
            finally:
                for event in (self._opened, self._closed, self._ended):
                    event.set()

    async def _open_and_close(self) -> None:
        async with AsyncExitStack() as stack:
            self.engine = engine = await self._opener(stack, self._opening)
            if engine is None:
                return
            engine.tasks.on_failure = self._fail
            engine.tasks.on_interrupted = self._interrupt
            self._opened.set()
            try:
                await persist(self._closing.wait)
            except (KeyboardInterrupt, SystemExit) as error:  # raised in the caller's task, after the close
                self._error = error
            try:
                await engine.closing.close(self._policy, is_clean=self._is_clean)
            except CloseTimeoutError as timeout:
                self._timeout = timeout
            self._closed.set()
            await persist(self._leaving.wait)

    def _interrupt(self, error: BaseException) -> None:
        """A signal's handler raised an error in a task of the engine, which belongs into the caller's."""
        self._error = error
        self._leave()
        self._shorten()
        self._group.cancel_scope.cancel()

    def _fail(self) -> None:
        """A task of the engine has failed: the runner's block is ended, and its error raised there."""
        self._leave()
        if self.engine is not None:
            self.engine.closing.abandon()
        self._group.cancel_scope.cancel()
