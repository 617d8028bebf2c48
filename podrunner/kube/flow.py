"""An adaptive limit on creates in flight: measured, not configured.

Additive increase, multiplicative decrease, as TCP does it (RFC 5681): each round of answers in good time allows one
more, a refusal (429) halves, an answer that takes much longer than the fastest takes a tenth. Which requests it limits
does not belong here.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from podrunner.event_loop import Event, make_event

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AdaptiveLimit"]

INITIAL = 16
"""Where to begin: an API server on two cores is busy with about ten creates at once, and a larger one soon shows."""

SLOW_FACTOR = 4.0
SLOW_AT_LEAST_S = 1.0
"""An answer is slow if it takes this factor of the fastest one seen, and at least a second: etcd's own hiccups pass."""


class AdaptiveLimit:
    """A limit on things in flight that follows what the server can take. First come, first served.

    Args:
        maximum: Never more than this at once.
        initial: Where to begin.
        clock: Seconds that only ever grow.
    """

    def __init__(
        self, *, maximum: int, initial: int = INITIAL, clock: Callable[[], float] = monotonic
    ) -> None:
        if maximum < 1:
            raise ValueError(f"maximum must be at least 1, not {maximum}")
        self._maximum = float(maximum)
        self._limit = float(min(initial, maximum))
        self._clock = clock
        self._in_flight = 0
        self._waiting: deque[Event] = deque()
        self._fastest_s = float("inf")
        self._lowered_at = float("-inf")

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """How many are in flight."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """How many wait for a permit."""
        return len(self._waiting)

    def now(self) -> float:
        """Return the clock's time, for a request that is sent later than its permit was acquired."""
        return self._clock()

    async def acquire(self) -> float:
        """Wait for a permit. Returns when it was acquired, for :meth:`release`."""
        if self._waiting or self._in_flight >= self.limit:
            await self._queue()
        else:
            self._in_flight += 1
        return self._clock()

    async def _queue(self) -> None:
        granted = make_event()
        self._waiting.append(granted)
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():  # together with the cancellation: the permit goes to the next
                self.abandon()
            else:
                self._waiting.remove(granted)
            raise

    def release(self, began_s: float, *, throttled: bool = False) -> None:
        """Release a permit and adapt the limit.

        Args:
            began_s: What :meth:`acquire` returned.
            throttled: The server refused because it has too much to do.
        """
        took_s = self._clock() - began_s
        if throttled:
            self._lower(began_s, 0.5)
        elif took_s > max(SLOW_AT_LEAST_S, SLOW_FACTOR * self._fastest_s):
            self._lower(began_s, 0.9)
        elif 2 * self._in_flight >= self._limit:  # a limit that is not used proves nothing
            self._limit = min(self._maximum, self._limit + 1.0 / self._limit)
        if not throttled:
            self._fastest_s = min(self._fastest_s, took_s)
        self.abandon()

    def abandon(self) -> None:
        """Release a permit without adapting: the request was cancelled."""
        self._in_flight -= 1
        self._wake()

    def _lower(self, began_s: float, factor: float) -> None:
        """Lower once per round: a request sent before the last change says nothing about the new limit."""
        if began_s >= self._lowered_at:
            self._limit = max(1.0, self._limit * factor)
            self._lowered_at = self._clock()

    def _wake(self) -> None:
        while self._waiting and self._in_flight < self.limit:
            self._in_flight += 1
            self._waiting.popleft().set()
