"""What the server sets in a new object, and what a writer cannot change: status, identity.

Rules with an error message are ``validation``'s; these changes are silent, as in apiserver's ``PrepareForCreate``
and ``PrepareForUpdate``.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.local.api.paths import Target
    from podrunner.local.api.storage.store import Stored

__all__ = ["keep_untouchable", "prepare_create", "unconditional_update"]

Json = dict[str, Any]

_SERVER_SET = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
)
_WITH_STATUS = frozenset(
    {
        "pods",
        "namespaces",
        "nodes",
        "persistentvolumes",
        "persistentvolumeclaims",
        "resourcequotas",
        "services",
    }
)


def prepare_create(storage: str, obj: Json, *, now: str) -> None:
    """Set the first status and identity of a new object, and remove what only the server sets; ``now`` is RFC 3339."""
    meta = obj["metadata"]
    for field in _SERVER_SET:
        meta.pop(field, None)
    if not meta.get("finalizers"):
        meta.pop("finalizers", None)
    if storage in _NEW:
        _NEW[storage](obj)
    if storage == "pods" and (obj.get("spec") or {}).get("schedulingGates"):
        obj["status"]["conditions"] = [{**_GATED, "lastTransitionTime": now}]


def keep_untouchable(target: Target, after: Json, before: Stored) -> None:
    """Put back what this request can not change: its other half (spec or status) and the server's own fields."""
    _keep_identity(after["metadata"], before["metadata"])
    meta = after["metadata"]
    if target.subresource is not None and target.subresource.name == "status":
        _keep(after, before, [each for each in before if each not in {"status", "metadata"}], drop_rest=True)
        _keep(meta, before["metadata"], ["ownerReferences", "finalizers"])
    elif target.type.storage in _WITH_STATUS and not (
        target.subresource and target.subresource.name == "finalize"
    ):
        _keep(after, before, ["status"])
    if target.type.storage == "pods":
        _keep_admitted(after.setdefault("spec", {}), before["spec"])
        if after["spec"] != before["spec"]:
            meta["generation"] = meta.get("generation", 0) + 1
    _CHANGED.get(target.type.storage, _nothing)(after)


def _keep_identity(meta: Json, before: Json) -> None:
    """Keep what the server sets; what a writer says of it all the same is for the rules to refuse."""
    for field in ("selfLink", "managedFields", "creationTimestamp", "name", "namespace", "generation"):
        if field in before:
            meta[field] = before[field]
        else:
            meta.pop(field, None)
    for field in ("uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if meta.get(field) is None and field in before:
            meta[field] = before[field]
    if before.get("deletionTimestamp"):
        meta["deletionTimestamp"] = before["deletionTimestamp"]
    if not meta.get("finalizers"):
        meta.pop("finalizers", None)


_ADMITTED = (
    "priority",
    "preemptionPolicy",
    "serviceAccountName",
    "serviceAccount",
    "nodeName",
    "tolerations",
)


def _keep_admitted(spec: Json, before: Json) -> None:
    """Keep what admission set in a pod, also where a writer sends the pod as it was before admission."""
    for field in _ADMITTED:
        if field in before:
            spec.setdefault(field, before[field])


def _nothing(_obj: Json) -> None:
    pass


def _keep(after: Json, before: Json, fields: list[str], *, drop_rest: bool = False) -> None:
    for field in fields:
        if field in before:
            after[field] = before[field]
        else:
            after.pop(field, None)
    if drop_rest:
        for field in [each for each in after if each not in before and each != "status"]:
            del after[field]


def unconditional_update(storage: str) -> bool:
    """Return whether a replace without resourceVersion is allowed."""
    return storage not in {"leases", "storageclasses"}


def _new_pod(obj: Json) -> None:
    obj["metadata"]["generation"] = 1
    obj["status"] = {"phase": "Pending"}


_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "lastProbeTime": None,
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


def _new_namespace(obj: Json) -> None:
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}
    _name_label(obj)


def _name_label(obj: Json) -> None:
    meta = obj["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta.get("name", "")}


def _pending(obj: Json) -> None:
    obj["status"] = {"phase": "Pending"}


def _no_status(obj: Json) -> None:
    obj["status"] = {}


def _unbalanced(obj: Json) -> None:
    obj["status"] = {"loadBalancer": {}}


def _merge_string_data(obj: Json) -> None:
    """Move the write-only ``stringData`` into ``data``."""
    text = obj.pop("stringData", None)
    if text:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in text.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


_NEW: dict[str, Callable[[Json], None]] = {
    "pods": _new_pod,
    "namespaces": _new_namespace,
    "persistentvolumes": _pending,
    "persistentvolumeclaims": _pending,
    "resourcequotas": _no_status,
    "secrets": _merge_string_data,
    "services": _unbalanced,
}
_CHANGED: dict[str, Callable[[Json], None]] = {"secrets": _merge_string_data, "namespaces": _name_label}
