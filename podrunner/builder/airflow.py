"""The parts of an Airflow worker's pod, as in Airflow 1.10: variables, volumes and their mounts.

In Airflow 2 and 3, and beside a pod template, the template is the whole pod (``is_template_all``): then only what is
set explicitly is added to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from podrunner.builder.env import Env, plain
from podrunner.builder.git_sync import clone_folder, git_volumes
from podrunner.config import (
    AirflowLine,
    AirflowSettings,
    DagsFromClaim,
    DagsFromGit,
    DagsFromHostPath,
    LogsInEmptyDir,
    LogsOnClaim,
    LogsOnHostPath,
)
from podrunner.errors import SpecError
from podrunner.workload.airflow_line import line_of_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.workload import Workload

__all__ = [
    "CONNECTION",
    "DAGS_VOLUME",
    "VERSIONED",
    "check_line",
    "is_template_all",
    "with_hidden_task",
    "worker_env",
    "worker_mounts",
    "worker_volumes",
]

CONNECTION = "AIRFLOW__CORE__SQL_ALCHEMY_CONN"
"""The variable of the database's connection string."""
TASK_WORKLOAD = "PODRUNNER_TASK_WORKLOAD"
"""The variable of a task's workload that is kept out of the pod."""
VERSIONED = "kubernetes_executor"
"""The label of workers of Airflow 2 and 3. They bear Airflow's version too."""
DAGS_VOLUME = "airflow-dags"
_LOGS_VOLUME = "airflow-logs"
_CONFIG_VOLUME = "airflow-config"
_LOCAL_SETTINGS_VOLUME = "airflow-local-settings"


def is_template_all(airflow: AirflowSettings | None, template: Mapping[str, Any] | None) -> bool:
    """Whether the template is the whole of a worker's pod; in Airflow 2 and 3 a missing one counts as an empty one."""
    return airflow is not None and (template is not None or airflow.line in {AirflowLine.V2, AirflowLine.V3})


def check_line(airflow: AirflowSettings | None, workload: Workload) -> None:
    """Refuse a workload that starts a worker of another line of Airflow than the configuration's.

    Raises:
        SpecError: The image would not know the command.
    """
    line = airflow.line if airflow is not None else None
    if airflow is None or line is None:
        return
    form = _line_of(workload)
    if form in {None, line}:
        return
    problem = (
        f"starts a worker of Airflow {form}, and airflow.version is {airflow.version}: {_REMEDIES[line]}"
    )
    raise SpecError(f"{problem}, or correct airflow.version", field=_form_field(workload))


def _line_of(workload: Workload) -> AirflowLine | None:
    if workload.task_workload is not None:
        return AirflowLine.V3
    return line_of_words(workload.command or ()) or line_of_words(workload.args)


def _form_field(workload: Workload) -> str:
    if workload.task_workload is not None:
        return "Workload.task_workload"
    return "Workload.command" if workload.command else "Workload.args"


def with_hidden_task(airflow: AirflowSettings | None, workload: Workload) -> Workload:
    """Return a workload whose task's own workload is a credential, if the configuration wants that.

    The kubelet puts the variable's value into the arguments, where no reader of the pod sees it.
    """
    if airflow is None or workload.task_workload is None or not airflow.task_workload_in_secret:
        return workload
    return workload.model_copy(
        update={
            "credentials": {**workload.credentials, TASK_WORKLOAD: workload.task_workload},
            "task_workload": SecretStr(f"$({TASK_WORKLOAD})"),
        }
    )


_REMEDIES: Final = {
    AirflowLine.V1_10: "give Workload.airflow an execution_date and no run_id",
    AirflowLine.V2: "give Workload.airflow a run_id and no task_workload",
    AirflowLine.V3: "give Workload.airflow the task_workload that Airflow 3 hands to its executors",
}


def worker_env(airflow: AirflowSettings, *, template_all: bool = False) -> Env:
    """Return Airflow's own variables, without the connection string.

    Args:
        airflow: The settings.
        template_all: Leave out what is at its default: the template is the whole pod.
    """
    by_default = airflow.executor == AirflowSettings.model_fields["executor"].default
    variables = {} if template_all and by_default else {"AIRFLOW__CORE__EXECUTOR": airflow.executor}
    if airflow.configmap is not None:
        variables["AIRFLOW_HOME"] = airflow.home
        variables["AIRFLOW__CORE__DAGS_FOLDER"] = airflow.dags_folder
    if isinstance(airflow.dags, DagsFromGit):
        variables["AIRFLOW__CORE__DAGS_FOLDER"] = clone_folder(airflow.dags)
    return plain(variables)


def worker_volumes(airflow: AirflowSettings, *, template_all: bool = False) -> list[dict[str, Any]]:
    """Return the volumes of DAGs, logs, git and configuration; for ``template_all`` see ``worker_env``."""
    git = git_volumes(airflow.dags) if isinstance(airflow.dags, DagsFromGit) else []
    logs = [_logs_volume(airflow)] if _has_logs(airflow, template_all=template_all) else []
    return [*_dags_volume(airflow), *logs, *git, *_configmap_volumes(airflow)]


def _has_logs(airflow: AirflowSettings, *, template_all: bool) -> bool:
    return not (template_all and isinstance(airflow.logs, LogsInEmptyDir))


def _dags_volume(airflow: AirflowSettings) -> list[dict[str, Any]]:
    dags = airflow.dags
    if isinstance(dags, DagsFromClaim):
        return [_claim(DAGS_VOLUME, dags.claim)]
    if isinstance(dags, DagsFromHostPath):
        return [_host_path(DAGS_VOLUME, dags.path)]
    return [{"name": DAGS_VOLUME, "emptyDir": {}}] if isinstance(dags, DagsFromGit) else []


def _logs_volume(airflow: AirflowSettings) -> dict[str, Any]:
    if isinstance(airflow.logs, LogsOnClaim):
        return _claim(_LOGS_VOLUME, airflow.logs.claim)
    if isinstance(airflow.logs, LogsOnHostPath):
        return _host_path(_LOGS_VOLUME, airflow.logs.path)
    return {"name": _LOGS_VOLUME, "emptyDir": {}}


def _configmap_volumes(airflow: AirflowSettings) -> list[dict[str, Any]]:
    volumes = []
    if airflow.configmap is not None:
        volumes.append(_configmap(_CONFIG_VOLUME, airflow.configmap))
    if airflow.local_settings_configmap not in {None, airflow.configmap}:
        volumes.append(_configmap(_LOCAL_SETTINGS_VOLUME, str(airflow.local_settings_configmap)))
    return volumes


def _claim(name: str, claim: str) -> dict[str, Any]:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}


def _host_path(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": path, "type": ""}}


def _configmap(name: str, configmap: str) -> dict[str, Any]:
    return {"name": name, "configMap": {"name": configmap}}


def worker_mounts(airflow: AirflowSettings, *, template_all: bool = False) -> list[dict[str, Any]]:
    """Return the mounts of the main container; for ``template_all`` see ``worker_env``."""
    logs = [_logs_mount(airflow)] if _has_logs(airflow, template_all=template_all) else []
    return [*_dags_mount(airflow), *logs, *_configmap_mounts(airflow)]


def _dags_mount(airflow: AirflowSettings) -> list[dict[str, Any]]:
    dags = airflow.dags
    if isinstance(dags, DagsFromGit):
        return [{"name": DAGS_VOLUME, "mountPath": dags.mount_point, "readOnly": True}]
    if isinstance(dags, DagsFromClaim | DagsFromHostPath):
        folder = dags.mount_point or airflow.dags_folder
        return [_at({"name": DAGS_VOLUME, "mountPath": folder, "readOnly": True}, dags.subpath)]
    return []


def _logs_mount(airflow: AirflowSettings) -> dict[str, Any]:
    subpath = None if airflow.logs.kind == "empty-dir" else airflow.logs.subpath
    return _at({"name": _LOGS_VOLUME, "mountPath": airflow.base_log_folder}, subpath)


def _at(mount: dict[str, Any], subpath: str | None) -> dict[str, Any]:
    return {**mount, "subPath": subpath} if subpath else mount


def _configmap_mounts(airflow: AirflowSettings) -> list[dict[str, Any]]:
    home, mounts = airflow.home.rstrip("/"), []
    if airflow.configmap is not None:
        mounts.append(_file(_CONFIG_VOLUME, f"{home}/airflow.cfg", "airflow.cfg"))
    if airflow.local_settings_configmap is not None:
        shared = airflow.local_settings_configmap == airflow.configmap
        volume = _CONFIG_VOLUME if shared else _LOCAL_SETTINGS_VOLUME
        settings = "airflow_local_settings.py"
        mounts.append(_file(volume, f"{home}/config/{settings}", settings))
    return mounts


def _file(volume: str, path: str, key: str) -> dict[str, Any]:
    return {"name": volume, "mountPath": path, "subPath": key, "readOnly": True}
