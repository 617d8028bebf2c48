"""Objects of the Kubernetes API as callers give them: plain manifests, or models of a Kubernetes client.

What belongs here: recognising such a model, and converting it into its manifest. No client is imported: the classes of
``kubernetes`` and ``kubernetes_asyncio`` are known by their ``attribute_map``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

__all__ = ["KubernetesModel", "KubernetesObject", "is_model", "manifest_of"]


class KubernetesModel(Protocol):
    """A model of the packages ``kubernetes`` or ``kubernetes_asyncio``, such as ``V1Pod`` or ``V1Toleration``."""

    @property
    def attribute_map(self) -> Mapping[str, str]:
        """Names in Python to names in a manifest: ``{"mount_path": "mountPath"}``."""
        ...


KubernetesObject: TypeAlias = Mapping[str, Any] | KubernetesModel
"""An object of the Kubernetes API: a manifest, which may hold models too, or a model."""


def is_model(value: object) -> bool:
    """Return whether a value is a model of a Kubernetes client."""
    return isinstance(getattr(value, "attribute_map", None), Mapping)


def manifest_of(value: Any) -> Any:
    """Return a value with each model in it converted into its manifest; attributes that are None are left out.

    Args:
        value: A model, or JSON data in which models may stand. Times become text in ISO 8601.
    """
    if is_model(value):
        members = {wire: getattr(value, name) for name, wire in value.attribute_map.items()}
        return {wire: manifest_of(member) for wire, member in members.items() if member is not None}
    if isinstance(value, Mapping):
        return {str(name): manifest_of(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [manifest_of(member) for member in value]
    return _iso(value)


def _iso(value: Any) -> Any:
    written: Callable[[], str] | None = getattr(value, "isoformat", None)
    return written() if written is not None else value
