"""The queues in which a runner's events wait for their readers, and the subscription that ``runner.events()`` returns.

A queue is bounded in a way that never costs an outcome: when it is full, a waiting event of a pod that still runs is
replaced by the newest event of that pod, while terminal events are kept. So it holds at most its limit plus two events
for each pod since its reader last came. The runner's own queue may have no reader at all, as outcomes are also taken by
subscriptions and handles: when it holds twice its limit, the events of pods whose outcomes were taken are left out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

from podrunner.errors import UsageError
from podrunner.runner.delivery import Reader, came_back, handed_out, left
from podrunner.runner.events import EventKind, note_handle
from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from podrunner.runner.delivery import Deliveries
    from podrunner.runner.events import RunnerEvent
    from podrunner.runner.handles import AsyncPod
    from podrunner.runner.hooks import HookCalls
    from podrunner.runner.tracked import TrackedPod

__all__ = ["AsyncEvents", "EventBus", "EventQueue", "TakeOutcomes", "put_back"]

TakeOutcomes = Callable[[tuple[str, ...]], None]
"""Is given what a reader took: for outcomes of pods their UIDs, for losses what :func:`_name_of` gives."""


class EventQueue:
    """Events that wait for one reader.

    The outcomes of a batch are taken once the reader comes back for more, or leaves without an error.

    Args:
        limit: How many may wait before older events of a pod give way to newer ones.
        on_taken: Called with the outcomes that the reader took; None: its reading delivers nothing.
    """

    def __init__(self, limit: int, on_taken: TakeOutcomes | None = None) -> None:
        self.coalesced: int = 0
        self._on_taken = on_taken
        self._reader = Reader()
        self._limit = limit
        self._waiting: OrderedDict[int, RunnerEvent] = OrderedDict()
        self._newest: dict[str, int] = {}
        self._next = 0
        self._arrival = Notify()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def is_beyond(self, count: int) -> bool:
        """Whether more events wait than so many."""
        return len(self._waiting) > count

    @property
    def has_news(self) -> bool:
        """Whether polling would do anything: events wait, or the reader took some. For all threads."""
        return bool(self._waiting or self._reader.in_hand)

    def put(self, event: RunnerEvent) -> None:
        """Adds an event; wakes the reader."""
        is_terminal = event.is_terminal
        if len(self._waiting) >= self._limit and not is_terminal:
            self._coalesce(event)
        else:
            self._append(event, is_terminal=is_terminal)
        if self._arrival.waiting is not None:
            self._arrival.notify_all()

    def poll(self, max_events: int | None = None) -> list[RunnerEvent]:
        """Takes what is waiting, the oldest first, at most so many (None: all)."""
        self._come_back()
        count = len(self._waiting) if max_events is None else min(max_events, len(self._waiting))
        batch = list(self._take(count))
        self._reader = handed_out(self._reader, _ends(batch))
        return batch

    async def next_batch(self, max_events: int | None = None) -> list[RunnerEvent]:
        """Waits until there is something and takes it; an empty list says that the queue was closed."""
        self._come_back()
        while not self._waiting and not self._closed:
            await self._arrival.wait()
        return self.poll(max_events)

    def leave_out(self, is_needless: Callable[[RunnerEvent], bool]) -> None:
        """Takes events out that no reader needs any more."""
        kept = ((place, event) for place, event in self._waiting.items() if not is_needless(event))
        self._waiting = OrderedDict(kept)
        self._newest = {pod: place for pod, place in self._newest.items() if place in self._waiting}

    def put_back(self, events: Sequence[RunnerEvent]) -> None:
        """Takes back events of the last batch that the reader did not look at."""
        unread = set(_ends(events))
        self._reader = Reader(tuple(uid for uid in self._reader.in_hand if uid not in unread))

    def leave(self, *, failed: bool) -> None:
        """The reader leaves, by an error or not."""
        taken, self._reader = left(self._reader, failed=failed), Reader()
        self._pass_on(taken)

    def _come_back(self) -> None:
        if self._reader.in_hand:
            self._reader, taken = came_back(self._reader)
            self._pass_on(taken)

    def _pass_on(self, taken: tuple[str, ...]) -> None:
        if taken and self._on_taken is not None:
            self._on_taken(taken)

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._arrival.notify_all()

    def _append(self, event: RunnerEvent, *, is_terminal: bool) -> None:
        self._waiting[self._next] = event
        if not is_terminal:
            self._newest[event.uid or event.name] = self._next
        self._next += 1

    def _coalesce(self, event: RunnerEvent) -> None:
        place = self._newest.get(event.uid or event.name)
        if place is None:
            self._append(event, is_terminal=False)
            return
        self._waiting[place] = event
        self.coalesced += 1

    def _take(self, count: int) -> Iterator[RunnerEvent]:
        for _ in range(count):
            place, event = self._waiting.popitem(last=False)
            if self._newest.get(event.uid or event.name) == place:
                del self._newest[event.uid or event.name]
            yield event


def _ends(events: Iterable[RunnerEvent]) -> Iterator[str]:
    """Names what a reader of these events is to take."""
    for event in events:
        if event.kind is EventKind.FINISHED and event.uid:
            yield event.uid
        elif _is_loss(event):
            yield _name_of(event)


def _is_loss(event: RunnerEvent) -> bool:
    """Whether an event ends an attempt here without an outcome: no pod keeps the news for the next reader."""
    return event.kind is EventKind.LOST


def _name_of(event: RunnerEvent) -> str:
    return f"event {id(event)}"  # the same object is given to each reader


class EventObserver(Protocol):
    """What is called with each event, and delivers none."""

    def put(self, event: RunnerEvent) -> None:
        """Takes note of an event."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class EventBus:
    """Gives each event to the runner's own queue, to every open subscription, to every observer and to the hooks.

    Attributes:
        hooks: The embedder's; None: there are none.
    """

    def __init__(self, limit: int, hooks: HookCalls | None = None) -> None:
        self.hooks: HookCalls | None = hooks
        self._limit = limit
        self._deliveries: Deliveries | None = None
        self.queue: EventQueue = EventQueue(limit, self._take)
        self._subscriptions: list[EventQueue] = []
        self._observers: list[EventObserver] = []
        self._not_taken: dict[str, RunnerEvent] = {}
        self._most = 2 * limit
        self._make_handle: Callable[[TrackedPod], object] | None = None

    def hand_out(self, make_handle: Callable[[TrackedPod], object]) -> None:
        """Sets how the handles are made that events carry."""
        self._make_handle = make_handle

    def _with_handle(self, event: RunnerEvent) -> RunnerEvent:
        return event if self._make_handle is None else note_handle(event, self._make_handle)

    def deliver_to(self, deliveries: Deliveries) -> None:
        """Sets where outcomes that readers take are passed on to."""
        self._deliveries = deliveries

    def _take(self, taken: tuple[str, ...]) -> None:
        uids = [name for name in taken if self._not_taken.pop(name, None) is None]
        if self._deliveries is not None:
            self._deliveries.take(uids)

    def emit(self, event: RunnerEvent) -> None:
        """Gives the event to all."""
        if self._make_handle is not None:
            note_handle(event, self._make_handle)
        if event.kind is EventKind.LOST:
            self._keep(event)
        self.queue.put(event)
        if self.queue.is_beyond(self._most):
            self.queue.leave_out(self._is_taken)
            self._most = 2 * max(self._limit, len(self.queue))
        for receiver in (*self._subscriptions, *self._observers):
            receiver.put(event)
        if self.hooks is not None:
            self.hooks.emitted(event)

    def attach(self, observer: EventObserver) -> None:
        """Calls an observer with each event from now on."""
        self._observers.append(observer)

    def detach(self, observer: EventObserver) -> None:
        """Calls an observer no more."""
        if observer in self._observers:
            self._observers.remove(observer)

    def _is_taken(self, event: RunnerEvent) -> bool:
        """Whether a reader took the end that the event is, or that its pod came to."""
        if _is_loss(event):
            return _name_of(event) not in self._not_taken
        if event.kind is EventKind.FINISHED and (not event.uid or event.replayed):
            return False  # no pod says whether it was
        return self._deliveries is not None and self._deliveries.is_concluded(event.uid)

    def _keep(self, event: RunnerEvent) -> None:
        """Keeps a loss for the next reader, until one has taken it."""
        self._not_taken[_name_of(event)] = event

    def subscribe(self, *, observe: bool = False) -> EventQueue:
        """A queue that gets the losses that no reader took and the outcomes not delivered, then everything from now on.

        Args:
            observe: Whether its reader only looks on: then it begins empty, and delivers nothing.
        """
        queue = EventQueue(self._limit, None if observe else self._take)
        if not observe:
            undelivered = self._deliveries.undelivered() if self._deliveries is not None else []
            for event in (*self._not_taken.values(), *map(self._with_handle, undelivered)):
                queue.put(event)
        self._subscriptions.append(queue)
        return queue

    def unsubscribe(self, queue: EventQueue, *, failed: bool = False) -> None:
        """Ends a subscription; its reader gets what is waiting, then the end."""
        queue.leave(failed=failed)
        queue.close()
        if queue in self._subscriptions:
            self._subscriptions.remove(queue)

    def close(self) -> None:
        """Ends all subscriptions."""
        for receiver in (self.queue, *self._subscriptions, *self._observers):
            receiver.close()


class AsyncEvents:
    """A runner's events from the moment of entering: ``async with runner.events() as events``.

    Iterate over it, or take batches. Each reader has a queue of its own, which begins with the outcomes that are not
    delivered. Coming back for more takes the outcomes of the last batch, and so does leaving without an exception.
    """

    def __init__(self, bus: EventBus, *, observe: bool = False) -> None:
        self._bus = bus
        self._observe = observe
        self._queue: EventQueue | None = None

    async def __aenter__(self) -> Self:
        self._queue = self._bus.subscribe(observe=self._observe)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._queue is not None:
            self._bus.unsubscribe(self._queue, failed=exc is not None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunnerEvent[AsyncPod]:
        # One at a time: a reader that stops in between has lost nothing.
        for event in await self.next_batch(1):
            return event
        raise StopAsyncIteration

    async def next_batch(self, max_events: int | None = None) -> list[RunnerEvent[AsyncPod]]:
        """Waits for events and takes those that are there.

        Args:
            max_events: How many at most; None: all.

        Returns:
            At least one event; an empty list once the runner is closed and everything was taken.
        """
        return await self._entered().next_batch(max_events)

    def poll(self, max_events: int | None = None) -> list[RunnerEvent[AsyncPod]]:
        """Takes the events that are there, without waiting.

        Args:
            max_events: How many at most; None: all.
        """
        return self._entered().poll(max_events)

    def _entered(self) -> EventQueue:
        if self._queue is None:
            raise UsageError("events are collected from entering on: use `with runner.events() as events`")
        return self._queue


def put_back(events: AsyncEvents, unread: Sequence[RunnerEvent]) -> None:
    """Takes back events of the last batch that the reader did not look at: their outcomes are not taken."""
    events._entered().put_back(unread)  # noqa: SLF001  # the subscription's own room
