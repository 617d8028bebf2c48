"""Whose fault the reason and message of a container are: the reason decides, and where it does not, the words.

A reason that decides comes first: the message of a hook that failed, for one, holds what the user's program printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.outcome.category import Fault
from podrunner.outcome.tables.creation import CREATION_REASONS, CREATION_WORDS
from podrunner.outcome.tables.images import IMAGE_REASONS, IMAGE_WORDS
from podrunner.outcome.tables.nodes import EVICTION_WORDS, REJECTION_WORDS, status_reason
from podrunner.outcome.tables.words import fault_of, find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.outcome.tables.words import Word

__all__ = ["fault_of_creation", "fault_of_image", "fault_of_status"]


def fault_of_image(reason: str, message: str | None) -> Fault:
    """Return whose fault it is that an image cannot be had.

    Args:
        reason: The waiting reason: ``ErrImagePull``, ``ImagePullBackOff``, …
        message: The message that came with it.
    """
    return _fault(IMAGE_WORDS, IMAGE_REASONS, reason, message)


def fault_of_creation(reason: str, message: str | None) -> Fault:
    """Return whose fault it is that a container cannot be made or started.

    Args:
        reason: The reason of waiting, or of an end without a process: ``CreateContainerError``, ``StartError``, …
        message: The message that came with it.
    """
    return _fault(CREATION_WORDS, CREATION_REASONS, reason, message)


def fault_of_status(reason: str, message: str | None) -> Fault:
    """Return whose fault a pod's status reason is; ``unknown`` if neither it nor its message is in a table.

    Args:
        reason: ``Evicted``, ``OutOfcpu``, ``SysctlForbidden``, …
        message: The message of the pod's status.
    """
    words = EVICTION_WORDS if reason == "Evicted" else REJECTION_WORDS
    entry, word = status_reason(reason), find(words, message)
    if word is not None:
        return word.fault
    return Fault.UNKNOWN if entry is None else entry.fault


def _fault(
    words: tuple[Word, ...], reasons: Mapping[str, tuple[Fault, str]], reason: str, message: str | None
) -> Fault:
    fault, _source = reasons.get(reason, (Fault.UNKNOWN, ""))
    return fault if fault is not Fault.UNKNOWN else fault_of(words, message)
