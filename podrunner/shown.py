"""How commands and pages show a pod: the text of its key, and the class of its status.

What belongs here: rules that the table of ``get``, the board and the timeline share, over plain values. Colours and
layout belong to each of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Look", "key_text", "look_of"]


class Look(StrEnum):
    """The class of a status; each has a colour."""

    RUNNING = "running"
    WAITS = "waits"
    """It waits for what usually comes."""
    OVER = "over"
    """It has succeeded, or goes."""
    TROUBLE = "trouble"
    """It failed, or needs a look: what it waits for will hardly come by itself."""


_LOOKS: Final = (
    ({"Running"}, Look.RUNNING),
    ({"Completed", "Terminating"}, Look.OVER),
    ({"Pending", "ContainerCreating", "PodInitializing", "SchedulingGated"}, Look.WAITS),
)


def look_of(status: str, *, succeeded: bool | None) -> Look:
    """Return the class of a pod's status.

    Args:
        status: As ``kubectl get pod`` prints it.
        succeeded: Whether it ended well; None: it is not over.
    """
    if succeeded is not None:
        return Look.OVER if succeeded else Look.TROUBLE
    named = next((look for statuses, look in _LOOKS if status in statuses), None)
    return named or (Look.WAITS if status.startswith("Init:") and not _is_error(status) else Look.TROUBLE)


def _is_error(status: str) -> bool:
    return "Err" in status or "BackOff" in status


def key_text(parts: Mapping[str, str]) -> str:
    """Return a key as it is shown: ``dag_id=etl,task_id=load``, or its value if it has one part; "" without parts."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    return ",".join(f"{name}={value}" for name, value in parts.items())
