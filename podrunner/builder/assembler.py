"""Assembling one pod: what a workload changes of the compiled pod.

Each field of a workload has one function here that applies it. Only the fields that a workload sets are visited, in the
order of the table, so the result does not depend on the order in which they were given. Parts of the compiled pod are
replaced, never changed: other pods share them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.builder.compiled import Compiled, containers, sidecars
from podrunner.builder.labels import check_label_keys, safe_labels
from podrunner.builder.named import joined
from podrunner.builder.resources import resource_requirements
from podrunner.builder.result import result_container, result_mount, result_volume
from podrunner.merge.json_value import clone
from podrunner.workload.airflow_line import TASK_SDK

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from podrunner.workload import Resources, Workload

__all__ = ["PodAssembler"]


class PodAssembler:
    """The parts of one pod that a workload may change; variables and names are left to the builder."""

    __slots__ = (
        "after",
        "annotations",
        "first_args",
        "init",
        "labels",
        "main",
        "result_image",
        "sidecars",
        "spec",
        "volumes",
    )

    def __init__(self, compiled: Compiled) -> None:
        self.labels: dict[str, str] = compiled.labels
        self.annotations: dict[str, str] = compiled.annotations
        self.spec: dict[str, Any] = dict(compiled.spec)
        self.main: dict[str, Any] = dict(compiled.main)
        self.first_args: list[str] = []
        self.after: list[dict[str, Any]] = compiled.after
        self.result_image: str | None = compiled.result_image
        self.init: list[dict[str, Any]] = compiled.init[1]
        self.sidecars: list[dict[str, Any]] = compiled.sidecars
        self.volumes: list[dict[str, Any]] = compiled.volumes

    def apply(self, workload: Workload) -> None:
        """Apply the fields that a workload sets.

        Raises:
            SpecError: An element of a list has no name, or a label's key is not valid.
        """
        given = workload.model_fields_set
        for field, change in _CHANGES:
            if field in given:
                value = getattr(workload, field)
                if value is not None:
                    change(self, value)


def _in_main(wire: str) -> Callable[[PodAssembler, Any], None]:
    def change(pod: PodAssembler, value: Any) -> None:
        pod.main[wire] = value

    return change


def _in_spec(wire: str) -> Callable[[PodAssembler, Any], None]:
    def change(pod: PodAssembler, value: Any) -> None:
        pod.spec[wire] = value

    return change


def _object_in_spec(wire: str) -> Callable[[PodAssembler, Any], None]:
    """Return the change for a field that replaces the configuration's unless it is empty."""

    def change(pod: PodAssembler, value: Any) -> None:
        if value:
            pod.spec[wire] = clone(value)

    return change


def _names_in_spec(wire: str) -> Callable[[PodAssembler, Any], None]:
    def change(pod: PodAssembler, value: tuple[str, ...]) -> None:
        names = [{"name": name} for name in value]
        pod.spec[wire] = joined(pod.spec.get(wire) or [], names, field=wire)

    return change


def _security(wire: str) -> Callable[[PodAssembler, Any], None]:
    def change(pod: PodAssembler, value: int) -> None:
        pod.spec["securityContext"] = {**(pod.spec.get("securityContext") or {}), wire: value}

    return change


def _command(pod: PodAssembler, value: tuple[str, ...]) -> None:
    # The template's arguments belonged to the template's command.
    pod.main.pop("args", None)
    pod.main["command"] = list(value)


def _args(pod: PodAssembler, value: tuple[str, ...]) -> None:
    pod.main["args"] = [*pod.first_args, *value]


def _task_workload(pod: PodAssembler, value: SecretStr) -> None:
    # As Airflow's provider: in the arguments, so that the image's entry point prepares the worker.
    pod.first_args = [*TASK_SDK, value.get_secret_value()]
    pod.main["args"] = pod.first_args


def _resources(pod: PodAssembler, value: Resources) -> None:
    pod.main["resources"] = resource_requirements(value)


def _mounts(pod: PodAssembler, value: Any) -> None:
    before = pod.main.get("volumeMounts") or []
    pod.main["volumeMounts"] = joined(before, clone(value), key="mountPath", field="Workload.volume_mounts")


def _volumes(pod: PodAssembler, value: Any) -> None:
    pod.volumes = joined(pod.volumes, clone(value), field="Workload.volumes")


def _result(pod: PodAssembler, value: str) -> None:
    mounts = pod.main.get("volumeMounts") or []
    mount = result_mount(value, mounts)
    pod.main["volumeMounts"] = [*mounts, mount]
    pod.volumes = [*pod.volumes, result_volume()]
    pod.after = [*pod.after, result_container(mount, main=pod.main, image=pod.result_image)]


def _init(pod: PodAssembler, value: Any) -> None:
    field = "Workload.init_containers"
    pod.init = joined(pod.init, containers(value, field=field), field=field)


def _sidecars(pod: PodAssembler, value: Any) -> None:
    field = "Workload.sidecars"
    pod.sidecars = joined(pod.sidecars, sidecars(value, field=field), field=field)


def _labels(pod: PodAssembler, value: dict[str, str]) -> None:
    check_label_keys(value, field="Workload.labels")
    pod.labels = {**pod.labels, **safe_labels(value)}


def _annotations(pod: PodAssembler, value: dict[str, str]) -> None:
    if value:
        pod.annotations = value


_CHANGES: tuple[tuple[str, Callable[[PodAssembler, Any], None]], ...] = (
    ("command", _command),
    ("task_workload", _task_workload),
    ("args", _args),
    ("image", _in_main("image")),
    ("image_pull_policy", _in_main("imagePullPolicy")),
    ("working_dir", _in_main("workingDir")),
    ("resources", _resources),
    ("volume_mounts", _mounts),
    ("volumes", _volumes),
    ("result_path", _result),
    ("init_containers", _init),
    ("sidecars", _sidecars),
    ("labels", _labels),
    ("annotations", _annotations),
    ("image_pull_secrets", _names_in_spec("imagePullSecrets")),
    ("scheduling_gates", _names_in_spec("schedulingGates")),
    ("node_selector", _object_in_spec("nodeSelector")),
    ("affinity", _object_in_spec("affinity")),
    ("tolerations", _object_in_spec("tolerations")),
    ("service_account_name", _in_spec("serviceAccountName")),
    ("priority_class_name", _in_spec("priorityClassName")),
    ("active_deadline_s", _in_spec("activeDeadlineSeconds")),
    ("termination_grace_period_s", _in_spec("terminationGracePeriodSeconds")),
    ("run_as_user", _security("runAsUser")),
    ("fs_group", _security("fsGroup")),
)
