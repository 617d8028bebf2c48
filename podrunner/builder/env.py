"""Environment variables of the main container.

Their order is Airflow's: plain variables, Airflow's own, its connection string, then those from Secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

from podrunner.builder.names import secret_key

__all__ = ["Env", "env_from", "from_own_secret", "from_secrets", "in_order", "plain", "secret_ref"]

Env: TypeAlias = dict[str, dict[str, Any]]
"""``EnvVar`` objects by name, in the order of the list."""


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
