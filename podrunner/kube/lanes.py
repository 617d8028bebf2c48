"""Lanes: creates, deletes and reads share the connections, and none of them holds up the others.

Each kind of request waits in a line of its own, the lines take turns, and no lane may have all connections. So a
thousand deletions, or creates that a server is slow to answer, leave room for the rest. A request that need not wait
costs a few additions. How many creates a server can take is found out in ``flow``; requests about Leases go beside the
lanes, on connections of their own.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

import anyio

__all__ = ["Lane", "Lanes", "lane_of"]

_SHARE = 0.75
"""The most that one lane may have of all connections. A server that answers is busy with less."""


class Lane(StrEnum):
    """A kind of request."""

    CREATE = "create"
    DELETE = "delete"
    READ = "read"
    """Whatever else: get, list, patch."""


_LANES = {"POST": Lane.CREATE, "DELETE": Lane.DELETE}


def lane_of(method: str) -> Lane:
    """The lane of an HTTP method."""
    return _LANES.get(method, Lane.READ)


class Lanes:
    """Lets so many requests under way at once, of each lane at most three quarters of them.

    Args:
        connections: How many there are.
    """

    def __init__(self, connections: int) -> None:
        if connections < 1:
            raise ValueError(f"connections must be at least 1, not {connections}")
        self._free = connections
        self._most = max(1, int(connections * _SHARE))
        self._under_way = dict.fromkeys(Lane, 0)
        self._waiting: dict[Lane, deque[anyio.Event]] = {lane: deque() for lane in Lane}
        self._lined_up = 0
        self._turns = 0
        self._last_turn = dict.fromkeys(Lane, 0)

    def under_way(self, lane: Lane) -> int:
        """How many requests of a lane are under way."""
        return self._under_way[lane]

    def waiting(self, lane: Lane) -> int:
        """How many wait for their turn."""
        return len(self._waiting[lane])

    def try_enter(self, lane: Lane) -> bool:
        """Takes a turn if there is one at once; to be given back by :meth:`leave`."""
        if not self._free or self._under_way[lane] >= self._most or self._waiting[lane]:
            return False
        self._take(lane)
        return True

    async def enter(self, lane: Lane) -> None:
        """Waits for a turn, and takes it."""
        if self.try_enter(lane):
            return
        turn = anyio.Event()
        self._waiting[lane].append(turn)
        self._lined_up += 1
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # the turn came together with the cancellation: it goes to the next
                self.leave(lane)
            else:
                self._waiting[lane].remove(turn)
                self._lined_up -= 1
            raise

    def leave(self, lane: Lane) -> None:
        """Gives a turn back."""
        self._under_way[lane] -= 1
        self._free += 1
        if self._lined_up and (following := self._next()) is not None:
            self._take(following)
            self._lined_up -= 1
            self._waiting[following].popleft().set()

    def _take(self, lane: Lane) -> None:
        self._free -= 1
        self._under_way[lane] += 1
        self._turns += 1
        self._last_turn[lane] = self._turns

    def _next(self) -> Lane | None:
        ready = [lane for lane in Lane if self._waiting[lane] and self._under_way[lane] < self._most]
        return min(ready, key=self._last_turn.__getitem__, default=None)
