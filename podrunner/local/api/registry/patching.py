"""Patches: which algorithm a media type names. The algorithms are ``podrunner.merge``'s."""

from __future__ import annotations

from typing import Any

from podrunner.errors import SpecError
from podrunner.local.api.status import StatusError, bad_request, unsupported_media_type
from podrunner.merge import json_merge, json_patch, strategic_merge

__all__ = ["APPLY", "JSON_PATCH", "MERGE", "STRATEGIC", "apply_patch"]

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_KNOWN = (JSON_PATCH, MERGE, STRATEGIC, APPLY)


def apply_patch(current: dict[str, Any], patch: Any, *, media: str, kind: str) -> dict[str, Any]:
    """Return the object after a patch.

    Raises:
        StatusError: 415 for another media type, 400 for a malformed patch, 422 for one that does not fit.
    """
    if media not in _KNOWN:
        raise unsupported_media_type(_KNOWN)
    if not isinstance(patch, list if media == JSON_PATCH else dict):
        raise bad_request("error decoding patch: json: cannot unmarshal the body into the patch's type")
    try:
        return _apply(current, patch, media, kind)
    except SpecError as error:
        raise _refused(error, media) from error


def _apply(current: dict[str, Any], patch: Any, media: str, kind: str) -> dict[str, Any]:
    if media == JSON_PATCH:
        patched: dict[str, Any] = json_patch(current, patch)
    elif media == MERGE:
        patched = json_merge(current, patch)
    else:
        patched = strategic_merge(current, patch, kind=kind)
    return patched


def _refused(error: SpecError, media: str) -> StatusError:
    if media == JSON_PATCH:
        refused = StatusError(
            422, "Invalid", "the server rejected our request due to an error in our request"
        )
        refused.generic = True
        return refused
    return bad_request(f"error applying patch: {error}")
