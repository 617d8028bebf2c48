"""Messages that describe how pods and containers ended. Nothing is decided here."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podrunner.outcome.record import ContainerStateTerminated

__all__ = ["UNREADABLE_CODE", "describe_end", "sentence", "shorten", "signal_of"]

UNREADABLE_CODE = "exit code cannot be read"

_OUT_OF_MEMORY = "OOMKilled"
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


def describe_end(
    container: str, end: ContainerStateTerminated | None, *, memory_limit: str | None = None
) -> str:
    """Say how a container ended.

    Args:
        container: Its name; "" for the whole pod.
        end: Its end; None: it is not known.
        memory_limit: Its limit of memory, as the manifest has it; None: it is not known.
    """
    subject = f"container {container}" if container else "the pod"
    if end is None:
        return f"{subject} ended"
    said = f": {shorten(end.message)}" if end.message and end.message.strip() else ""
    if end.reason == _OUT_OF_MEMORY:
        return f"{subject} {_how_without_memory(end, memory_limit)}{said}"
    return f"{subject} {_how(end)}{_why(end)}{said}"


def _how_without_memory(end: ContainerStateTerminated, limit: str | None) -> str:
    """Say which process the kernel killed: the container's own, or one of its children.

    A child where cgroups are not killed as a whole: with cgroup v1, or the kubelet's ``singleProcessOOMKill``.
    """
    killed = "OOM-killed" if limit is None else f"OOM-killed (limit {limit})"
    number = signal_of(end)
    if number is not None:
        return (
            f"was {killed} by signal {number} ({_signal_name(number)}), exit code {end.exit_code}{_why(end)}"
        )
    if end.exit_code is None:
        return f"was {killed}{_why(end)}"
    return f"{_how(end)}, and a process of it was {killed}{_why(end)}"


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
