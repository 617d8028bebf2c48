"""Waiting for a condition that no event announces."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

__all__ = ["until", "until_blocking"]


async def until(condition: Callable[[], object], *, within_s: float = 30, every_s: float = 0.005) -> None:
    """Wait until the condition holds; TimeoutError after ``within_s``."""
    with anyio.fail_after(within_s):
        while not condition():
            await anyio.sleep(every_s)


def until_blocking(condition: Callable[[], object], *, within_s: float = 30, every_s: float = 0.05) -> None:
    """Wait in blocking code until the condition holds; AssertionError after ``within_s``."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(every_s)
