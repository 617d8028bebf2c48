"""Explaining a pod: which setting set each field.

The explanation is found by building: the settings are added one by one, in order of precedence, and each field is
attributed to the setting that changed it. So the explanation cannot differ from what the builder does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podrunner.builder.builder import PodBuilder, build_plan
from podrunner.config import AirflowSettings, RunnerConfig
from podrunner.redaction import HIDDEN
from podrunner.workload import Workload

__all__ = ["Provenance", "explain_pod"]

_BUILDER = "podrunner"
_POLICY = "spec.restartPolicy"
_PLACEHOLDER = "unset.invalid/image"
_LIST_KEYS = {"volumeMounts": "mountPath", "ports": "containerPort", "ownerReferences": "uid"}
_FIRST = ("pod_template", "container_name")
_LAST = ("pod_override", "overrides", "identity_labels", "identity_annotations")
_UPON_WORKLOAD = ("result_sidecar_image",)
"""Settings of the configuration that have an effect only on workloads that ask for it."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where one value of a pod comes from.

    Attributes:
        path: The field, as ``spec.containers[base].env[HOME].value``; elements of named lists by their name.
        value: The field's value.
        source: The setting: ``config.airflow.dags``, ``workload.image``, or ``podrunner`` for what it adds
            itself.
    """

    path: str
    value: Any
    source: str


def explain_pod(config: RunnerConfig, workload: Workload) -> list[Provenance]:
    """Return for each field of the pod the setting that set it, in the pod's order; a task's workload is not shown.

    Raises:
        SpecError: Template, configuration and workload together make no pod.
    """
    final = dict(_leaves(build_plan(config, workload).manifest))
    sources: dict[str, str] = {}
    before: dict[str, Any] = {}
    for source, partial in _steps(config, workload):
        now = dict(_leaves(partial))
        sources.update({path: source for path, value in now.items() if before.get(path, _BUILDER) != value})
        before = now
    sources["metadata.name"] = "workload.key"
    if "airflow_version" not in workload.identity_labels:
        sources["metadata.labels.airflow_version"] = "config.airflow.version"
    _attribute_policy(sources, config, workload)
    hidden = [] if workload.task_workload is None else [workload.task_workload.get_secret_value()]
    return [
        Provenance(path, HIDDEN if value in hidden else value, sources.get(path, _BUILDER))
        for path, value in final.items()
    ]


def _attribute_policy(sources: dict[str, str], config: RunnerConfig, workload: Workload) -> None:
    """Attribute the restart policy to a template that gives it, also if that is the builder's own."""
    for name, template in (("workload", workload.pod_template), ("config", config.pod_template)):
        if template is not None:
            if (template.get("spec") or {}).get("restartPolicy") and sources.get(_POLICY) == _BUILDER:
                sources[_POLICY] = f"{name}.pod_template"
            return


def _steps(config: RunnerConfig, workload: Workload) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pod built with one more setting each time, with the setting that was added last."""
    partial, bare = RunnerConfig(), Workload(key=workload.key, name=workload.name)
    yield _BUILDER, _built(partial, bare)
    if config.airflow is not None:  # first: it decides how the template is taken
        partial = RunnerConfig(airflow=AirflowSettings(version=config.airflow.version))
        yield "config.airflow", _built(partial, bare)
    for source, fuller in _configs(config, partial):
        partial = fuller
        yield source, _built(partial, bare)
    for field in _in_turn(workload.model_fields_set):
        bare = bare.model_copy(update={field: getattr(workload, field)})
        yield f"workload.{field}", _built(partial, bare)
    for field in _UPON_WORKLOAD:
        partial = partial.model_copy(update={field: getattr(config, field)})
        yield f"config.{field}", _built(partial, bare)


def _configs(config: RunnerConfig, partial: RunnerConfig) -> Iterator[tuple[str, RunnerConfig]]:
    derived = {
        field for field in RunnerConfig.model_fields if getattr(config, field) != getattr(partial, field)
    }
    for field in _in_turn((config.model_fields_set | derived) - {"airflow", *_UPON_WORKLOAD}):
        partial = partial.model_copy(update={field: getattr(config, field)})
        yield f"config.{field}", partial
    if config.airflow is not None:
        for source, airflow in _airflow_settings(config.airflow):
            yield source, partial.model_copy(update={"airflow": airflow})


def _airflow_settings(settings: AirflowSettings) -> Iterator[tuple[str, AirflowSettings]]:
    partial = AirflowSettings(version=settings.version)
    for field in AirflowSettings.model_fields:
        if getattr(settings, field) != getattr(partial, field):
            partial = partial.model_copy(update={field: getattr(settings, field)})
            yield f"config.airflow.{field}", partial


def _in_turn(fields: set[str]) -> list[str]:
    """Return settings in order of precedence: those merged last come last; the rest are sorted by name."""
    return sorted(fields - {"key", "name"}, key=lambda field: (field in _LAST, field not in _FIRST, field))


def _built(config: RunnerConfig, workload: Workload) -> dict[str, Any]:
    """Build the pod, with a placeholder where no image is named yet."""
    if config.image is None and workload.image is None:
        config = config.model_copy(update={"image": _PLACEHOLDER})
    return PodBuilder(config).draft(workload).manifest


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, member in value.items():
            yield from _leaves(member, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for label, element in zip(_labels(value, path), value, strict=True):
            yield from _leaves(element, f"{path}[{label}]")
    else:
        yield path, value


def _labels(elements: list[Any], path: str) -> list[str]:
    """Return a label for each element of a list: its name if all names differ, else its index."""
    key = _LIST_KEYS.get(path.rpartition(".")[2], "name")
    names = [str(element[key]) for element in elements if isinstance(element, Mapping) and key in element]
    return names if len({*names}) == len(elements) else [str(index) for index in range(len(elements))]
