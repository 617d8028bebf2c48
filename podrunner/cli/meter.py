"""How far a transfer is, in one line on a terminal; nothing elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from podrunner.cli.screen import is_terminal

__all__ = ["meter", "shown_size"]

_EVERY_S = 0.2
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@contextmanager
def meter(stream: TextIO, *, now: Callable[[], float] = time.monotonic) -> Iterator[Callable[[int], None]]:
    """Give a function that counts bytes, and shows their number and rate while they pass.

    Args:
        stream: Where to; only a terminal shows anything.
        now: Seconds on a monotonic clock.
    """
    if not is_terminal(stream):
        yield lambda _: None
        return
    began = shown = now()
    total = 0

    def passed(count: int) -> None:
        nonlocal total, shown
        total += count
        if now() - shown >= _EVERY_S:
            shown = now()
            stream.write(f"\r\x1b[K{shown_size(total)}  {shown_size(total / (shown - began))}/s")
            stream.flush()

    try:
        yield passed
    finally:
        stream.write("\r\x1b[K")
        stream.flush()


def shown_size(count: float) -> str:
    """Return a number of bytes for people: ``12.3 MiB``."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} B" if not unit else f"{count:.1f} {_UNITS[unit]}"
