"""Lists: which version of the collection, which objects of it, and where the next page begins."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from podrunner.local.api.status import StatusError, bad_request
from podrunner.local.api.storage.selectors import Predicate, selector

if TYPE_CHECKING:
    from podrunner.local.api.options import ListOptions
    from podrunner.local.api.paths import Target
    from podrunner.local.api.storage.store import Store, Stored

__all__ = ["Page", "list_page", "too_large_version"]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a collection at one version.

    Attributes:
        items: The objects.
        version: resourceVersion of the list.
        continue_token: What asks for the next page, "" if this is the last.
        remaining: How many objects follow, None if that is unknown (with selectors) or nothing follows.
    """

    items: list[Stored]
    version: int
    continue_token: str = ""
    remaining: int | None = None

    def meta(self) -> dict[str, Any]:
        """Return the ``metav1.ListMeta`` of the page."""
        meta: dict[str, Any] = {"resourceVersion": str(self.version)}
        if self.continue_token:
            meta["continue"] = self.continue_token
        if self.remaining is not None:
            meta["remainingItemCount"] = self.remaining
        return meta


class _Token(msgspec.Struct):
    """A continue token: the list's version (-1: the current one) and the last key that was given."""

    rv: int
    start: tuple[str, str]


def list_page(store: Store, target: Target, options: ListOptions) -> Page:
    """Return one page of a list.

    Raises:
        StatusError: 400 for unreadable selectors or tokens, 410 for compacted versions, 504 for future ones.
    """
    chosen = selector(target.type, labels=options.labels, fields=options.fields)
    if options.continue_token:
        return _next_page(store, target, options, chosen)
    version = _version_to_list(store, options)
    return _cut(_objects(store, target, version), chosen, options, version=version)


def _version_to_list(store: Store, options: ListOptions) -> int:
    asked = options.version_number()
    if asked > store.version:
        raise too_large_version(asked, store.version)
    exact = options.version_match == "Exact" or (options.limit and asked and not options.version_match)
    return asked if exact else store.version


def too_large_version(asked: int, current: int) -> StatusError:
    """504: the version lies in the future."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return StatusError(504, "Timeout", message, details={"causes": [cause], "retryAfterSeconds": 1})


def _objects(store: Store, target: Target, version: int) -> list[Stored]:
    storage, namespace = target.type.storage, target.namespace or None
    if version == store.version:
        return store.list(storage, namespace)
    try:
        return store.list_at(storage, version, namespace)
    except StatusError as error:
        error.message = "The resourceVersion for the provided list is too old."
        raise


def _next_page(store: Store, target: Target, options: ListOptions, chosen: Predicate | None) -> Page:
    if options.version and options.version != "0":
        raise bad_request("specifying resource version is not allowed when using continue")
    token = _read_token(options.continue_token)
    version = store.version if token.rv < 0 else token.rv
    try:
        objects = _objects(store, target, version)
    except StatusError as error:
        raise _too_old(error, token) from None
    following = [obj for obj in objects if _key(obj) > token.start]
    return _cut(following, chosen, options, version=version)


_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


def _too_old(error: StatusError, token: _Token) -> StatusError:
    error.message = _TOO_OLD
    error.list_continue = _write_token(_Token(-1, token.start))
    return error


def _cut(objects: list[Stored], chosen: Predicate | None, options: ListOptions, *, version: int) -> Page:
    found = objects if chosen is None else [obj for obj in objects if chosen(obj)]
    if not options.limit or len(found) <= options.limit:
        return Page(found, version)
    items = found[: options.limit]
    token = _write_token(_Token(version, _key(items[-1])))
    return Page(items, version, token, len(found) - options.limit if chosen is None else None)


def _key(obj: Stored) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _write_token(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def _read_token(text: str) -> _Token:
    try:
        padded = text + "=" * (-len(text) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Token)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None
