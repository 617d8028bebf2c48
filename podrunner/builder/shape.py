"""Checks of what users write: templates, settings, overrides and what a hook returns, before any request.

An error names the place, the value and the remedy. What every API server refuses is a :class:`SpecError`; what a newer
one may accept is a warning. What is checked: the fields and their types, by Kubernetes' schemas, and names that must
differ or must exist. All other rules are the API server's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.builder.places import as_given
from podrunner.builder.rules import NO_VOLUME, problems_between, repeated
from podrunner.errors import SpecError
from podrunner.schema.fields import Problem, problems_of, problems_of_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from podrunner.config import RunnerConfig
    from podrunner.workload import Workload

__all__ = [
    "CHECKED_SETTINGS",
    "check_between",
    "check_changes",
    "check_patch",
    "check_settings",
    "check_shape",
    "check_without_volumes",
]

_MOST_NOTES = 20

_OBJECTS = {
    "volumes": ("PodSpec", "volumes", "name", "volume"),
    "volume_mounts": ("Container", "volumeMounts", "mountPath", "mount"),
    "init_containers": ("PodSpec", "initContainers", "name", "container"),
    "sidecars": ("PodSpec", "initContainers", "name", "container"),
    "tolerations": ("PodSpec", "tolerations", None, ""),
    "affinity": ("PodSpec", "affinity", None, ""),
}
"""Settings that hold objects of the API: which field of which type they become, and what must differ in their elements.
"""

CHECKED_SETTINGS = frozenset(_OBJECTS)
"""Names of the settings that :func:`check_settings` checks, of configurations and of workloads."""


def check_shape(pod: Mapping[str, Any], *, place: str) -> tuple[str, ...]:
    """Check a pod that users wrote, but for mounts, whose volumes other settings may bring; return warnings.

    Raises:
        SpecError: A field is unknown or has a value of the wrong type, or a name stands twice.
    """
    found = problems_of(pod, "Pod", place=place)
    if not any(problem.is_certain for problem in found):
        found += problems_between(pod, place=place, is_finished=False)
    return _refused_or_warned(found)


def check_patch(patch: Mapping[str, Any], *, place: str) -> tuple[str, ...]:
    """Check a strategic merge patch for a pod; return warnings.

    Raises:
        SpecError: A field is unknown or has a value of the wrong type, or an element has no name.
    """
    return _refused_or_warned(problems_of(patch, "Pod", place=place, is_patch=True))


def check_settings(settings: RunnerConfig | Workload, *, place: str = "") -> tuple[str, ...]:
    """Check the objects of the API among the settings of a configuration or a workload; return warnings.

    Args:
        settings: The configuration or the workload.
        place: The beginning of all paths.

    Raises:
        SpecError: A field is unknown or has a value of the wrong type, or a name stands twice.
    """
    given = settings.model_fields_set & CHECKED_SETTINGS
    return _refused_or_warned(_in_settings(settings, given, place)) if given else ()


def _in_settings(settings: RunnerConfig | Workload, names: Iterable[str], place: str) -> list[Problem]:
    found: list[Problem] = []
    for name in sorted(names):
        kind, field, key, what = _OBJECTS[name]
        value = getattr(settings, name)
        wrong = problems_of_field(value, kind, field, place=f"{place}{name}") if value else []
        if key is not None and not wrong:
            wrong = [*repeated(value, key, place=f"{place}{name}", what=what)]
        found += wrong
    return found


def check_changes(pod: Mapping[str, Any], before: Mapping[str, Any], *, place: str) -> tuple[str, ...]:
    """Check those fields of a pod's metadata and spec that are not as they were; return warnings.

    Args:
        pod: The changed pod.
        before: The pod as it was, which is right.
        place: The beginning of all paths.

    Raises:
        SpecError: A field is unknown or has a value of the wrong type, or an element has no name.
    """
    changed = _changed(pod, before)
    for part in ("metadata", "spec"):
        now, was = changed.get(part), before.get(part)
        if isinstance(now, dict) and isinstance(was, dict):
            changed[part] = _changed(now, was)
    return _refused_or_warned(problems_of(changed, "Pod", place=place)) if changed else ()


def _changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in now.items() if name not in before or before[name] != value}


def check_between(pod: Mapping[str, Any], *, config: RunnerConfig, workload: Workload) -> None:
    """Check the rules between the fields of a finished pod.

    Args:
        pod: The pod.
        config: The configuration and
        workload: the workload of which it was made.

    Raises:
        SpecError: A name stands twice, or a mount names no volume of the pod.
    """
    found = problems_between(pod)
    if found:
        _refused_or_warned(as_given(found, pod, config=config, workload=workload))


def check_without_volumes(
    pod: Mapping[str, Any], *, config: RunnerConfig, workload: Workload
) -> tuple[str, ...]:
    """Check as :func:`check_between`, but return a warning for each mount that names no volume: it may still come."""
    found = as_given(problems_between(pod), pod, config=config, workload=workload)
    return _refused_or_warned(
        each._replace(message=f"{each.message}, unless the workload brings it", is_certain=False)
        if each.message.startswith(NO_VOLUME)
        else each
        for each in found
    )


def _refused_or_warned(found: Iterable[Problem]) -> tuple[str, ...]:
    """Raise an error of the first certain problem, with notes of the others; return the rest as sentences."""
    problems = [*found]
    certain = [problem for problem in problems if problem.is_certain]
    if not certain:
        return tuple(str(_error(problem)) for problem in problems)
    error = _error(certain[0])
    for problem in certain[1:_MOST_NOTES]:
        error.add_note(str(_error(problem)))
    raise error


def _error(problem: Problem) -> SpecError:
    return SpecError(problem.message, field=problem.path, value=problem.value)
