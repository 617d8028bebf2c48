"""RequestLimiter: creates, deletes and reads share the connections, and none of them holds up the others.

Each kind of request waits in a line of its own, the lines take turns, and no class may have all connections. So a
thousand deletions, or creates that a server is slow to answer, leave room for the rest. A request that need not wait
costs a few additions. How many creates a server can take is found out in ``flow``; requests about Leases go beside the
lanes, on connections of their own.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

import anyio

__all__ = ["RequestLimiter", "VerbClass", "verb_class_of"]

_SHARE = 0.75
"""The most that one class may have of all connections. A server that answers is busy with less."""


class VerbClass(StrEnum):
    """A kind of request."""

    CREATE = "create"
    DELETE = "delete"
    READ = "read"
    """Whatever else: get, list, patch."""


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
        self._under_way = dict.fromkeys(VerbClass, 0)
        self._waiting: dict[VerbClass, deque[anyio.Event]] = {verb_class: deque() for verb_class in VerbClass}
        self._lined_up = 0
        self._turns = 0
        self._last_turn = dict.fromkeys(VerbClass, 0)

    def under_way(self, verb_class: VerbClass) -> int:
        """How many requests of a verb_class are under way."""
        return self._under_way[verb_class]

    def waiting(self, verb_class: VerbClass) -> int:
        """How many wait for their turn."""
        return len(self._waiting[verb_class])

    def try_acquire(self, verb_class: VerbClass) -> bool:
        """Takes a turn if there is one at once; to be given back by :meth:`release`."""
        if not self._free or self._under_way[verb_class] >= self._most or self._waiting[verb_class]:
            return False
        self._take(verb_class)
        return True

    async def acquire(self, verb_class: VerbClass) -> None:
        """Waits for a turn, and takes it."""
        if self.try_acquire(verb_class):
            return
        turn = anyio.Event()
        self._waiting[verb_class].append(turn)
        self._lined_up += 1
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # the turn came together with the cancellation: it goes to the next
                self.release(verb_class)
            else:
                self._waiting[verb_class].remove(turn)
                self._lined_up -= 1
            raise

    def release(self, verb_class: VerbClass) -> None:
        """Gives a turn back."""
        self._under_way[verb_class] -= 1
        self._free += 1
        if self._lined_up and (following := self._next()) is not None:
            self._take(following)
            self._lined_up -= 1
            self._waiting[following].popleft().set()

    def _take(self, verb_class: VerbClass) -> None:
        self._free -= 1
        self._under_way[verb_class] += 1
        self._turns += 1
        self._last_turn[verb_class] = self._turns

    def _next(self) -> VerbClass | None:
        ready = [
            verb_class
            for verb_class in VerbClass
            if self._waiting[verb_class] and self._under_way[verb_class] < self._most
        ]
        return min(ready, key=self._last_turn.__getitem__, default=None)
