"""A workload's overrides: a strategic merge patch onto the finished pod, which may also move it to a namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podrunner.builder.env import in_reference_order
from podrunner.builder.labels import DEFAULT_CONTAINER
from podrunner.builder.shape import check_patch
from podrunner.errors import SpecError
from podrunner.merge import strategic_merge
from podrunner.merge.json_value import type_name
from podrunner.redaction import shown_value

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.workload import Workload

__all__ = ["checked_namespace", "namespace_in", "namespace_of", "overridden", "settle", "without_names"]

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
NAMES = ("name", "generateName", "namespace")
"""Fields of a pod's metadata that podrunner sets itself."""
_PATCHES = ("overrides", "pod_override")
"""The fields of a workload that hold a part of a pod, the stronger one first."""


def namespace_of(config: RunnerConfig, workload: Workload) -> str:
    """Return the namespace of a workload's pod: the overrides', else the workload's, else the configuration's.

    Of both kinds of overrides ``overrides`` comes first. The namespace is not checked: see :func:`checked_namespace`.
    """
    moved = _moved(workload)
    return moved[1] if moved is not None else workload.namespace or config.namespace


def _moved(workload: Workload) -> tuple[str, str] | None:
    """Return the field of the overrides that moves the pod, with the namespace; None: they do not."""
    for field in _PATCHES:
        named = namespace_in(getattr(workload, field)) if getattr(workload, field) else None
        if named is not None:
            return field, named
    return None


def namespace_in(patch: Mapping[str, Any]) -> str | None:
    """Return the namespace that a patch of a pod names; None if it names none, or something else than text."""
    metadata = patch.get("metadata")
    named = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    return named if isinstance(named, str) and named else None


def checked_namespace(config: RunnerConfig, workload: Workload) -> str:
    """Return the namespace of a workload's pod, which the runner must watch.

    Raises:
        SpecError: The overrides name something else than text, or the configuration's runner does not watch the
            namespace: it would never see how the pod ends.
    """
    for field in _PATCHES:
        if getattr(workload, field):
            _check_named(getattr(workload, field), field)
    namespace = namespace_of(config, workload)
    if namespace != config.namespace and not config.all_namespaces and namespace not in config.namespaces:
        moved = _moved(workload)
        remedy = "add it to the setting `namespaces`, or set `all_namespaces`"
        field = "Workload.namespace" if moved is None else f"{moved[0]}.metadata.namespace"
        raise SpecError(f"is not watched by the runner; {remedy}", field=field, value=shown_value(namespace))
    return namespace


def _check_named(patch: Mapping[str, Any], field: str) -> None:
    metadata = patch.get("metadata")
    named = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    if named is not None and namespace_in(patch) is None:
        problem = "must name a namespace" if named == "" else f"must be text, not {type_name(named)}"
        raise SpecError(problem, field=f"{field}.metadata.namespace", value=shown_value(named))


def overridden(pod: Mapping[str, Any], patch: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the pod with the patch merged, and a warning for each part of the patch that has no effect.

    Raises:
        SpecError: The patch is not one for a pod; ``field`` is the path.
    """
    warnings = check_patch(patch, place="overrides")
    merged = strategic_merge(pod, _with_one_source(patch))
    warnings += without_names(merged, names=("name", "generateName"), place="overrides")
    without_names(merged, names=("namespace",), place="")  # it has been read: see namespace_of
    return merged, warnings


def without_names(pod: dict[str, Any], *, names: Sequence[str] = NAMES, place: str) -> tuple[str, ...]:
    """Remove names from a pod's metadata, in place; return a warning for each that was there."""
    metadata = pod.get("metadata")
    if not isinstance(metadata, dict):
        return ()
    removed = [name for name in names if metadata.pop(name, None) is not None]
    return tuple(f"{place}.metadata.{name} has no effect: podrunner names pods" for name in removed)


def settle(pod: dict[str, Any], patch: Mapping[str, Any], *, main: str) -> None:
    """Mend in place what the order of a strategic merge breaks: new elements come before those that are there.

    A variable moves behind those that its value refers to, in lists whose order the patch does not state. A pod whose
    first container is not the main one any more names it for kubectl.

    Args:
        pod: The merged pod; its shape has been checked.
        patch: What was merged.
        main: Name of the main container.
    """
    for field in _CONTAINERS:
        patched = {container["name"] for container in _patched(patch, field) if _moves_variables(container)}
        for container in pod["spec"].get(field) or () if patched else ():
            if container["name"] in patched and container.get("env"):
                container["env"] = in_reference_order(container["env"])
    _name_main(pod, main)


def _name_main(pod: dict[str, Any], main: str) -> None:
    """Annotate a pod in place with its main container, unless that is the first one or an annotation names one."""
    containers = pod["spec"].get("containers")
    if containers and containers[0].get("name") != main:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {DEFAULT_CONTAINER: main, **annotations}


def _patched(patch: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    spec = patch.get("spec")
    elements = spec.get(field) if isinstance(spec, Mapping) else None
    named = elements if isinstance(elements, list | tuple) else ()
    return [
        element for element in named if isinstance(element, Mapping) and isinstance(element.get("name"), str)
    ]


def _moves_variables(container: Mapping[str, Any]) -> bool:
    return bool(container.get("env")) and "$setElementOrder/env" not in container


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
