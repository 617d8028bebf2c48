"""Makes a LocalCluster as it was: removes all that came since, without asking a client or a kubelet."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from podrunner.local.api.resources import BY_STORAGE
from podrunner.local.api.status import StatusError

if TYPE_CHECKING:
    from podrunner.local import LocalCluster

__all__ = ["clean", "objects_in"]

_RESOURCES: Final = sorted(
    (name for name, kind in BY_STORAGE.items() if kind.stored and name != "nodes"), key="namespaces".__ne__
)
"""Namespaces first: in one that is still there, its service account is made anew. The node is the cluster's own."""


def objects_in(cluster: LocalCluster) -> frozenset[str]:
    """Returns the UIDs of what is there now."""

    def read() -> frozenset[str]:
        store = cluster.control.store
        return frozenset(each["metadata"]["uid"] for resource in _RESOURCES for each in store.list(resource))

    return cluster.call(read)


def clean(cluster: LocalCluster, baseline: frozenset[str]) -> None:
    """Removes what is not in the baseline, and all scripts; processes of pods are killed."""

    def remove() -> None:
        store = cluster.control.store
        for resource in _RESOURCES:
            for each in store.list(resource):
                metadata = each["metadata"]
                if metadata["uid"] not in baseline:
                    with suppress(StatusError):  # it went with another one
                        store.remove(resource, metadata.get("namespace", ""), metadata["name"])

    cluster.call(remove)
    cluster.call(cluster.control.kubelet.forget_scripts)
