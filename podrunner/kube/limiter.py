"""Limits requests in flight per verb class: creates, deletes and reads share the connections fairly.

Each class has a queue of its own, the queues are served in rotation, and no class may have all connections. So a
thousand deletions, or creates that a server is slow to answer, leave room for the rest. A request that need not wait
costs a few additions. How many creates a server can take is found out in ``flow``; requests about Leases are not
limited and have connections of their own.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from podrunner.event_loop import Event, make_event

__all__ = ["RequestLimiter", "VerbClass", "verb_class_of"]

_SHARE = 0.75
"""The most that one class may have of all connections. A server that answers is busy with less."""


class VerbClass(StrEnum):
    """A class of requests with a queue of its own, after their verb."""

    CREATE = "create"
    DELETE = "delete"
    READ = "read"
    """All other verbs: get, list, patch."""


_VERB_CLASSES = {"POST": VerbClass.CREATE, "DELETE": VerbClass.DELETE}


def verb_class_of(method: str) -> VerbClass:
    """The verb_class of an HTTP method."""
    return _VERB_CLASSES.get(method, VerbClass.READ)


class RequestLimiter:
    """Lets so many requests under way at once, of each verb_class at most three quarters of them.

    Args:
        connections: How many there are.
    """

    def __init__(self, connections: int) -> None:
        if connections < 1:
            raise ValueError(f"connections must be at least 1, not {connections}")
        self._free = connections
        self._most = max(1, int(connections * _SHARE))
        self._in_flight = dict.fromkeys(VerbClass, 0)
        self._waiting: dict[VerbClass, deque[Event]] = {verb_class: deque() for verb_class in VerbClass}
        self._queued = 0
        self._grants = 0
        self._last_grant = dict.fromkeys(VerbClass, 0)

    def in_flight(self, verb_class: VerbClass) -> int:
        """How many requests of a verb_class are under way."""
        return self._in_flight[verb_class]

    def waiting(self, verb_class: VerbClass) -> int:
        """How many requests of a class wait for a permit."""
        return len(self._waiting[verb_class])

    def try_acquire(self, verb_class: VerbClass) -> bool:
        """Acquires a permit if one is free; to be given back by :meth:`release`."""
        if not self._free or self._in_flight[verb_class] >= self._most or self._waiting[verb_class]:
            return False
        self._take(verb_class)
        return True

    async def acquire(self, verb_class: VerbClass) -> None:
        """Waits for a permit, and acquires it."""
        if self.try_acquire(verb_class):
            return
        granted = make_event()
        self._waiting[verb_class].append(granted)
        self._queued += 1
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():  # together with the cancellation: the permit goes to the next
                self.release(verb_class)
            else:
                self._waiting[verb_class].remove(granted)
                self._queued -= 1
            raise

    def release(self, verb_class: VerbClass) -> None:
        """Gives a permit back."""
        self._in_flight[verb_class] -= 1
        self._free += 1
        if self._queued and (following := self._next()) is not None:
            self._take(following)
            self._queued -= 1
            self._waiting[following].popleft().set()

    def _take(self, verb_class: VerbClass) -> None:
        self._free -= 1
        self._in_flight[verb_class] += 1
        self._grants += 1
        self._last_grant[verb_class] = self._grants

    def _next(self) -> VerbClass | None:
        ready = [
            verb_class
            for verb_class in VerbClass
            if self._waiting[verb_class] and self._in_flight[verb_class] < self._most
        ]
        return min(ready, key=self._last_grant.__getitem__, default=None)
