"""The parts of an Airflow worker's pod, as in Airflow 1.10: variables, volumes and their mounts."""

from __future__ import annotations

from typing import Any

from podrunner.builder.env import Env, plain
from podrunner.builder.git_sync import clone_folder, git_volumes
from podrunner.config import (
    AirflowSettings,
    DagsFromClaim,
    DagsFromGit,
    DagsFromHostPath,
    LogsOnClaim,
    LogsOnHostPath,
)

__all__ = ["CONNECTION", "DAGS_VOLUME", "worker_env", "worker_mounts", "worker_volumes"]

CONNECTION = "AIRFLOW__CORE__SQL_ALCHEMY_CONN"
"""The variable of the database's connection string."""
DAGS_VOLUME = "airflow-dags"
_LOGS_VOLUME = "airflow-logs"
_CONFIG_VOLUME = "airflow-config"
_LOCAL_SETTINGS_VOLUME = "airflow-local-settings"


def worker_env(airflow: AirflowSettings) -> Env:
    """Return Airflow's own variables, without the connection string."""
    variables = {"AIRFLOW__CORE__EXECUTOR": airflow.executor}
    if airflow.configmap is not None:
        variables["AIRFLOW_HOME"] = airflow.home
        variables["AIRFLOW__CORE__DAGS_FOLDER"] = airflow.dags_folder
    if isinstance(airflow.dags, DagsFromGit):
        variables["AIRFLOW__CORE__DAGS_FOLDER"] = clone_folder(airflow.dags)
    return plain(variables)


def worker_volumes(airflow: AirflowSettings) -> list[dict[str, Any]]:
    """Return the volumes of DAGs, logs, git and configuration."""
    git = git_volumes(airflow.dags) if isinstance(airflow.dags, DagsFromGit) else []
    return [*_dags_volume(airflow), _logs_volume(airflow), *git, *_configmap_volumes(airflow)]


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


def worker_mounts(airflow: AirflowSettings) -> list[dict[str, Any]]:
    """Return the mounts of the main container."""
    return [*_dags_mount(airflow), _logs_mount(airflow), *_configmap_mounts(airflow)]


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
