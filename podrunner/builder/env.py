"""Environment variables of the main container.

Their order is Airflow's: plain variables, Airflow's own, its connection string, then those from Secrets. The kubelet
replaces ``$(NAME)`` in a value only if the variable stands further up, so a variable moves behind those that it refers
to, unless a template or a patch states the order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

from podrunner.builder.names import secret_key

__all__ = [
    "Env",
    "all_of",
    "env_from",
    "from_own_secret",
    "from_secrets",
    "in_order",
    "in_reference_order",
    "plain",
    "referring",
    "resolved",
    "secret_ref",
]

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
"""A reference, or ``$$``, which escapes one (``k8s.io/kubernetes/third_party/forked/golang/expansion``)."""

Env: TypeAlias = dict[str, dict[str, Any]]
"""``EnvVar`` objects by name, in the order of the list."""


def all_of(variables: Iterable[dict[str, Any]]) -> Env:
    """Return the variables of a list. Of two of one name, the later one has the name and the other one stays before.

    A reference ``$(NAME)`` between the two means the earlier one.
    """
    found: Env = {}
    for index, variable in enumerate(variables):
        name = variable["name"]
        if name in found:
            found = {f"{name}\0{index}" if key == name else key: value for key, value in found.items()}
        found[name] = variable
    return found


def plain(variables: Mapping[str, str]) -> Env:
    """Return variables whose values stand in the pod."""
    return {name: {"name": name, "value": value} for name, value in variables.items()}


def from_secrets(references: Mapping[str, tuple[str, str]]) -> Env:
    """Return variables whose values stand in Secrets, from name → (Secret, key)."""
    return {name: secret_ref(name, secret, key) for name, (secret, key) in references.items()}


def from_own_secret(names: Iterable[str], secret: str) -> Env:
    """Return variables whose values stand in the pod's own Secret."""
    return {name: secret_ref(name, secret, secret_key(name)) for name in names}


def secret_ref(name: str, secret: str, key: str) -> dict[str, Any]:
    """Return one variable whose value stands in a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def env_from(secrets: Iterable[str], configmaps: Iterable[str]) -> list[dict[str, Any]]:
    """Return the ``envFrom`` sources that make every key a variable, Secrets first."""
    return [
        *({"secretRef": {"name": name}} for name in secrets),
        *({"configMapRef": {"name": name}} for name in configmaps),
    ]


def in_order(*layers: Env) -> Env:
    """Return variables joined: each at the position where its name came first, with the value that came last."""
    joined: Env = {}
    for layer in layers:
        joined.update(layer)
    return joined


def referring(variables: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the variables whose values refer to others."""
    return frozenset(name for name, value in variables.items() if "$(" in value)


def resolved(variables: Env, names: AbstractSet[str]) -> Env:
    """Return variables, those of these names behind the ones that their values refer to, wherever layers put them."""
    return {name: variables[name] for name in _in_reference_order(variables, names)} if names else variables


def in_reference_order(variables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a container's variables, each after those that its value refers to; otherwise in their order.

    Variables that refer to each other in a circle stay in their order, and so does a list in which a name stands twice:
    there, which value a reference gets depends on the order.
    """
    named: Env = {variable["name"]: variable for variable in variables}
    if len(named) < len(variables) or not any(_refers(variable) for variable in variables):
        return variables
    return [named[name] for name in _in_reference_order(named, named.keys())]


def _in_reference_order(variables: Env, names: AbstractSet[str]) -> list[str]:
    waiting = {
        name: _references(variable) & (variables.keys() - {name}) if name in names else set()
        for name, variable in variables.items()
    }
    ordered = []
    while waiting:
        ready = (name for name, references in waiting.items() if waiting.keys().isdisjoint(references))
        name = next(ready, None) or next(iter(waiting))
        del waiting[name]
        ordered.append(name)
    return ordered


def _refers(variable: Mapping[str, Any]) -> bool:
    value = variable.get("value")
    return isinstance(value, str) and "$(" in value


def _references(variable: Mapping[str, Any]) -> set[str]:
    return {name for name in _REFERENCE.findall(variable["value"]) if name} if _refers(variable) else set()
