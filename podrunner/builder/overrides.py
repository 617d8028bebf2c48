"""A workload's overrides: a strategic merge patch onto the finished pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podrunner.merge import strategic_merge

__all__ = ["overridden"]

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_IDENTITY = ("name", "generateName", "namespace")


def overridden(pod: Mapping[str, Any], patch: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the pod with the patch merged, and a warning for each part of the patch that has no effect.

    Raises:
        SpecError: The patch is not one for a pod; ``field`` is the path.
    """
    metadata = patch.get("metadata")
    named = [name for name in _IDENTITY if isinstance(metadata, Mapping) and metadata.get(name) is not None]
    merged = strategic_merge(pod, _with_one_source(patch))
    warnings = [f"overrides.metadata.{name} has no effect: podrunner names pods" for name in named]
    return merged, tuple(warnings)


def _with_one_source(patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch with directives that remove the old source of a volume or variable that gets another one.

    ``kubectl apply`` writes the same into its patches; a plain merge would leave, for example, a claim and an
    emptyDir in one volume, and the API server would refuse the pod.
    """
    spec = patch.get("spec")
    if not isinstance(spec, Mapping):
        return dict(patch)
    sourced = {**spec, **_each(spec, "volumes", _retaining_source)}
    for name in _CONTAINERS:
        sourced |= _each(spec, name, lambda container: {**container, **_each(container, "env", _one_value)})
    return {**patch, "spec": sourced}


def _each(parent: Mapping[str, Any], name: str, change: Any) -> dict[str, Any]:
    elements = parent.get(name)
    if not isinstance(elements, list | tuple):
        return {}
    return {name: [change(element) if isinstance(element, Mapping) else element for element in elements]}


def _retaining_source(volume: Mapping[str, Any]) -> dict[str, Any]:
    if len(volume) < 2 or any(name.startswith("$") for name in volume):
        return dict(volume)
    return {**volume, "$retainKeys": list(volume)}


def _one_value(variable: Mapping[str, Any]) -> dict[str, Any]:
    if variable.get("value") is not None:
        return {"valueFrom": None, **variable}
    if variable.get("valueFrom") is not None:
        return {"value": None, **variable}
    return dict(variable)
