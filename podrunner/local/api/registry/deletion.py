"""Deletion: grace, finalizers, preconditions, and when an object is removed.

The rules are those of apiserver's generic registry (``BeforeDelete``, ``deletionFinalizersForGarbageCollection``)
and of the pod strategy. What happens to a terminating pod's processes is the kubelet's business.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from podrunner.local.api.options import DeleteOptions
from podrunner.local.api.resources import BY_STORAGE
from podrunner.local.api.status import conflict
from podrunner.local.api.storage.store import Store, Stored, rfc3339

__all__ = ["FOREGROUND", "ORPHAN", "check_preconditions", "delete_object", "remove_if_finished"]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_TERMINAL = frozenset({"Succeeded", "Failed"})
_OVER: dict[str, str] = {"Foreground": FOREGROUND, "Orphan": ORPHAN}


def check_preconditions(resource: str, obj: dict[str, Any], *, uid: str | None, version: str | None) -> None:
    """Raise 409 if the object is not the one that is meant."""
    meta, kind = obj["metadata"], BY_STORAGE[resource]
    for word, wanted, actual, then in (
        ("UID", uid, meta["uid"], "deleted and then recreated"),
        ("ResourceVersion", version, meta["resourceVersion"], "modified"),
    ):
        if wanted and wanted != actual:
            why = (
                f"the {word} in the precondition ({wanted}) does not match the {word} in record ({actual}). "
                f"The object might have been {then}"
            )
            raise conflict(kind.kind, meta["name"], group=kind.group, why=why)


def delete_object(
    store: Store, resource: str, obj: Stored, options: DeleteOptions
) -> tuple[dict[str, Any], bool]:
    """Delete an object, or mark it as terminating.

    Returns:
        The object's last state, and whether it is gone.

    Raises:
        StatusError: 409 if a precondition does not hold.
    """
    check_preconditions(resource, obj, uid=options.uid, version=options.version)
    meta = obj["metadata"]
    grace, finalizers = _grace(resource, obj, options), _finalizers(resource, obj, options)
    gone = grace == 0 and not finalizers and resource != "namespaces"
    if options.dry_run:
        return obj, gone
    namespace, name = meta.get("namespace", ""), meta["name"]
    if gone:
        return _remove(store, resource, obj), True
    return store.update(resource, namespace, name, lambda it: _mark(store, it, grace, finalizers)), False


def _remove(store: Store, resource: str, obj: Stored) -> dict[str, Any]:
    """Remove an object; a pod is marked first, as the registry does, so watchers see it terminating."""
    meta = obj["metadata"]
    where = (resource, meta.get("namespace", ""), meta["name"])
    if resource == "pods":
        store.update(*where, lambda it: _mark(store, it, 0, []))
        left = store.find(*where)
        if (
            left is None or left["metadata"]["uid"] != meta["uid"]
        ):  # the kubelet saw the mark and removed it first
            return obj
    return store.remove(*where)


def _mark(store: Store, obj: dict[str, Any], grace: int, finalizers: list[str]) -> dict[str, Any]:
    meta = obj["metadata"]
    if finalizers:
        meta["finalizers"] = finalizers
    known = meta.get("deletionGracePeriodSeconds")
    if "deletionTimestamp" in meta and (known is None or known <= grace):
        return obj
    meta["deletionTimestamp"] = rfc3339(store.now() + timedelta(seconds=grace))
    meta["deletionGracePeriodSeconds"] = grace
    if meta.get("generation"):
        meta["generation"] += 1
    if obj["kind"] == "Namespace":
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return obj


def _grace(resource: str, obj: Stored, options: DeleteOptions) -> int:
    """Return the seconds until a pod's containers are killed; 0 for objects without containers."""
    if resource != "pods":
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in _TERMINAL:
        return 0
    if options.grace_period_s is not None:
        return options.grace_period_s if options.grace_period_s >= 0 else 1
    wanted: int = spec.get("terminationGracePeriodSeconds", 30)
    return max(wanted, 1)


def _finalizers(resource: str, obj: Stored, options: DeleteOptions) -> list[str]:
    """Return the finalizers after this request: foreground and orphan deletion are finalizers of the collector."""
    others = [each for each in obj["metadata"].get("finalizers") or () if each not in _OVER.values()]
    collector = _OVER.get(options.propagation)
    return [*others, collector] if collector and resource != "namespaces" else others


def remove_if_finished(store: Store, resource: str, obj: Stored) -> bool:
    """Remove a terminating object that nothing holds any more; whether it is gone."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or resource == "namespaces":
        return False
    if (
        resource == "pods"
        and meta.get("deletionGracePeriodSeconds")
        and _grace(resource, obj, DeleteOptions())
    ):
        return False
    store.remove(resource, meta.get("namespace", ""), meta["name"], uid=meta["uid"])
    return True
