"""A pod in the making: what a workload changes of the compiled pod.

Each field of a workload has one function here that applies it; only the fields that a workload sets are
visited, in the order of the table, so that the result does not depend on how they were given. Parts of the
compiled pod are replaced, never changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.builder.compiled import Compiled, containers, sidecars
from podrunner.builder.labels import check_label_keys, safe_labels
from podrunner.builder.named import joined
from podrunner.builder.resources import resource_requirements
from podrunner.builder.result import result_container, result_mount, result_volume
from podrunner.merge.json_value import clone

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.workload import Resources, Workload

__all__ = ["Draft"]


class Draft:
    """The parts of one pod that a workload may change. Variables and names are the builder's own matter."""

    __slots__ = (
        "after",
        "annotations",
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
        self.after: list[dict[str, Any]] = compiled.after
        self.result_image: str | None = compiled.result_image
        self.init: list[dict[str, Any]] = compiled.init[1]
        self.sidecars: list[dict[str, Any]] = compiled.sidecars
        self.volumes: list[dict[str, Any]] = compiled.volumes

    def apply(self, workload: Workload) -> None:
        """Apply what ``workload`` sets.

        Raises:
            SpecError: An element of a list has no name, or a label's key is not valid.
        """
        given = workload.model_fields_set
        for field, change in _CHANGES:
            if field in given:
                value = getattr(workload, field)
                if value is not None:
                    change(self, value)


def _in_main(wire: str) -> Callable[[Draft, Any], None]:
    def change(draft: Draft, value: Any) -> None:
        draft.main[wire] = value

    return change


def _in_spec(wire: str) -> Callable[[Draft, Any], None]:
    def change(draft: Draft, value: Any) -> None:
        draft.spec[wire] = value

    return change


def _object_in_spec(wire: str) -> Callable[[Draft, Any], None]:
    """For a field that takes the place of the configuration's where it is not empty."""

    def change(draft: Draft, value: Any) -> None:
        if value:
            draft.spec[wire] = clone(value)

    return change


def _names_in_spec(wire: str) -> Callable[[Draft, Any], None]:
    def change(draft: Draft, value: tuple[str, ...]) -> None:
        names = [{"name": name} for name in value]
        draft.spec[wire] = joined(draft.spec.get(wire) or [], names, field=wire)

    return change


def _security(wire: str) -> Callable[[Draft, Any], None]:
    def change(draft: Draft, value: int) -> None:
        draft.spec["securityContext"] = {**(draft.spec.get("securityContext") or {}), wire: value}

    return change


def _command(draft: Draft, value: tuple[str, ...]) -> None:
    # The template's arguments belonged to the template's command.
    draft.main.pop("args", None)
    draft.main["command"] = list(value)


def _args(draft: Draft, value: tuple[str, ...]) -> None:
    draft.main["args"] = list(value)


def _resources(draft: Draft, value: Resources) -> None:
    draft.main["resources"] = resource_requirements(value)


def _mounts(draft: Draft, value: Any) -> None:
    before = draft.main.get("volumeMounts") or []
    draft.main["volumeMounts"] = joined(before, clone(value), key="mountPath", field="Workload.volume_mounts")


def _volumes(draft: Draft, value: Any) -> None:
    draft.volumes = joined(draft.volumes, clone(value), field="Workload.volumes")


def _result(draft: Draft, value: str) -> None:
    mounts = draft.main.get("volumeMounts") or []
    mount = result_mount(value, mounts)
    draft.main["volumeMounts"] = [*mounts, mount]
    draft.volumes = [*draft.volumes, result_volume()]
    draft.after = [*draft.after, result_container(mount, main=draft.main, image=draft.result_image)]


def _init(draft: Draft, value: Any) -> None:
    field = "Workload.init_containers"
    draft.init = joined(draft.init, containers(value, field=field), field=field)


def _sidecars(draft: Draft, value: Any) -> None:
    field = "Workload.sidecars"
    draft.sidecars = joined(draft.sidecars, sidecars(value, field=field), field=field)


def _labels(draft: Draft, value: dict[str, str]) -> None:
    check_label_keys(value, field="Workload.labels")
    draft.labels = {**draft.labels, **safe_labels(value)}


def _annotations(draft: Draft, value: dict[str, str]) -> None:
    if value:
        draft.annotations = value


_CHANGES: tuple[tuple[str, Callable[[Draft, Any], None]], ...] = (
    ("command", _command),
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
