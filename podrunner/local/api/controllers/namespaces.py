"""The life of namespaces: each gets a service account and the cluster's CA; deleting one deletes its content.

Pods go first, everything else when the last of them is gone, the namespace at last (``OrderedNamespaceDeletion``). What
else remains, and which finalizers hold it, stands in the namespace's conditions. They do not name pods: as long as
there is one, Kubernetes 1.34 to 1.37 writes that all content is removed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from podrunner.local.api.options import DeleteOptions
from podrunner.local.api.registry.deletion import delete_object
from podrunner.local.api.resources import BY_STORAGE
from podrunner.local.api.storage.store import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podrunner.local.api.storage.store import Store, Stored

__all__ = ["NamespaceController"]

Json = dict[str, Any]
Content = list[tuple[str, "Stored"]]
"""Objects in a namespace, each with its resource."""

_LOOK_S = 0.05
"""Seconds between a change of the content and the next look at it, so that many changes cost one look."""


class NamespaceController:
    """Watches namespaces and, while some are terminating, what is in them.

    Args:
        store: The objects.
        authority: PEM text of the certificate authority, published in each namespace; "" for none.
    """

    def __init__(self, store: Store, *, authority: str = "") -> None:
        self._store = store
        self._authority = authority
        self._terminating: set[str] = set()
        self._looks: dict[str, asyncio.TimerHandle] = {}
        self._subscriptions: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start; existing namespaces are completed at once."""
        for namespace in self._store.list("namespaces"):
            self._complete(namespace["metadata"]["name"])
        self._subscriptions.append(self._store.subscribe("namespaces", self._on_namespace))
        for resource, kind in BY_STORAGE.items():
            if kind.namespaced and kind.stored:
                self._subscriptions.append(self._store.subscribe(resource, self._on_content))

    def stop(self) -> None:
        """Stop."""
        while self._subscriptions:
            self._subscriptions.pop()()
        for look in self._looks.values():
            look.cancel()
        self._looks.clear()

    def _on_namespace(self, change: str, namespace: dict[str, Any]) -> None:
        meta = namespace["metadata"]
        if change == "ADDED":
            self._complete(meta["name"])
        elif change == "MODIFIED" and meta.get("deletionTimestamp"):
            self._terminating.add(meta["name"])
            self._soon(meta["name"])
        elif change == "DELETED":
            self._terminating.discard(meta["name"])

    def _on_content(self, change: str, obj: dict[str, Any]) -> None:
        namespace = obj["metadata"]["namespace"]
        if namespace in self._terminating:
            self._soon(namespace)
        elif change == "DELETED" and _is_standing(obj):
            asyncio.get_running_loop().call_soon(self._complete, namespace)

    def _soon(self, namespace: str) -> None:
        if namespace not in self._looks:
            loop = asyncio.get_running_loop()
            self._looks[namespace] = loop.call_later(_LOOK_S, self._empty, namespace)

    def _complete(self, name: str) -> None:
        """Create the default service account and the CA's config map, as two controllers do in a real cluster."""
        namespace = self._store.find("namespaces", "", name)
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):
            return
        if not self._store.find("serviceaccounts", name, "default"):
            self._store.create("serviceaccounts", {"metadata": {"name": "default", "namespace": name}})
        if self._authority and not self._store.find("configmaps", name, _ROOT_CA):
            data = {"ca.crt": self._authority}
            self._store.create(
                "configmaps", {"metadata": {"name": _ROOT_CA, "namespace": name}, "data": data}
            )

    def _empty(self, name: str) -> None:
        """Delete what is left in a terminating namespace, then the namespace."""
        self._looks.pop(name, None)
        namespace = self._store.find("namespaces", "", name)
        if namespace is None or name not in self._terminating:
            return
        pods = self._delete(name, ["pods"])
        others = [] if pods else self._delete(name, _CONTENT)
        self._store.update("namespaces", "", name, lambda it: self._reported(it, others))
        if not (pods or others):
            self._finish(namespace)

    def _delete(self, namespace: str, resources: Sequence[str]) -> Content:
        """Delete the objects of some resources; return those that something still holds."""
        for resource in resources:
            for obj in self._store.list(resource, namespace):
                delete_object(self._store, resource, obj, DeleteOptions(propagation="Background"))
        return [(resource, obj) for resource in resources for obj in self._store.list(resource, namespace)]

    def _reported(self, namespace: Json, remaining: Content) -> Json:
        """With conditions that say what remains."""
        status = namespace["status"]
        known = {each["type"]: each for each in status.get("conditions") or ()}
        now = rfc3339(self._store.now())
        fresh = [_timed(each, known.get(each["type"]), now) for each in _conditions(remaining)]
        others = [each for kind, each in known.items() if kind not in _FINE]
        return {**namespace, "status": {**status, "conditions": [*others, *fresh]}}

    def _finish(self, namespace: Stored) -> None:
        name = namespace["metadata"]["name"]
        if namespace["metadata"].get("finalizers"):
            return
        self._terminating.discard(name)
        self._store.remove("namespaces", "", name)


_FINE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}
"""Reason and message of each condition of a namespace whose deletion nothing holds up."""


def _conditions(remaining: Content) -> list[Json]:
    """Return the conditions of a terminating namespace, without times (``status_condition_utils.go``)."""
    raised = dict(_raised(remaining))
    conditions = []
    for kind, fine in _FINE.items():
        reason, message = raised.get(kind, fine)
        status = "True" if kind in raised else "False"
        conditions.append({"type": kind, "status": status, "reason": reason, "message": message})
    return conditions


def _raised(remaining: Content) -> list[tuple[str, tuple[str, str]]]:
    """Return type, reason and message of what holds a namespace."""
    raised = []
    if remaining:
        counts = Counter(f"{resource}.{BY_STORAGE[resource].group}" for resource, _ in remaining)
        listed = ", ".join(sorted(f"{name} has {count} resource instances" for name, count in counts.items()))
        raised.append(
            (
                "NamespaceContentRemaining",
                ("SomeResourcesRemain", f"Some resources are remaining: {listed}"),
            )
        )
    holders = Counter(each for _, obj in remaining for each in obj["metadata"].get("finalizers") or ())
    if holders:
        listed = ", ".join(sorted(f"{name} in {count} resource instances" for name, count in holders.items()))
        words = f"Some content in the namespace has finalizers remaining: {listed}"
        raised.append(("NamespaceFinalizersRemaining", ("SomeFinalizersRemain", words)))
    return raised


def _timed(condition: Json, known: Json | None, now: str) -> Json:
    """With the time of its last change of status."""
    same = known is not None and known["status"] == condition["status"]
    since = known["lastTransitionTime"] if same and known else now
    kind, status = condition.pop("type"), condition.pop("status")
    return {"type": kind, "status": status, "lastTransitionTime": since, **condition}


_ROOT_CA = "kube-root-ca.crt"

# Events are the last: they are about the others.
_CONTENT = sorted(
    (name for name, kind in BY_STORAGE.items() if kind.namespaced and kind.stored),
    key=lambda name: name == "events",
)


def _is_standing(obj: dict[str, Any]) -> bool:
    return (obj["kind"], obj["metadata"]["name"]) in {("ServiceAccount", "default"), ("ConfigMap", _ROOT_CA)}
