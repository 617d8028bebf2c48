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
    """Variables whose values stand in the pod."""
    return {name: {"name": name, "value": value} for name, value in variables.items()}


def from_secrets(references: Mapping[str, tuple[str, str]]) -> Env:
    """Variables whose values stand in Secrets: name → (Secret, key)."""
    return {name: secret_ref(name, secret, key) for name, (secret, key) in references.items()}


def from_own_secret(names: Iterable[str], secret: str) -> Env:
    """Variables whose values stand in the pod's own Secret."""
    return {name: secret_ref(name, secret, secret_key(name)) for name in names}


def secret_ref(name: str, secret: str, key: str) -> dict[str, Any]:
    """One variable from a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def env_from(secrets: Iterable[str], configmaps: Iterable[str]) -> list[dict[str, Any]]:
    """Every key of these as variables, Secrets first."""
    return [
        *({"secretRef": {"name": name}} for name in secrets),
        *({"configMapRef": {"name": name}} for name in configmaps),
    ]


def in_order(*layers: Env) -> Env:
    """Join variables: each stands where its name came first, with the value that came last."""
    joined: Env = {}
    for layer in layers:
        joined.update(layer)
    return joined
