"""JSON merge patch, RFC 7386: objects merge, null deletes, anything else replaces."""

from __future__ import annotations

from typing import Any

from podrunner.merge.json_value import clone

__all__ = ["json_merge"]


def json_merge(target: Any, patch: Any) -> Any:
    """Return ``target`` with ``patch`` applied, as ``application/merge-patch+json`` does.

    Args:
        target: Any JSON value; if it is not an object and the patch is one, an object replaces it.
        patch: Any JSON value. In objects, null deletes the member; lists and scalars replace.

    Returns:
        A new value; it shares no mutable part with the arguments.
    """
    return _merged(clone(target), patch)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return clone(patch)
    merged = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
