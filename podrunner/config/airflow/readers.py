"""Reading the text of an Airflow option as its kind: flag, number, list, JSON.

What belongs here: one function per kind, as Airflow reads it. Where the text comes from does not (``sources.py``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from podrunner.redaction import shown_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.config.airflow.sources import Given

__all__ = ["READERS"]


def _flag(found: Given) -> bool:
    word = found.text.partition("#")[0].strip().lower()
    if word in {"t", "true", "1", "yes", "on"}:
        return True
    if word in {"f", "false", "0", "no", "off"}:
        return False
    raise found.location.error(
        "is not a truth value", value=shown_value(found.text), remedy="Write True or False"
    )


def _integer(found: Given) -> int:
    try:
        return int(found.text)
    except ValueError:
        raise found.location.error(
            "is not a whole number", value=shown_value(found.text), remedy="Write digits only"
        ) from None


def _number(found: Given) -> float:
    try:
        return float(found.text)
    except ValueError:
        raise found.location.error(
            "is not a number", value=shown_value(found.text), remedy="Write digits, with a point if need be"
        ) from None


def _csv(found: Given) -> tuple[str, ...]:
    return tuple(item.strip() for item in found.text.split(",") if item.strip())


def _json(found: Given, kind: type, name: str) -> Any:
    try:
        value = json.loads(found.text)
    except json.JSONDecodeError as error:
        raise found.location.error(
            f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg.lower()}",
            remedy=f"Write a JSON {name}",
        ) from None
    if not isinstance(value, kind):
        raise found.location.error(
            f"is not a JSON {name}", value=shown_value(found.text), remedy=f"Write a JSON {name}"
        )
    return value


READERS: dict[str, Callable[[Given], Any]] = {
    "text": lambda found: found.text,
    "flag": _flag,
    "integer": _integer,
    "number": _number,
    "csv": _csv,
    "json object": lambda found: _json(found, dict, "object"),
    "json list": lambda found: _json(found, list, "list"),
}
