"""Tells the readers of events when the watch's knowledge becomes stale, and when it is up to date again.

A handle raises while what it knows is stale (``Desk.check_fresh``); whoever waits for events hears of it here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from podrunner.watch import WatchHealth

__all__ = ["tell_staleness"]

_TICK_S: Final = 1.0
"""How often is looked; knowledge becomes stale after many seconds."""
_LOOKS: Final = 2


async def tell_staleness(
    watches: Callable[[], Iterable[WatchHealth]], tell: Callable[[WatchHealth, str | None], None]
) -> None:
    """Look each second, for ever.

    A connection that was silent for too long counts as interrupted since its last sign, for the moment until it is
    opened anew. That is nobody's trouble: only what is stale at two looks in a row is told.

    Args:
        watches: The health of all watches.
        tell: Called once when a watch is stale, with the reason in words, and once with None when it no longer is.
    """
    looks: Counter[str | None] = Counter()
    while True:
        await anyio.sleep(_TICK_S)
        for watch in watches():
            before = looks[watch.namespace]
            looks[watch.namespace] = before + 1 if watch.stale else 0
            if before >= _LOOKS and not watch.stale:
                tell(watch, None)
            elif before + 1 == _LOOKS and watch.stale:
                tell(watch, _words(watch))


def _words(health: WatchHealth) -> str:
    return f"the watch has been interrupted for {health.interrupted_s:.0f} s: {health.error}"
