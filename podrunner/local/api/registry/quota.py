"""Resource quotas: what a namespace's objects use, and whether one more fits.

Counted are pods (as Kubernetes does: those that are not over), their requests and limits, and objects of any kind
(``count/…`` and the old short names). Scopes are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from podrunner.local.api.resources import ALL, ResourceType
from podrunner.local.api.status import forbidden
from podrunner.quantity import canonical_quantity, parse_quantity

if TYPE_CHECKING:
    from podrunner.local.api.storage.store import Store

__all__ = ["COUNTED", "check_quota", "quota_status", "usage"]

Json = Mapping[str, Any]
Usage = dict[str, Decimal]

COUNTED = {f"count/{each.plural}{f'.{each.group}' if each.group else ''}": each.storage for each in ALL} | {
    name: name
    for name in (
        "configmaps",
        "persistentvolumeclaims",
        "resourcequotas",
        "secrets",
        "services",
    )
}
_TERMINAL = frozenset({"Succeeded", "Failed"})


def usage(pod: Json) -> Usage:
    """Return what one pod uses of a quota."""
    if (pod.get("status") or {}).get("phase") in _TERMINAL:
        return {}
    spec: Json = pod.get("spec") or {}
    used: Usage = {"pods": Decimal(1)}
    for word in ("requests", "limits"):
        for name, amount in _amounts(spec, word).items():
            used[f"{word}.{name}"] = amount
            if word == "requests":
                used[name] = amount
    return used


def _amounts(spec: Json, word: str) -> Usage:
    """Return the sum over containers, or the largest init container if that is more."""
    total: Usage = {}
    for container in spec.get("containers") or ():
        for name, value in ((container.get("resources") or {}).get(word) or {}).items():
            total[name] = total.get(name, Decimal(0)) + parse_quantity(value)
    for container in spec.get("initContainers") or ():
        for name, value in ((container.get("resources") or {}).get(word) or {}).items():
            total[name] = max(total.get(name, Decimal(0)), parse_quantity(value))
    return total


def check_quota(store: Store, kind: ResourceType, obj: Json) -> None:
    """Refuse a new object (403) that does not fit, or that does not say how much it needs where it must."""
    namespace = obj["metadata"].get("namespace", "")
    for quota in store.list("resourcequotas", namespace):
        hard = {name: parse_quantity(value) for name, value in _hard(quota).items()}
        asked = _asked(kind, obj)
        limited = {name: amount for name, amount in asked.items() if name in hard}
        _check_stated(kind, obj, quota, hard)
        if limited:
            _check_room(store, kind, obj, quota=quota, hard=hard, asked=limited)


def _hard(quota: Json) -> dict[str, str]:
    return (quota.get("spec") or {}).get("hard") or {}


def _asked(kind: ResourceType, obj: Json) -> Usage:
    names = [name for name, storage in COUNTED.items() if storage == kind.storage]
    asked = {name: Decimal(1) for name in names}
    return {**asked, **usage(obj)} if kind.storage == "pods" else asked


_MUST_STATE = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def _check_stated(kind: ResourceType, obj: Json, quota: Json, hard: Usage) -> None:
    if kind.storage != "pods":
        return
    missing = [name for name in sorted(_MUST_STATE) if name in hard and not _states(obj, name)]
    if missing:
        named = " ".join(f"{name} for: {','.join(_silent(obj, name))};" for name in missing).rstrip(";")
        why = f"failed quota: {quota['metadata']['name']}: must specify {named}"
        raise forbidden(kind.plural, obj["metadata"].get("name", ""), why, group=kind.group)


def _states(pod: Json, name: str) -> bool:
    return not _silent(pod, name)


def _silent(pod: Json, name: str) -> list[str]:
    word, _, resource = name.rpartition(".")
    containers = (pod.get("spec") or {}).get("containers") or ()
    field = word or "requests"
    return [
        each["name"]
        for each in containers
        if resource not in ((each.get("resources") or {}).get(field) or {})
    ]


def _check_room(
    store: Store, kind: ResourceType, obj: Json, *, quota: Json, hard: Usage, asked: Usage
) -> None:
    used = _used(store, obj["metadata"].get("namespace", ""), hard)
    over = sorted(name for name, amount in asked.items() if used.get(name, Decimal(0)) + amount > hard[name])
    if not over:
        return
    why = (
        f"exceeded quota: {quota['metadata']['name']}, requested: {_listed(over, asked)}, "
        f"used: {_listed(over, used)}, limited: {_listed(over, hard)}"
    )
    raise forbidden(kind.plural, obj["metadata"].get("name", ""), why, group=kind.group)


def _listed(names: Iterable[str], amounts: Usage) -> str:
    return ",".join(f"{name}={_shown(name, amounts.get(name, Decimal(0)))}" for name in names)


def _shown(name: str, amount: Decimal) -> str:
    text = f"{amount:f}"
    binary = any(word in name for word in ("memory", "storage")) and amount == int(amount)
    return _in_binary(int(amount)) if binary else canonical_quantity(text)


def _in_binary(amount: int) -> str:
    return (
        canonical_quantity(f"{amount // 1024}Ki")
        if amount and amount % 1024 == 0
        else canonical_quantity(str(amount))
    )


def _used(store: Store, namespace: str, hard: Iterable[str]) -> Usage:
    used: Usage = {}
    names = set(hard)
    for name in names & COUNTED.keys():
        used[name] = Decimal(len(store.list(COUNTED[name], namespace)))
    for pod in store.list("pods", namespace):
        for name, amount in usage(pod).items():
            if name in names:
                used[name] = used.get(name, Decimal(0)) + amount
    return used


def quota_status(store: Store, quota: Json) -> dict[str, dict[str, str]]:
    """Return the status of a quota: its limits, and what the objects of its namespace use of them."""
    hard = _hard(quota)
    used = _used(store, quota["metadata"].get("namespace", ""), hard)
    return {"hard": hard, "used": {name: _shown(name, used.get(name, Decimal(0))) for name in hard}}
