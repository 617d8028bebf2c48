"""What happens to a runner's pods, as one stream: the events, and the queues in which they wait for a reader.

A queue is bounded in a way that never costs an outcome: when it is full, what is waiting about a pod that
still runs is replaced by its newest event, while terminal events are always kept. So it holds at most its
limit plus two events for each pod that the runner tracks. Deciding what happened is the supervisor's
business.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from podrunner.runner.notify import Notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from podrunner.outcome import Outcome
    from podrunner.workload import WorkloadKey

__all__ = ["EventBus", "EventKind", "EventQueue", "RunnerEvent"]


class EventKind(StrEnum):
    """What happened. The values are stable."""

    CREATED = "created"
    """The pod exists."""
    ADOPTED = "adopted"
    """The pod of another runner is now this runner's."""
    STATUS_CHANGED = "status-changed"
    """What ``kubectl get pod`` shows as its status changed."""
    FINISHED = "finished"
    """The pod's one outcome. Terminal."""
    DELETED = "deleted"
    """The pod is no longer there. Terminal."""
    LOST = "lost"
    """Another runner took the pod over: it reports the outcome. Terminal."""
    STALE = "stale"
    """The watch is interrupted for too long: what is known of the pod may be out of date; the message says why."""
    RECOVERED = "recovered"
    """The watch is well again, and what is known of the pod is up to date."""
    LOG_GAP = "log-gap"
    """Lines of the pod's log are missing; the message says which."""
    LOG_TROUBLE = "log-trouble"
    """The log of the pod could not be collected; the message says why."""


_TERMINAL = frozenset({EventKind.FINISHED, EventKind.DELETED, EventKind.LOST})


class RunnerEvent(msgspec.Struct, frozen=True, gc=False):
    """Something happened to a pod.

    Attributes:
        kind: What.
        key: Whose pod.
        namespace: The pod's namespace.
        name: The pod's name.
        uid: The pod's UID; "" if there never was one.
        status: The pod's status as ``kubectl get pod`` prints it, at that time; "" if there is none.
        outcome: With ``finished``: the outcome.
        message: More in words, or "".
    """

    kind: EventKind
    key: WorkloadKey
    namespace: str
    name: str
    uid: str
    status: str = ""
    outcome: Outcome | None = None
    message: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether the event is never left out."""
        return self.kind in _TERMINAL


class EventQueue:
    """Events that wait for one reader.

    Args:
        limit: How many may wait before older news of a pod give way to newer.
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
        self._listeners: list[Callable[[RunnerEvent], None]] = []

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
