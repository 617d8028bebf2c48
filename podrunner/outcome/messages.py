"""Messages that describe how pods and containers ended. Nothing is decided here."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podrunner.outcome.record import ContainerStateTerminated

__all__ = ["UNREADABLE_CODE", "describe_end", "sentence", "shorten", "signal_of"]

UNREADABLE_CODE = "exit code cannot be read"

_LONGEST = 1024
"""Characters of foreign text that an outcome keeps: enough for any Kubernetes message, little per pod."""


def shorten(text: str | None) -> str:
    """Return foreign text, bounded and without surrounding blanks."""
    stripped = (text or "").strip()
    return stripped if len(stripped) <= _LONGEST else stripped[: _LONGEST - 1] + "…"


def sentence(reason: str | None, message: str | None) -> str:
    """Join a reason and its message as Kubernetes' tools do."""
    return ": ".join(part for part in (reason, shorten(message)) if part)


def signal_of(end: ContainerStateTerminated | None) -> int | None:
    """Return the signal that ended a process: as reported, or its exit code less 128 as shells count; None for none."""
    if end is None:
        return None
    if end.signal:
        return end.signal
    code = end.exit_code
    return code - 128 if code is not None and 128 < code <= 128 + 64 else None


def describe_end(container: str, end: ContainerStateTerminated | None) -> str:
    """Say how a container ended."""
    subject = f"container {container}" if container else "the pod"
    if end is None:
        return f"{subject} ended"
    said = f": {shorten(end.message)}" if end.message and end.message.strip() else ""
    return f"{subject} {_how(end)}{_why(end)}{said}"


def _how(end: ContainerStateTerminated) -> str:
    number = signal_of(end)
    if number is None and end.exit_code is None:
        return f"ended, and its {UNREADABLE_CODE}"
    if number is None:
        return f"ended with exit code {end.exit_code}"
    return f"was ended by signal {number} ({_signal_name(number)}), exit code {end.exit_code}"


def _why(end: ContainerStateTerminated) -> str:
    plain = end.reason in {None, "", "Error", "Completed"}
    return "" if plain else f" ({end.reason})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "no name here"
