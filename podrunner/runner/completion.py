"""``as_completed``: the handles of pods or runs in the order in which they end.

A class and not an async generator, for the reasons that :mod:`podrunner.runner.iteration` names. No task runs for it:
each pod calls back once, when it has ended.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

import anyio

from podrunner.event_loop import current_time
from podrunner.runner.handles import AsyncPod
from podrunner.runner.run_handle import AsyncRun, is_over, on_end, standing
from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AsyncCompletions"]

H = TypeVar("H", bound=AsyncPod | AsyncRun)

# Handles that the text of a time-out describes at most.
_SHOWN: Final = 3


class AsyncCompletions(Generic[H]):
    """Handles in the order of their ends; those that have ended come first.

    Coming back for the next one takes the outcome of the one before.

    Args:
        handles: The handles; one that is there twice is given once.
        timeout_s: Seconds from now after which waiting ends; None: never.
    """

    def __init__(self, handles: Iterable[H], *, timeout_s: float | None) -> None:
        self._open = dict.fromkeys(handles)
        self._count = len(self._open)
        self._ended: deque[H] = deque(handle for handle in self._open if is_over(handle))
        self._arrival = Notify()
        self._in_hand: H | None = None
        self._timeout_s = timeout_s
        self._until = float("inf")
        going_on = [handle for handle in self._open if not is_over(handle)]
        if going_on and timeout_s is not None:
            self._until = current_time() + timeout_s
        for handle in going_on:
            on_end(handle, partial(self._note_end, handle))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> H:
        handle = await self.next_handle()
        if handle is None:
            raise StopAsyncIteration
        return handle

    @property
    def is_exhausted(self) -> bool:
        """Whether every handle was given."""
        return not self._open

    def poll(self) -> H | None:
        """Gives the next handle that has ended, without waiting; None: there is none now. Takes the one before."""
        if self._in_hand is not None:
            _ = self._in_hand.outcome  # reading it takes it
            self._in_hand = None
        if self._ended:
            self._in_hand = self._ended.popleft()
            del self._open[self._in_hand]
        return self._in_hand

    async def next_handle(self) -> H | None:
        """Gives the next handle that has ended, once there is one; None: every one was given.

        Raises:
            TimeoutError: The time is over; what has ended by then is given nevertheless.
            StaleError: The time is over, and nothing is known because the watch is interrupted.
        """
        handle = self.poll()
        with anyio.CancelScope(deadline=self._until):
            while handle is None and self._open:
                await self._arrival.wait()
                handle = self.poll()
        if handle is None and self._open:
            raise self._timed_out()
        return handle

    def _note_end(self, handle: H) -> None:
        self._ended.append(handle)
        self._arrival.notify_all()

    def _timed_out(self) -> TimeoutError:
        stand = [standing(handle) for handle in self._open]
        more = f"; and {len(stand) - _SHOWN} more" if len(stand) > _SHOWN else ""
        return TimeoutError(
            f"{len(stand)} of {self._count} were not over after {self._timeout_s:g} s: "
            f"{'; '.join(stand[:_SHOWN])}{more}"
        )
