"""Admission, the checks that depend on other objects: namespace, service account, priority, tolerations, quota."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.local.api.registry.quota import check_quota
from podrunner.local.api.status import forbidden, not_found

if TYPE_CHECKING:
    from podrunner.local.api.resources import ResourceType
    from podrunner.local.api.storage.store import Store, Stored

__all__ = ["admit_create"]

Json = dict[str, Any]


def admit_create(store: Store, kind: ResourceType, obj: Json) -> None:
    """Complete a new object from others, or refuse it (403, 404)."""
    if kind.namespaced:
        _check_namespace(store, kind, obj)
    if kind.storage == "pods":
        _set_service_account(store, obj)
        _add_tolerations(obj)
        _set_priority(store, obj)
    if kind.namespaced:
        check_quota(store, kind, obj)


def _check_namespace(store: Store, kind: ResourceType, obj: Json) -> None:
    name = obj["metadata"].get("namespace", "")
    namespace = store.find("namespaces", "", name)
    if namespace is None:
        raise not_found("namespaces", name)
    if not namespace["metadata"].get("deletionTimestamp"):
        return
    why = f"unable to create new content in namespace {name} because it is being terminated"
    error = forbidden(kind.plural, obj["metadata"].get("name", ""), why, group=kind.group)
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {name} is being terminated",
        "field": "metadata.namespace",
    }
    error.details["causes"] = [cause]
    raise error


def _set_service_account(store: Store, pod: Json) -> None:
    spec, meta = pod["spec"], pod["metadata"]
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    found = store.find("serviceaccounts", meta["namespace"], account)
    if found is None:
        why = f'error looking up service account {meta["namespace"]}/{account}: serviceaccount "{account}" not found'
        raise forbidden("pods", meta.get("name", ""), why)
    if not spec.get("imagePullSecrets") and found.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(each) for each in found["imagePullSecrets"]]


_NODE_TROUBLE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TROUBLE_SECONDS = 300


def _add_tolerations(pod: Json) -> None:
    """Let a pod stay on a failing node for five minutes, unless the pod has its own tolerations."""
    tolerations = list(pod["spec"].get("tolerations") or ())
    for key in _NODE_TROUBLE:
        if not any(_tolerates(each, key) for each in tolerations):
            made = {
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": _TROUBLE_SECONDS,
            }
            tolerations.append(made)
    pod["spec"]["tolerations"] = tolerations


def _tolerates(toleration: Json, key: str) -> bool:
    return toleration.get("key", "") in {"", key} and toleration.get("effect", "") in {"", "NoExecute"}


_BUILT_IN = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def _set_priority(store: Store, pod: Json) -> None:
    spec = pod["spec"]
    name = spec.get("priorityClassName") or ""
    default = _default_class(store)
    if not name and default is not None:
        name = spec["priorityClassName"] = default["metadata"]["name"]
    spec["priority"], policy = _priority(store, pod, name)
    spec.setdefault("preemptionPolicy", policy)


def _priority(store: Store, pod: Json, name: str) -> tuple[int, str]:
    found = store.find("priorityclasses", "", name) if name else None
    if found is not None:
        return found.get("value", 0), found.get("preemptionPolicy", "PreemptLowerPriority")
    if name and name not in _BUILT_IN:
        raise forbidden(
            "pods", pod["metadata"].get("name", ""), f"no PriorityClass with name {name} was found"
        )
    return _BUILT_IN.get(name, 0), "PreemptLowerPriority"


def _default_class(store: Store) -> Stored | None:
    return next((each for each in store.list("priorityclasses") if each.get("globalDefault")), None)
