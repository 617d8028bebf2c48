"""Parts of what a server answered. It may be another program than Kubernetes: nothing in it is there for certain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["part_of"]


def part_of(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object of this name in an answer; an empty one if there is none.

    Args:
        answer: The answer, or a part of one.
        name: A field of it.
    """
    part = answer.get(name)
    return part if isinstance(part, dict) else {}
