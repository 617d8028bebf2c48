"""Field errors in Kubernetes' words (apimachinery's ``field`` package), and where a field is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Errors",
    "duplicate",
    "forbidden_field",
    "invalid_value",
    "not_found_value",
    "not_supported",
    "required",
    "too_long",
]

Errors = list[FieldError]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        json.dumps(value, ensure_ascii=False)
        if isinstance(value, str)
        else json.dumps(value, separators=(",", ":"))
    )


def required(field: str, detail: str = "") -> FieldError:
    """The field must be there."""
    return FieldError(
        "FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value"
    )


def invalid_value(field: str, value: Any, detail: str) -> FieldError:
    """The value breaks a rule."""
    return FieldError("FieldValueInvalid", field, f"Invalid value: {_shown(value)}: {detail}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """The value is none of a few."""
    names = ", ".join(f'"{each}"' for each in supported)
    return FieldError(
        "FieldValueNotSupported", field, f"Unsupported value: {_shown(value)}: supported values: {names}"
    )


def duplicate(field: str, value: Any) -> FieldError:
    """The value is there already."""
    return FieldError("FieldValueDuplicate", field, f"Duplicate value: {_shown(value)}")


def not_found_value(field: str, value: Any) -> FieldError:
    """The value names nothing."""
    return FieldError("FieldValueNotFound", field, f"Not found: {_shown(value)}")


def forbidden_field(field: str, detail: str) -> FieldError:
    """The field may not be there, or not be changed."""
    return FieldError("FieldValueForbidden", field, f"Forbidden: {detail}")


def too_long(field: str, limit: int) -> FieldError:
    """The value has more than ``limit`` bytes."""
    return FieldError("FieldValueTooLong", field, f"Too long: may not be more than {limit} bytes")
