"""Applying a user's hook to a finished pod: what the hook is shown, and what of its changes stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from podrunner.builder.overrides import NAMES
from podrunner.builder.shape import check_changes
from podrunner.errors import SpecError
from podrunner.merge.json_value import clone

__all__ = ["Identify", "PodHook", "with_hook"]

PodHook = Callable[[dict[str, Any]], dict[str, Any] | None]
"""The user's hook, applied to each manifest before the create request: changes the pod, or returns another one. It sees
the pod's name, namespace and identity, and cannot change them."""
Identify: TypeAlias = Callable[[dict[str, Any]], None]
"""Sets a pod's name and identity in place, over everything else."""
_PLACE = "pod_hook"


def with_hook(
    pod: Mapping[str, Any], hook: PodHook, *, identify: Identify, namespace: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the pod as the hook leaves it, and a warning for each change that has no effect.

    Args:
        pod: The pod without its name and identity; it is not changed.
        hook: The hook.
        identify: Sets name and identity. They are set once more when the hook is done.
        namespace: The pod's namespace.

    Raises:
        SpecError: The hook fails, or what it leaves is no pod.
    """
    shown: dict[str, Any] = clone(pod)
    identify(shown)
    shown["metadata"]["namespace"] = namespace
    changed = _hooked(shown, hook)
    warnings = check_changes(changed, shown, place=_PLACE)
    metadata = changed.get("metadata")
    if isinstance(metadata, dict):
        warnings += (*_names(metadata, shown["metadata"]), *_identity(metadata, identify))
    return changed, warnings


def _hooked(pod: dict[str, Any], hook: PodHook) -> dict[str, Any]:
    own: dict[str, Any] = clone(pod)
    try:
        changed: Any = hook(own)
    except Exception as error:  # a failing hook fails this one pod only
        raise SpecError(f"the pod hook failed: {type(error).__name__}: {error}") from error
    if changed is not None and not isinstance(changed, dict):
        raise SpecError(f"the pod hook returned {type(changed).__name__}, not a pod")
    return own if changed is None else changed


def _names(metadata: dict[str, Any], shown: Mapping[str, Any]) -> list[str]:
    """Remove the names from a pod's metadata, in place; return a warning for each that the hook has set."""
    given = {name: metadata.pop(name, None) for name in NAMES}
    return [
        f"{_PLACE}.metadata.{name} has no effect: podrunner names pods"
        for name, value in given.items()
        if value is not None and value != shown.get(name)
    ]


def _identity(metadata: Mapping[str, Any], identify: Identify) -> list[str]:
    """Return a warning for each label and annotation of the pod's identity that the hook has changed or removed."""
    alone: dict[str, Any] = {"metadata": {}}
    identify(alone)
    return [
        f"{_PLACE}.metadata.{field}.{name} has no effect: it is the pod's identity"
        for field in ("labels", "annotations")
        for name, value in alone["metadata"].get(field, {}).items()
        if (metadata.get(field) or {}).get(name) != value
    ]
