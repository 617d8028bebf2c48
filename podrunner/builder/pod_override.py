"""Merging a task's ``pod_override`` onto a pod as Airflow does it, on plain manifests.

Source: ``PodGenerator.reconcile_pods`` of Airflow's Kubernetes provider 10.25. Its rules, which are not those of
``kubectl patch`` (``overrides.py``):

- Containers are matched by their position, init containers by their names; the first container is the main one.
- Volumes, and a container's variables, mounts, ports, devices and ``envFrom`` are appended. Nothing is removed, also if
  a name then stands twice: of two variables the later one counts, and ``$(NAME)`` in a value means what stands before.
- Labels and annotations are joined. Any other field replaces the pod's as a whole, unless it is empty, 0 or false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from podrunner.builder.labels import DEFAULT_CONTAINER
from podrunner.builder.overrides import without_names
from podrunner.builder.result import RESULT_CONTAINER
from podrunner.builder.shape import check_shape
from podrunner.merge.json_value import clone

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["reconciled", "with_pod_override"]

Manifest = dict[str, Any]

_OF_CONTAINER: Final = ("volumeMounts", "env", "envFrom", "ports", "volumeDevices")
_MAPS: Final = frozenset({"labels", "annotations", "nodeSelector", "overhead"})
"""Fields whose value is a map. Any other object is one of the client's models, which counts though it is empty."""


def with_pod_override(
    pod: Mapping[str, Any], override: Mapping[str, Any], *, main: str
) -> tuple[Manifest, str, tuple[str, ...]]:
    """Return the pod with a task's override, the main container's name in it, and a warning for what has no effect.

    Args:
        pod: The pod so far; it is not changed.
        override: The task's ``pod_override``.
        main: The main container's name so far. It counts as the first one, and may get another name.

    Raises:
        SpecError: The override does not have a pod's shape; ``field`` is the path.
    """
    task: Manifest = clone(dict(override))
    warnings = check_shape(task, place="pod_override")
    warnings += without_names(task, names=("name", "generateName"), place="pod_override")
    without_names(task, names=("namespace",), place="")  # it has been read: see namespace_of
    containers = pod["spec"]["containers"]
    apart = [container for container in containers if container["name"] == RESULT_CONTAINER]
    ordered = sorted(containers, key=lambda container: container["name"] != main)
    theirs = [container for container in ordered if container["name"] != RESULT_CONTAINER]
    merged = reconciled({**pod, "spec": {**pod["spec"], "containers": theirs}}, task)
    renamed: str = merged["spec"]["containers"][0]["name"]
    merged["spec"]["containers"] = [*merged["spec"]["containers"], *apart]
    annotations = merged["metadata"].get("annotations") or {}
    if annotations.get(DEFAULT_CONTAINER) == main:
        merged["metadata"]["annotations"] = {**annotations, DEFAULT_CONTAINER: renamed}
    return merged, renamed, warnings


def reconciled(base: Mapping[str, Any], task: Mapping[str, Any]) -> Manifest:
    """Return ``base`` with ``task`` merged onto it, as ``reconcile_pods``; neither is changed."""
    merged = _merged(base, {name: value for name, value in task.items() if name not in {"metadata", "spec"}})
    return {
        **merged,
        "metadata": _metadata(base.get("metadata") or {}, task.get("metadata") or {}),
        "spec": _spec(base.get("spec") or {}, task.get("spec") or {}),
    }


def _metadata(base: Mapping[str, Any], task: Mapping[str, Any]) -> Manifest:
    joined = {
        name: {**(base.get(name) or {}), **(task.get(name) or {})} for name in ("labels", "annotations")
    }
    return _merged(base, {**task, **joined})


def _spec(base: Mapping[str, Any], task: Mapping[str, Any]) -> Manifest:
    ours, theirs = base.get("containers") or [], task.get("containers") or []
    lists = {
        "containers": _by_position(ours, theirs),
        "initContainers": _by_name(base.get("initContainers") or [], task.get("initContainers") or []),
        **_appended(base, task, ("volumes",)),
    }
    return _merged(base, {**task, **lists})


def _by_position(base: list[Manifest], task: list[Manifest]) -> list[Manifest]:
    both = [_container(ours, theirs) for ours, theirs in zip(base, task, strict=False)]
    return [*both, *base[len(both) :], *task[len(both) :]]


def _by_name(base: list[Manifest], task: list[Manifest]) -> list[Manifest]:
    if not base:
        return task
    theirs = {container["name"]: container for container in task}
    names = {container["name"] for container in base}
    kept = [_container(ours, theirs[ours["name"]]) if ours["name"] in theirs else ours for ours in base]
    return [*kept, *(container for container in task if container["name"] not in names)]


def _container(base: Mapping[str, Any], task: Mapping[str, Any]) -> Manifest:
    return _merged(base, {**task, **_appended(base, task, _OF_CONTAINER)})


def _appended(base: Mapping[str, Any], task: Mapping[str, Any], names: tuple[str, ...]) -> Manifest:
    """Return those lists that both have, joined."""
    return {name: [*base[name], *task[name]] for name in names if base.get(name) and task.get(name)}


def _merged(base: Mapping[str, Any], task: Mapping[str, Any]) -> Manifest:
    """Return ``base`` with each field of ``task`` that says something, and those that only ``task`` has."""
    said = {name: value for name, value in task.items() if _counts(name, value) or base.get(name) is None}
    return {**base, **said}


def _counts(name: str, value: Any) -> bool:
    return bool(value) or (isinstance(value, dict) and name not in _MAPS)
