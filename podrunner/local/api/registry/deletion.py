"""Deletion: grace, finalizers, preconditions, and when an object is removed.

The rules are those of apiserver's generic registry (``BeforeDelete``, ``deletionFinalizersForGarbageCollection``,
``ShouldDeleteDuringUpdate``) and of the pod strategy. What happens to a terminating pod's processes is the kubelet's
business.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from podrunner.local.api.resources import BY_STORAGE
from podrunner.local.api.status import conflict, forbidden
from podrunner.local.api.storage.store import Store, Stored, copy_json, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.local.api.options import DeleteOptions

__all__ = ["FOREGROUND", "ORPHAN", "check_preconditions", "delete_object", "update_object"]

Json = dict[str, Any]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_TERMINAL = frozenset({"Succeeded", "Failed"})
_OVER: dict[str, str] = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
_IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
_LONGEST_GRACE = (1 << 31) - 1
"""Seconds. The API takes 64 bits, which no calendar holds; a longer grace ends as late as this one."""
_GOES_ON = -1
"""A grace that stands for none: the deletion is under way, and this request does not shorten it."""


def check_preconditions(resource: str, obj: Json, *, uid: str | None, version: str | None) -> None:
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


def delete_object(store: Store, resource: str, obj: Stored, options: DeleteOptions) -> tuple[Json, bool]:
    """Delete an object, or mark it as terminating.

    Returns:
        The object's last state, and whether it is gone.

    Raises:
        StatusError: 409 if a precondition does not hold; 403 for a namespace that every cluster has.
    """
    meta = obj["metadata"]
    if resource == "namespaces" and meta["name"] in _IMMORTAL:
        raise forbidden(resource, meta["name"], "this namespace may not be deleted")
    check_preconditions(resource, obj, uid=options.uid, version=options.version)
    grace = _grace(resource, obj, options)
    if grace == _GOES_ON:
        return obj, False
    finalizers = _finalizers(resource, obj, options)
    gone = grace == 0 and not finalizers and resource != "namespaces"
    if options.dry_run:
        return _mark(store, copy_json(obj), grace, finalizers), gone
    if gone:
        return _remove(store, resource, obj), True
    namespace, name = meta.get("namespace", ""), meta["name"]
    return store.update(resource, namespace, name, lambda it: _mark(store, it, grace, finalizers)), False


def update_object(
    store: Store, resource: str, namespace: str, name: str, change: Callable[[Json], Json]
) -> Json:
    """Change an object, or remove it: a terminating one without grace goes with its last finalizer.

    A removed object's last event shows it as it was stored, with the finalizer.

    Args:
        store: Where it is.
        resource: Its plural name.
        namespace: Its namespace, "" for cluster-scoped objects.
        name: Its name.
        change: Returns what is to be stored, given a copy of what is.

    Returns:
        The object as it was changed.

    Raises:
        StatusError: 404 if it is not there, or as ``change`` raises.
    """
    before = store.get(resource, namespace, name)
    after = change(copy_json(before))
    if resource == "namespaces" or not _is_released(after["metadata"], before["metadata"]):
        return store.update(resource, namespace, name, lambda _: after)
    store.remove(resource, namespace, name)
    return after


def _is_released(after: Json, before: Json) -> bool:
    """Return whether nothing holds an object any more, given its metadata after a change and before."""
    waits = before.get("deletionGracePeriodSeconds") or after.get("finalizers")
    return bool(before.get("deletionTimestamp")) and not waits


def _remove(store: Store, resource: str, obj: Stored) -> Json:
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


def _mark(store: Store, obj: Json, grace: int, finalizers: list[str]) -> Json:
    meta, now = obj["metadata"], store.now()
    if finalizers or "finalizers" in meta:
        meta["finalizers"] = finalizers
    if "deletionTimestamp" not in meta and meta.get("generation"):
        meta["generation"] += 1
    asked = _asked_at(meta)
    meta["deletionTimestamp"] = rfc3339(min(asked or now, now) + timedelta(seconds=grace))
    if obj["kind"] == "Namespace":
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    else:
        meta["deletionGracePeriodSeconds"] = grace
    return obj


def _asked_at(meta: Json) -> datetime | None:
    """Return when the deletion of an object was asked for first; None if it was not."""
    if "deletionTimestamp" not in meta:
        return None
    until = datetime.fromisoformat(meta["deletionTimestamp"])
    return until - timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0)


def _grace(resource: str, obj: Stored, options: DeleteOptions) -> int:
    """Return the seconds until a pod's containers are killed; 0 for objects without containers.

    A pod that is terminating has less grace only if the request names it.
    """
    if resource != "pods":
        return 0
    wanted = options.grace_period_s
    if wanted is not None and wanted < 0:
        wanted = 1
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    if meta.get("deletionTimestamp"):
        known: int = meta.get("deletionGracePeriodSeconds") or 0
        shortens = wanted is not None and wanted < known
        return (wanted or 0) if shortens else _GOES_ON if known else 0
    if not spec.get("nodeName") or status.get("phase") in _TERMINAL:
        return 0
    own: int = spec.get("terminationGracePeriodSeconds", 0)
    return min(own if wanted is None else wanted, _LONGEST_GRACE)


def _finalizers(resource: str, obj: Stored, options: DeleteOptions) -> list[str]:
    """Return the finalizers after this request: foreground and orphan deletion are finalizers of the collector."""
    known: list[str] = obj["metadata"].get("finalizers") or []
    if resource == "namespaces" or not options.propagation:
        return list(known)
    others = [each for each in known if each not in _OVER.values()]
    collector = _OVER.get(options.propagation)
    return [*others, collector] if collector else others
