"""The life of namespaces: each gets a service account and the cluster's CA; deleting one deletes its content."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from podrunner.local.api.options import DeleteOptions
from podrunner.local.api.registry.deletion import delete_object
from podrunner.local.api.resources import BY_STORAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.local.api.storage.store import Store, Stored

__all__ = ["NamespaceController"]


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

    def _on_namespace(self, change: str, namespace: dict[str, Any]) -> None:
        meta = namespace["metadata"]
        if change == "ADDED":
            self._complete(meta["name"])
        elif change == "MODIFIED" and meta.get("deletionTimestamp"):
            self._terminating.add(meta["name"])
            self._soon(meta["name"])

    def _on_content(self, change: str, obj: dict[str, Any]) -> None:
        namespace = obj["metadata"]["namespace"]
        if namespace in self._terminating and change == "DELETED":
            self._soon(namespace)
        elif change == "DELETED" and _is_standing(obj):
            asyncio.get_running_loop().call_soon(self._complete, namespace)

    def _soon(self, namespace: str) -> None:
        asyncio.get_running_loop().call_soon(self._empty, namespace)

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
        namespace = self._store.find("namespaces", "", name)
        if namespace is None or name not in self._terminating:
            return
        left = [(resource, obj) for resource in _CONTENT for obj in self._store.list(resource, name)]
        for resource, obj in left:
            if not obj["metadata"].get("deletionTimestamp"):
                delete_object(self._store, resource, obj, DeleteOptions())
        if not left:
            self._finish(namespace)

    def _finish(self, namespace: Stored) -> None:
        name = namespace["metadata"]["name"]
        if namespace["metadata"].get("finalizers"):
            return
        self._terminating.discard(name)
        self._store.remove("namespaces", "", name)


_ROOT_CA = "kube-root-ca.crt"

# Pods are the last but for events, which are about the others.
_CONTENT = sorted(
    (name for name, kind in BY_STORAGE.items() if kind.namespaced and kind.stored),
    key=lambda name: (name == "events", name != "pods"),
)


def _is_standing(obj: dict[str, Any]) -> bool:
    return (obj["kind"], obj["metadata"]["name"]) in {("ServiceAccount", "default"), ("ConfigMap", _ROOT_CA)}
