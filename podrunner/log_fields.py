"""The fields of podrunner's log records, given as ``extra``: ``key``, ``pod``, ``uid``, ``namespace``, ``category``.

A handler that writes records as JSON, or structlog's ``ExtraAdder``, has them without reading the message. What belongs
here: their names. The names are stable; none is one that ``logging`` uses itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["pod_fields"]


class NamedPod(Protocol):
    """A pod, its metadata, or what is to become a pod."""

    @property
    def namespace(self) -> str:
        """Its namespace."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...


def pod_fields(pod: NamedPod, *, category: object = None) -> Mapping[str, str]:
    """Return the fields of a record about a pod.

    Args:
        pod: It. If it has a ``key``, as a pod that a runner tracks, that is a field too.
        category: The category of its outcome, where the record is about that; None: it is not.
    """
    fields = {"pod": pod.name, "namespace": pod.namespace, "uid": str(getattr(pod, "uid", ""))}
    key = getattr(pod, "key", None)
    if key is not None:
        fields["key"] = str(key)
    if category is not None:
        fields["category"] = str(category)
    return fields
