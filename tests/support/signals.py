"""Actions of signals that a test depends on, whatever its own parent chose: under ``nohup``, SIGHUP is ignored."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["signal_action"]


@contextmanager
def signal_action(number: signal.Signals, action: Any) -> Iterator[None]:
    """Set the action of a signal here, and in processes that are started meanwhile."""
    before = signal.signal(number, action)
    try:
        yield
    finally:
        signal.signal(number, before)
