"""Paths and queries of the Kubernetes API.

A name from outside becomes one path segment, never two; an empty one is refused, as it would address the whole
collection: ``DELETE …/pods/`` deletes all pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EVENTS", "LEASES", "PODS", "SECRETS", "collection", "item", "with_query"]

CORE = "/api/v1"
PODS = (CORE, "pods")
EVENTS = (CORE, "events")
SECRETS = (CORE, "secrets")
LEASES = ("/apis/coordination.k8s.io/v1", "leases")

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


def with_query(path: str, pairs: Iterable[tuple[str, object]]) -> str:
    """Append a query: pairs whose value is None or "" are left out, True and False are written as Go does."""
    kept = [(key, _value(value)) for key, value in pairs if value is not None and value != ""]
    return f"{path}?{urlencode(kept, quote_via=quote)}" if kept else path


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _segment(text: str, what: str) -> str:
    if not text or text in {".", ".."}:
        raise UsageError(f"{text!r} is no {what} of a Kubernetes object; give its {what}")
    return quote(text, safe="")
