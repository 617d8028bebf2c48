"""Events have two faces: core/v1 as they are stored, and events.k8s.io/v1. The translation between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.local.api.resources import BY_STORAGE, ResourceType

if TYPE_CHECKING:
    from podrunner.local.api.encoding.rendering import Convert

__all__ = ["converter"]

Json = dict[str, Any]

# events.k8s.io/v1 → core/v1
_FIELDS = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_BACK = {core: new for new, core in _FIELDS.items()}


def converter(kind: ResourceType, *, to_stored: bool = False) -> Convert | None:
    """Return the translation between a kind's stored form and this view of it; None if they are the same."""
    if BY_STORAGE[kind.storage] is kind:
        return None
    return _to_core if to_stored else _from_core


def _from_core(event: Json) -> Json:
    renamed = {_BACK.get(key, key): value for key, value in event.items()}
    return {**renamed, "kind": "Event", "apiVersion": "events.k8s.io/v1"}


def _to_core(event: Json) -> Json:
    renamed = {_FIELDS.get(key, key): value for key, value in event.items()}
    return {**renamed, "kind": "Event", "apiVersion": "v1"}
