"""One reader of a runner's events: what ``runner.events()`` gives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from podrunner.errors import UsageError
from podrunner.runner.each import Each

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from podrunner.runner.events import EventBus, EventQueue, RunnerEvent

__all__ = ["AsyncEvents"]


class AsyncEvents:
    """A runner's events from the moment of entering: ``async with runner.events() as events``.

    Iterate over it, or take batches. Each reader has a queue of its own.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._queue: EventQueue | None = None

    async def __aenter__(self) -> Self:
        self._queue = self._bus.subscribe()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._queue is not None:
            self._bus.unsubscribe(self._queue)

    def __aiter__(self) -> AsyncIterator[RunnerEvent]:
        # One at a time: whoever stops in between has lost nothing.
        return Each(partial(self.next_batch, 1))

    async def next_batch(self, max_events: int | None = None) -> list[RunnerEvent]:
        """Waits for events and takes those that are there.

        Args:
            max_events: How many at most; None: all.

        Returns:
            At least one event; an empty list once the runner is closed and everything was taken.
        """
        return await self._entered().next_batch(max_events)

    def poll(self, max_events: int | None = None) -> list[RunnerEvent]:
        """Takes the events that are there, without waiting.

        Args:
            max_events: How many at most; None: all.
        """
        return self._entered().poll(max_events)

    def _entered(self) -> EventQueue:
        if self._queue is None:
            raise UsageError("events are collected from entering on: use `with runner.events() as events`")
        return self._queue
