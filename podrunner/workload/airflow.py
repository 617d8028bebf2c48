"""One try of an Airflow task as a workload: command, labels and log path as in Airflow 1.10 and 2.x.

Sources: ``airflow/executors/kubernetes_executor.py`` and ``airflow/contrib/kubernetes/`` of 1.10,
``PodGenerator`` of 2.x.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from podrunner.errors import SpecError
from podrunner.workload.executor_config import settings_of
from podrunner.workload.log_path import path_component
from podrunner.workload.validation import CheckedModel

__all__ = ["AirflowTask", "from_airflow"]


def _as_iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


class AirflowTask(CheckedModel):
    """The arguments of ``Workload.airflow``; they are described there."""

    dag_id: Annotated[str, Field(min_length=1)]
    task_id: Annotated[str, Field(min_length=1)]
    execution_date: Annotated[str, BeforeValidator(_as_iso)] | None = None
    run_id: str | None = None
    try_number: Annotated[int, Field(ge=1)] = 1
    map_index: Annotated[int, Field(ge=-1)] = -1
    pool: str = "default_pool"
    dag_file: str | None = None
    airflow_version: str | None = None
    executor_config: Mapping[str, Any] = Field(default_factory=dict)
    worker_uuid: str | None = None
    extra_args: tuple[str, ...] = ()
    result_path: str | None = None


def from_airflow(task: AirflowTask) -> dict[str, Any]:
    """Return the attributes of the workload that runs a task.

    Raises:
        SpecError: Neither date nor run is given, or ``executor_config`` has an unknown setting.
    """
    settings = settings_of(task.executor_config)
    attributes = _form_1_10(task) if _is_1_10(task) else _form_2(task)
    annotations = {**settings.get("identity_annotations", {}), **attributes.get("identity_annotations", {})}
    return {
        **settings,
        **attributes,
        "key": {"parts": _key_parts(task), "attempt": task.try_number},
        "identity_annotations": annotations,
        "result_path": task.result_path,
    }


def _is_1_10(task: AirflowTask) -> bool:
    if task.execution_date is None and task.run_id is None:
        raise SpecError("needs execution_date (1.10) or run_id (2.x)", field="Workload.airflow")
    if task.airflow_version is None:
        return task.run_id is None
    if task.airflow_version.startswith("1.") and task.execution_date is None:
        problem = "Airflow 1.10 names a run by its execution_date, which is missing"
        raise SpecError(problem, field="Workload.airflow.execution_date")
    return task.airflow_version.startswith("1.")


def _key_parts(task: AirflowTask) -> dict[str, str]:
    parts = {"dag_id": task.dag_id, "task_id": task.task_id}
    if _is_1_10(task) or task.run_id is None:
        parts["execution_date"] = task.execution_date or ""
    else:
        parts["run_id"] = task.run_id
    if task.map_index >= 0:
        parts["map_index"] = str(task.map_index)
    return parts


def _form_1_10(task: AirflowTask) -> dict[str, Any]:
    date = task.execution_date or ""
    command = ["airflow", "run", task.dag_id, task.task_id, date, "--local", "--pool", task.pool]
    if task.dag_file is not None:
        command += ["-sd", task.dag_file]
    folders = [path_component(part) for part in (task.dag_id, task.task_id, date)]
    return {
        "name": _alphanumerics(task.dag_id + task.task_id),
        "command": [*command, *task.extra_args],
        "identity_labels": _identity_labels(task),
        "log_path": "/".join([*folders, f"{task.try_number}.log"]),
    }


def _alphanumerics(text: str) -> str:
    """Return the letters and digits in lower case; the builder drops those beyond ASCII, which Airflow 1.10 kept."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _form_2(task: AirflowTask) -> dict[str, Any]:
    run = task.run_id if task.run_id is not None else task.execution_date or ""
    command = ["airflow", "tasks", "run", task.dag_id, task.task_id, run, "--local", "--pool", task.pool]
    if task.dag_file is not None:
        command += ["--subdir", task.dag_file]
    if task.map_index >= 0:
        command += ["--map-index", str(task.map_index)]
    return {
        "name": f"{task.dag_id}-{task.task_id}",
        "command": [*command, *task.extra_args],
        "env": {"AIRFLOW_IS_K8S_EXECUTOR_POD": "True"},
        "identity_labels": {**_identity_labels(task), **_labels_2(task)},
        "identity_annotations": _annotations_2(task),
        "log_path": _log_path_2(task, run),
    }


def _identity_labels(task: AirflowTask) -> dict[str, str]:
    labels = {"dag_id": task.dag_id, "task_id": task.task_id, "try_number": str(task.try_number)}
    if task.worker_uuid is not None:
        labels["airflow-worker"] = task.worker_uuid
    if task.execution_date is not None:
        labels["execution_date"] = task.execution_date.replace(":", "_").replace("+", "_plus_")
    return labels


def of_attempt(given: Mapping[str, str], attempt: int) -> dict[str, str]:
    """Return the labels or annotations of another try of a task."""
    return {**given, **({"try_number": str(attempt)} if "try_number" in given else {})}


def _labels_2(task: AirflowTask) -> dict[str, str]:
    labels = {"kubernetes_executor": "True"}
    if task.run_id is not None:
        labels["run_id"] = task.run_id
    if task.map_index >= 0:
        labels["map_index"] = str(task.map_index)
    if task.airflow_version is not None:
        labels["airflow_version"] = task.airflow_version.replace("+", "-")
    return labels


def _annotations_2(task: AirflowTask) -> dict[str, str]:
    """Return annotations with the exact values: a label may hold a shortened form."""
    exact = {
        "dag_id": task.dag_id,
        "task_id": task.task_id,
        "run_id": task.run_id,
        "execution_date": task.execution_date,
        "map_index": str(task.map_index) if task.map_index >= 0 else None,
        "try_number": str(task.try_number),
    }
    return {name: value for name, value in exact.items() if value is not None}


def _log_path_2(task: AirflowTask, run: str) -> str:
    parts = [("dag_id", task.dag_id), ("run_id", run), ("task_id", task.task_id)]
    if task.map_index >= 0:
        parts.append(("map_index", str(task.map_index)))
    folders = [f"{name}={path_component(value)}" for name, value in parts]
    return "/".join([*folders, f"attempt={task.try_number}.log"])
