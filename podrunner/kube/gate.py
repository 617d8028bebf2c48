"""The gate that a server's ``Retry-After`` closes: one for all requests of a client.

Throttling applies to the client as a whole: if only the refused request waited, the others would go on being refused.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import anyio

from podrunner.event_loop import current_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["MAX_CLOSED_S", "RetryAfterGate"]

MAX_CLOSED_S = 60.0
"""The longest wait that a server can ask for, of any request or stream: a wrong date in a header must not stop a
scheduler for a day. ``answers`` applies it where a ``Retry-After`` is read, so that no error holds a longer wait."""

SPREAD = 0.2
"""Share of the wait that is added at random, so that not all requests come back in the same instant."""


class RetryAfterGate:
    """Open until a response closes it.

    Args:
        clock: Seconds that only ever grow.
        sleep: Waits for so many seconds.
        random: Spreads the waits.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = current_time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        random: Random | None = None,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._random = random or Random()  # noqa: S311  # spreads load, guards nothing
        self._until: float | None = None

    def close_for(self, seconds: float) -> None:
        """Close the gate from now on; a longer closure that is under way stays."""
        until = self._clock() + min(max(seconds, 0.0), MAX_CLOSED_S)
        self._until = until if self._until is None else max(self._until, until)

    @property
    def closed_for_s(self) -> float:
        """Seconds until the gate opens; 0 if it is open."""
        return max(0.0, (self._until or 0.0) - self._clock()) if self.closed else 0.0

    @property
    def closed(self) -> bool:
        """Whether requests wait at present."""
        if self._until is None:  # nearly always: no clock is read
            return False
        if self._clock() >= self._until:
            self._until = None
        return self._until is not None

    async def wait(self) -> None:
        """Wait until the gate is open."""
        while self._until is not None and self.closed:
            left = self._until - self._clock()
            await self._sleep(left + left * SPREAD * self._random.random())
