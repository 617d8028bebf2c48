"""Waking whoever waits for something to change: what is waited for, the waiter looks at again itself."""

from __future__ import annotations

import anyio

__all__ = ["Notify"]


class Notify:
    """Wakes all who wait at that moment. Costs nothing while nobody does: thousands of pods have one each."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    async def wait(self) -> None:
        """Returns at the first :meth:`notify_all` after the call."""
        self._event = self._event or anyio.Event()
        await self._event.wait()

    def notify_all(self) -> None:
        """Wakes them; who waits from now on waits for the next time."""
        if self._event is not None:
            self._event.set()
            self._event = None
