"""The queues in which a runner's events wait for their readers, and the subscription that ``runner.events()`` returns.

A queue is bounded in a way that never costs an outcome: when it is full, a waiting event of a pod that still runs is
replaced by the newest event of that pod, while terminal events are always kept. So it holds at most its limit plus two
events for each pod that the runner tracks.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Self

from podrunner.errors import UsageError
from podrunner.runner.iteration import iter_items
from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType

    from podrunner.runner.events import RunnerEvent

__all__ = ["AsyncEvents", "EventBus", "EventQueue"]


class EventQueue:
    """Events that wait for one reader.

    Args:
        limit: How many may wait before older events of a pod give way to newer ones.
    """

    def __init__(self, limit: int) -> None:
        self.coalesced: int = 0
        self._limit = limit
        self._waiting: OrderedDict[int, RunnerEvent] = OrderedDict()
        self._newest: dict[str, int] = {}
        self._next = 0
        self._arrival = Notify()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: RunnerEvent) -> None:
        """Adds an event; wakes the reader."""
        if len(self._waiting) >= self._limit and not event.is_terminal:
            self._coalesce(event)
        else:
            self._append(event)
        self._arrival.notify_all()

    def poll(self, max_events: int | None = None) -> list[RunnerEvent]:
        """Takes what is waiting, the oldest first, at most so many (None: all)."""
        count = len(self._waiting) if max_events is None else min(max_events, len(self._waiting))
        return list(self._take(count))

    async def next_batch(self, max_events: int | None = None) -> list[RunnerEvent]:
        """Waits until there is something and takes it; an empty list says that the queue was closed."""
        while not self._waiting and not self._closed:
            await self._arrival.wait()
        return self.poll(max_events)

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._arrival.notify_all()

    def _append(self, event: RunnerEvent) -> None:
        self._waiting[self._next] = event
        if not event.is_terminal:
            self._newest[event.uid or event.name] = self._next
        self._next += 1

    def _coalesce(self, event: RunnerEvent) -> None:
        place = self._newest.get(event.uid or event.name)
        if place is None:
            self._append(event)
            return
        self._waiting[place] = event
        self.coalesced += 1

    def _take(self, count: int) -> Iterator[RunnerEvent]:
        for _ in range(count):
            place, event = self._waiting.popitem(last=False)
            if self._newest.get(event.uid or event.name) == place:
                del self._newest[event.uid or event.name]
            yield event


class EventBus:
    """Gives each event to the runner's own queue and to every open subscription."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.queue: EventQueue = EventQueue(limit)
        self._subscriptions: list[EventQueue] = []

    def emit(self, event: RunnerEvent) -> None:
        """Gives the event to all."""
        self.queue.put(event)
        for subscription in self._subscriptions:
            subscription.put(event)

    def subscribe(self) -> EventQueue:
        """A queue that gets everything from now on."""
        queue = EventQueue(self._limit)
        self._subscriptions.append(queue)
        return queue

    def unsubscribe(self, queue: EventQueue) -> None:
        """Ends a subscription; its reader gets what is waiting, then the end."""
        queue.close()
        if queue in self._subscriptions:
            self._subscriptions.remove(queue)

    def close(self) -> None:
        """Ends all subscriptions."""
        for queue in (self.queue, *self._subscriptions):
            queue.close()


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
        # One at a time: a reader that stops in between has lost nothing.
        return iter_items(partial(self.next_batch, 1))

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
