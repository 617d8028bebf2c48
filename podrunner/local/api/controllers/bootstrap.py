"""The objects that a new cluster holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podrunner.local.api.storage.store import Store

__all__ = ["populate"]

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def populate(store: Store) -> None:
    """Create the namespaces, priority classes and the storage class of a new cluster."""
    for name in NAMESPACES:
        store.create("namespaces", _namespace(name))
    for name, value in (("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)):
        store.create("priorityclasses", _priority_class(name, value))
    store.create("services", _kubernetes_service())


def _namespace(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _priority_class(name: str, value: int) -> dict[str, Any]:
    words = f"Used for pods that must not be moved from their {'node' if 'node' in name else 'cluster'}."
    return {
        "metadata": {"name": name},
        "value": value,
        "description": words,
        "globalDefault": False,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def _kubernetes_service() -> dict[str, Any]:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    port = {"name": "https", "protocol": "TCP", "port": 443, "targetPort": 443}
    spec = {"type": "ClusterIP", "clusterIP": "127.0.0.1", "clusterIPs": ["127.0.0.1"], "ports": [port]}
    return {
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {**spec, "sessionAffinity": "None"},
        "status": {"loadBalancer": {}},
    }
