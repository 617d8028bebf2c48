"""Patches: which algorithm a media type names. The algorithms are ``podrunner.merge``'s."""

from __future__ import annotations

from typing import Any

import msgspec

from podrunner.errors import SpecError
from podrunner.local.api.encoding.decoding import check_size
from podrunner.local.api.status import StatusError, bad_request, unsupported_media_type
from podrunner.merge import json_merge, json_patch, strategic_merge

__all__ = ["APPLY", "JSON_PATCH", "MERGE", "STRATEGIC", "apply_patch"]

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_MAX_OPERATIONS = 10_000
"""kube-apiserver's ``MaxJSONPatchOperations``."""
_MAX_SIZE = 3 * 1024 * 1024
"""Bytes to which copies may bring an object, as kube-apiserver's ``JSONPatchMaxCopyBytes``."""
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
        patched = _apply(current, patch, media, kind)
    except SpecError as error:
        raise _refused(error, media) from error
    check_size(patched, kind)
    return patched


def _apply(current: dict[str, Any], patch: Any, media: str, kind: str) -> dict[str, Any]:
    if media == JSON_PATCH:
        patched = _json_patch(current, patch)
    elif media == MERGE:
        patched = json_merge(current, patch)
    else:
        patched = strategic_merge(current, patch, kind=kind)
    return patched


def _json_patch(current: dict[str, Any], patch: list[Any]) -> dict[str, Any]:
    """Apply a JSON patch; 413 if it has too many operations, or its copies make the object too large."""
    if len(patch) > _MAX_OPERATIONS:
        allowed = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(patch)}"
        raise StatusError(413, "RequestEntityTooLarge", allowed)
    patched, rest = current, list[Any]()
    for operation in patch:
        rest.append(operation)
        if isinstance(operation, dict) and operation.get("op") == "copy":
            patched, rest = json_patch(patched, rest), []
            _check_copies(patched)
    return json_patch(patched, rest) if rest or patched is current else patched


def _check_copies(patched: Any) -> None:
    check_size(patched, "JSONPatch")
    size = len(msgspec.json.encode(patched))
    if size > _MAX_SIZE:
        words = (
            f"Unable to complete the copy, the size of the object would be {size}, the limit is {_MAX_SIZE}"
        )
        raise StatusError(413, "RequestEntityTooLarge", words)


def _refused(error: SpecError, media: str) -> StatusError:
    if media == JSON_PATCH:
        refused = StatusError(
            422, "Invalid", "the server rejected our request due to an error in our request"
        )
        refused.generic = True
        return refused
    return bad_request(f"error applying patch: {error}")
