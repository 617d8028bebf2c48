"""Paths and queries of the Kubernetes API.

A name from outside becomes one path segment, never two; an empty one is refused, as it would address the whole
collection: ``DELETE …/pods/`` deletes all pods.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EVENTS", "LEASES", "PODS", "SECRETS", "STRICTLY", "collection", "item", "with_query"]

CORE = "/api/v1"
PODS = (CORE, "pods")
EVENTS = (CORE, "events")
SECRETS = (CORE, "secrets")
LEASES = ("/apis/coordination.k8s.io/v1", "leases")

_UNQUOTED: Final = re.compile("[a-z0-9.-]+")
"""What needs no quoting: the names of all pods and namespaces (RFC 1123)."""

STRICTLY: Final = "?fieldValidation=Strict"
"""A query: a field that the server does not know is an error."""

_ARGUMENTS: Final = "surrogateescape"
"""How Python hands on the bytes of an argument that are not UTF-8: they are sent as they are, as by kubectl."""

Kind = tuple[str, str]
"""API group's root, and plural."""


def collection(kind: Kind, namespace: str | None) -> str:
    """Return the path of all objects of a kind, in a namespace, or in all (None)."""
    root, plural = kind
    if namespace is None:
        return f"{root}/{plural}"
    return f"{root}/namespaces/{_segment(namespace, 'namespace')}/{plural}"


def item(kind: Kind, namespace: str, name: str) -> str:
    """Return the path of one object."""
    return f"{collection(kind, namespace)}/{_segment(name, 'name')}"


def with_query(
    path: str, pairs: Iterable[tuple[str, object]], *, words: Iterable[tuple[str, str]] = ()
) -> str:
    """Append a query.

    Args:
        path: The path.
        pairs: Those whose value is None or "" are left out; True and False are written as Go does.
        words: Further pairs, before them, whose value counts also when it is "": the arguments of a command.
    """
    kept = [*words, *((key, _value(value)) for key, value in pairs if value is not None and value != "")]
    if not kept:
        return path
    try:
        return f"{path}?{urlencode(kept, quote_via=quote, errors=_ARGUMENTS)}"
    except UnicodeEncodeError:
        raise _unwritable(", ".join(key for key, _ in kept)) from None


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _segment(text: str, what: str) -> str:
    if not text or text in {".", ".."}:
        raise UsageError(f"{text!r} is no {what} of a Kubernetes object; give its {what}")
    if _UNQUOTED.fullmatch(text):
        return text
    try:
        return quote(text, safe="", errors=_ARGUMENTS)
    except UnicodeEncodeError:
        raise _unwritable(what) from None


def _unwritable(what: str) -> UsageError:
    return UsageError(f"{what}: a text holds half a surrogate pair, which UTF-8 cannot write")
