"""Rules with an error message (422)."""

from __future__ import annotations

from typing import Any

from podrunner.local.paths import Target
from podrunner.local.status import FieldError
from podrunner.local.store import Stored

__all__ = ["validate_create", "validate_update"]


def validate_create(storage: str, obj: dict[str, Any]) -> list[FieldError]:
    """What is wrong with a new object."""
    if not obj["metadata"].get("name"):
        return [FieldError("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")]
    return []


def validate_update(target: Target, after: dict[str, Any], before: Stored) -> list[FieldError]:
    """What is wrong with a changed object."""
    return []
