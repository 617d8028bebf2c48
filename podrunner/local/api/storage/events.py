"""Records events about objects; repeats are counted as Kubernetes counts them."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import StatusError
from podrunner.local.api.storage.store import Store, Stored, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EventRecorder"]

LIFETIME = timedelta(hours=1)
"""kube-apiserver's ``--event-ttl``."""

_REMEMBERED = 4096  # client-go's EventCorrelator keeps as many

Key = tuple[str, ...]


class EventRecorder:
    """Writes events into the store; a repeat within the events' lifetime only raises the count of the first.

    Args:
        store: Where events go.
        host: Host name in the events' source, "" for none.
    """

    def __init__(self, store: Store, *, host: str = "") -> None:
        self._store = store
        self._host = host
        self._known: dict[Key, tuple[str, str]] = {}

    def record(
        self,
        involved: Mapping[str, Any],
        *,
        type: str = "Normal",  # noqa: A002  # the field's name in the API
        reason: str,
        message: str,
        component: str = "kubelet",
        field_path: str = "",
    ) -> None:
        """Record an event about an object.

        Args:
            involved: The object, with ``kind`` and ``metadata``.
            type: ``Normal`` or ``Warning``.
            reason: One word in camel case.
            message: The text for users.
            component: The reporting component.
            field_path: The part of the object that is meant, such as ``spec.containers{base}``.
        """
        reference = _reference(involved, field_path)
        if self._is_terminating(reference.get("namespace", "default")):
            return  # the API server takes no new object there
        key = (component, type, reason, message, reference["uid"], field_path)
        if not self._count(key):
            self._create(key, reference, type=type, reason=reason, message=message, component=component)

    def expire(self) -> None:
        """Remove events older than an hour."""
        oldest = rfc3339(self._store.now() - LIFETIME)
        for event in self._store.list("events"):
            if _last(event) < oldest:
                self._store.remove("events", event["metadata"]["namespace"], event["metadata"]["name"])

    def _is_terminating(self, namespace: str) -> bool:
        found = self._store.find("namespaces", "", namespace)
        return found is not None and bool(found["metadata"].get("deletionTimestamp"))

    def _count(self, key: Key) -> bool:
        where = self._known.get(key)
        try:
            return where is not None and bool(self._store.update("events", *where, self._again))
        except StatusError:
            return False  # it expired, or a client deleted it

    def _again(self, event: dict[str, Any]) -> dict[str, Any]:
        return {**event, "count": event.get("count", 1) + 1, "lastTimestamp": rfc3339(self._store.now())}

    def _create(self, key: Key, reference: dict[str, str], *, component: str, **fields: str) -> None:
        now, namespace = self._store.now(), reference.get("namespace", "default")
        # The time in the name, as client-go has it: a list of events of one second then stands in their order.
        name = f"{reference['name']}.{time.time_ns():x}"
        source = {"component": component, **({"host": self._host} if self._host else {})}
        event = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": reference,
            **fields,
            "source": source,
            "firstTimestamp": rfc3339(now),
            "lastTimestamp": rfc3339(now),
            "count": 1,
            "eventTime": None,
            "reportingComponent": component,
            "reportingInstance": self._host,
        }
        self._store.create("events", event)
        self._remember(key, (namespace, name))

    def _remember(self, key: Key, where: tuple[str, str]) -> None:
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[key] = where


def _reference(involved: Mapping[str, Any], field_path: str) -> dict[str, str]:
    meta = involved["metadata"]
    reference = {
        "kind": involved.get("kind", ""),
        "namespace": meta.get("namespace", "default"),
        "name": meta["name"],
        "uid": meta.get("uid", ""),
        "apiVersion": involved.get("apiVersion", "v1"),
        "resourceVersion": meta.get("resourceVersion", ""),
        "fieldPath": field_path,
    }
    return {key: value for key, value in reference.items() if value or key == "uid"}


def _last(event: Stored) -> str:
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"]["creationTimestamp"])
    return str(next(time for time in times if time))
