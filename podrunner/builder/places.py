"""Where something in a finished pod was given: in the overrides, the workload, the configuration or the template.

For errors only: an author corrects what was written, not the pod that was made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from podrunner.builder.rules import mounts_without_volume
from podrunner.redaction import shown_value

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.schema.fields import Problem
    from podrunner.workload import Workload

__all__ = ["as_given"]

Objects = Iterable[Mapping[str, Any]]
_CONTAINERS = ("containers", "initContainers")


def as_given(
    problems: Iterable[Problem], pod: Mapping[str, Any], *, config: RunnerConfig, workload: Workload
) -> list[Problem]:
    """Return the problems of a finished pod, each at the place where its value is given, where that is found.

    Args:
        problems: What is wrong between the fields of the pod.
        pod: The pod.
        config: The configuration and
        workload: the workload of which it was made.
    """
    volumes = {volume["name"] for volume in pod["spec"].get("volumes") or ()}
    layers = [*_lists(config, workload)]
    return [_placed(problem, layers, volumes) for problem in problems]


def _placed(problem: Problem, layers: list[tuple[str, str, Objects]], volumes: set[str]) -> Problem:
    """Return a problem at its place in the strongest layer that has the value; unchanged if none has it."""
    for place, kind, elements in layers:
        if problem.path.endswith("].name") and f"{kind}[" in problem.path:
            for found in _in_layer(problem, place, kind, elements, volumes):
                return problem._replace(path=found)
    return problem


def _in_layer(problem: Problem, place: str, kind: str, elements: Objects, volumes: set[str]) -> Iterator[str]:
    is_of_mount = "olumeMounts[" in problem.path
    if kind == "volumeMounts":
        yield from _paths(problem, mounts_without_volume(elements, place, volumes))
        return
    for element in elements:
        name = element.get("name")
        if is_of_mount:
            mounts = _objects(element.get("volumeMounts"))
            yield from _paths(
                problem, mounts_without_volume(mounts, f"{place}[{name}].volumeMounts", volumes)
            )
        elif shown_value(name) == problem.value:
            yield f"{place}[{name}].name"


def _paths(problem: Problem, found: Iterable[Problem]) -> Iterator[str]:
    return (each.path for each in found if each.value == problem.value)


def _lists(config: RunnerConfig, workload: Workload) -> Iterator[tuple[str, str, Objects]]:
    """Yield where, of which kind and with which elements lists were given, the strongest layer first."""
    yield from _lists_of_pod("overrides", workload.overrides)
    yield from _lists_of_pod("pod_override", workload.pod_override)
    for place, settings in (("Workload.", workload), ("", config)):
        yield f"{place}volume_mounts", "volumeMounts", settings.volume_mounts
        yield f"{place}volumes", "volumes", settings.volumes
        yield f"{place}init_containers", "initContainers", settings.init_containers
        yield f"{place}sidecars", "initContainers", settings.sidecars
    if workload.pod_template is None:
        yield from _lists_of_pod("pod_template", config.pod_template)
    else:
        yield from _lists_of_pod("Workload.pod_template", workload.pod_template)


def _lists_of_pod(place: str, pod: Mapping[str, Any] | None) -> Iterator[tuple[str, str, Objects]]:
    spec = (pod or {}).get("spec")
    if isinstance(spec, Mapping):
        for field in (*_CONTAINERS, "volumes"):
            yield f"{place}.spec.{field}", field, _objects(spec.get(field))


def _objects(elements: Any) -> Objects:
    listed = elements if isinstance(elements, list | tuple) else ()
    return [element for element in listed if isinstance(element, Mapping)]
