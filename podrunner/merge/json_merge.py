"""JSON merge patch, RFC 7386: objects merge, null deletes, anything else replaces."""

from __future__ import annotations

from typing import Any

from podrunner.merge.json_value import clone

__all__ = ["json_merge"]


def json_merge(target: Any, patch: Any) -> Any:
    """Apply ``patch`` to ``target`` as ``application/merge-patch+json`` does.

    Args:
        target: Any JSON value; what is not an object is replaced by one where the patch is one.
        patch: Any JSON value. In objects, null deletes the member; lists and scalars replace.

    Returns:
        A new value; it shares nothing that can be changed with the arguments.
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
