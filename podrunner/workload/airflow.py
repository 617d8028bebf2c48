"""One try of an Airflow task as a workload: command or arguments, labels and log path as in Airflow 1.10, 2.x and 3.x.

Sources: ``airflow/executors/kubernetes_executor.py`` and ``airflow/contrib/kubernetes/`` of 1.10; for 2.x and 3.x
``PodGenerator.construct_pod`` and ``workload_to_command_args`` of the Kubernetes provider, and
``TaskInstance.generate_command`` of 2.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from podrunner.errors import SpecError
from podrunner.workload.airflow_line import AirflowLine, line_of
from podrunner.workload.executor_config import settings_of
from podrunner.workload.log_path import path_component
from podrunner.workload.task_workload import TaskWorkload, task_workload_of
from podrunner.workload.validation import CheckedModel

__all__ = ["WORKER_MARK", "AirflowTask", "from_airflow", "of_attempt", "version_label"]

WORKER_MARK: Final = "AIRFLOW_IS_K8S_EXECUTOR_POD"
"""The variable by which Airflow 2 and 3 know that they run in a worker's pod; its value is ``True``."""
_PLACE = "Workload.airflow"
_DEFAULT_POOL = "default_pool"


def _as_iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _read(value: Any) -> Any:
    return None if value is None else task_workload_of(value)


class AirflowTask(CheckedModel):
    """The arguments of ``Workload.airflow``; they are described there."""

    dag_id: Annotated[str, Field(min_length=1)] | None = None
    task_id: Annotated[str, Field(min_length=1)] | None = None
    execution_date: Annotated[str, BeforeValidator(_as_iso)] | None = None
    run_id: str | None = None
    try_number: Annotated[int, Field(ge=1)] | None = None
    map_index: Annotated[int, Field(ge=-1)] | None = None
    pool: str | None = None
    dag_file: str | None = None
    airflow_version: str | None = None
    task_workload: Annotated[Any, BeforeValidator(_read)] = None
    executor_config: Mapping[str, Any] | None = None
    worker_uuid: str | None = None
    extra_args: tuple[str, ...] = ()
    result_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A task of which everything is known that has to be."""

    dag_id: str
    task_id: str
    execution_date: str | None
    run_id: str | None
    try_number: int
    map_index: int
    pool: str | None
    dag_file: str | None
    airflow_version: str | None
    task_workload: TaskWorkload | None
    worker_uuid: str | None
    extra_args: tuple[str, ...]


_FIELDS: Final = tuple(_Task.__dataclass_fields__)


def from_airflow(given: AirflowTask) -> dict[str, Any]:
    """Return the attributes of the workload that runs a task.

    Raises:
        SpecError: The task, its run, or the Task SDK's workload for Airflow 3 is missing; arguments contradict each
            other; or ``executor_config`` has an unknown setting.
    """
    task = _filled(given)
    line = _line(task)
    config = given.executor_config
    if config is None and task.task_workload is not None:
        config = task.task_workload.executor_config
    settings = settings_of(config or {})
    attributes = _FORMS[line](task)
    annotations = {**settings.get("identity_annotations", {}), **attributes.get("identity_annotations", {})}
    return {
        **settings,
        **attributes,
        "key": {"parts": _key_parts(task, line), "attempt": task.try_number},
        "identity_annotations": annotations,
        "result_path": given.result_path,
    }


def _filled(given: AirflowTask) -> _Task:
    """Return the task with what its workload for the Task SDK says, which must not contradict what is given."""
    said: TaskWorkload | None = given.task_workload
    values = {name: getattr(given, name) for name in _FIELDS}
    for name in ("dag_id", "task_id", "run_id", "try_number", "map_index"):
        known = getattr(said, name, None)
        if values[name] is None:
            values[name] = known if known is not None else _DEFAULTS.get(name)
        elif known is not None and values[name] != known:
            problem = f"is another one in task_workload: {known!r}"
            raise SpecError(problem, field=f"{_PLACE}.{name}", value=repr(values[name]))
    for name in ("dag_id", "task_id"):
        if values[name] is None:
            raise SpecError("is missing", field=f"{_PLACE}.{name}")
    return _Task(**values)


_DEFAULTS: Final = {"try_number": 1, "map_index": -1}


def _line(task: _Task) -> AirflowLine:
    """Return the line of Airflow that the task is for: the version's, else that of what names its run."""
    line = None if task.airflow_version is None else _line_of(task.airflow_version)
    if task.task_workload is not None:
        if line not in {None, AirflowLine.V3}:
            problem = "is for Airflow 3, and airflow_version is another one"
            raise SpecError(problem, field=f"{_PLACE}.task_workload", value=repr(task.airflow_version))
        return AirflowLine.V3
    if line is AirflowLine.V3:
        problem = (
            f"is missing: Airflow {task.airflow_version} starts a task by its workload for the Task SDK; pass the "
            "ExecuteTask that Airflow hands to its executors, or its JSON"
        )
        raise SpecError(problem, field=f"{_PLACE}.task_workload")
    if task.execution_date is None and task.run_id is None:
        problem = "needs execution_date (1.10), run_id (2.x) or task_workload (3.x)"
        raise SpecError(problem, field=_PLACE)
    if line is AirflowLine.V1_10 and task.execution_date is None:
        problem = "Airflow 1.10 names a run by its execution_date, which is missing"
        raise SpecError(problem, field=f"{_PLACE}.execution_date")
    return line or (AirflowLine.V1_10 if task.run_id is None else AirflowLine.V2)


def _line_of(version: str) -> AirflowLine:
    try:
        return line_of(version)
    except ValueError as error:
        problem = str(error).partition("; ")[2]
        raise SpecError(
            f"is no version of Airflow that podrunner knows; {problem[:1].lower()}{problem[1:]}",
            field=f"{_PLACE}.airflow_version",
            value=repr(version)[:80],
        ) from None


def _key_parts(task: _Task, line: AirflowLine) -> dict[str, str]:
    parts = {"dag_id": task.dag_id, "task_id": task.task_id}
    if line is AirflowLine.V1_10 or task.run_id is None:
        parts["execution_date"] = task.execution_date or ""
    else:
        parts["run_id"] = task.run_id
    if task.map_index >= 0:
        parts["map_index"] = str(task.map_index)
    return parts


def _form_1_10(task: _Task) -> dict[str, Any]:
    date = task.execution_date or ""
    command = [
        "airflow",
        "run",
        task.dag_id,
        task.task_id,
        date,
        "--local",
        "--pool",
        task.pool or _DEFAULT_POOL,
    ]
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


def _form_2(task: _Task) -> dict[str, Any]:
    """Return the form of 2.x: the command stands in the arguments, so that the image's entry point prepares it."""
    run = task.run_id if task.run_id is not None else task.execution_date or ""
    args = ["airflow", "tasks", "run", task.dag_id, task.task_id, run, "--local"]
    if task.pool is not None:
        args += ["--pool", task.pool]
    if task.dag_file is not None:
        args += ["--subdir", task.dag_file]
    if task.map_index >= 0:
        args += ["--map-index", str(task.map_index)]
    labels = {**_identity_labels(task), **_labels_2(task)}
    return {**_of_template(task, run, labels, date="execution_date"), "args": [*args, *task.extra_args]}


def _form_3(task: _Task) -> dict[str, Any]:
    workload = task.task_workload
    assert workload is not None
    labels = {**_identity_labels(task, date="logical_date"), **_labels_2(task)}
    attributes = _of_template(task, workload.run_id, labels, date="logical_date")
    return {
        **attributes,
        "task_workload": workload.text,
        "args": list(task.extra_args),
        "log_path": workload.log_path or attributes["log_path"],
    }


def _of_template(task: _Task, run: str, labels: dict[str, str], *, date: str) -> dict[str, Any]:
    """Return what 2.x and 3.x have in common: what ``construct_pod`` adds to the template."""
    return {
        "name": f"{task.dag_id}-{task.task_id}",
        "env": {WORKER_MARK: "True"},
        "identity_labels": labels,
        "identity_annotations": _annotations_2(task, date=date),
        "log_path": _log_path_2(task, run),
    }


_FORMS: Final = {AirflowLine.V1_10: _form_1_10, AirflowLine.V2: _form_2, AirflowLine.V3: _form_3}


def _identity_labels(task: _Task, *, date: str = "execution_date") -> dict[str, str]:
    labels = {"dag_id": task.dag_id, "task_id": task.task_id, "try_number": str(task.try_number)}
    if task.worker_uuid is not None:
        labels["airflow-worker"] = task.worker_uuid
    if task.execution_date is not None:
        labels[date] = task.execution_date.replace(":", "_").replace("+", "_plus_")
    return labels


def of_attempt(given: Mapping[str, str], attempt: int) -> dict[str, str]:
    """Return the labels or annotations of another try of a task."""
    return {**given, **({"try_number": str(attempt)} if "try_number" in given else {})}


def _labels_2(task: _Task) -> dict[str, str]:
    labels = {"kubernetes_executor": "True"}
    if task.run_id is not None:
        labels["run_id"] = task.run_id
    if task.map_index >= 0:
        labels["map_index"] = str(task.map_index)
    if task.airflow_version is not None:
        labels |= version_label(task.airflow_version)
    return labels


def version_label(version: str) -> dict[str, str]:
    """Return the label of an exact version; none for a line's mere name."""
    exact = version not in {line.value for line in AirflowLine}
    return {"airflow_version": version.replace("+", "-")} if exact else {}


def _annotations_2(task: _Task, *, date: str) -> dict[str, str]:
    """Return annotations with the exact values: a label may hold a shortened form."""
    exact = {
        "dag_id": task.dag_id,
        "task_id": task.task_id,
        "run_id": task.run_id,
        date: task.execution_date,
        "map_index": str(task.map_index) if task.map_index >= 0 else None,
        "try_number": str(task.try_number),
    }
    return {name: value for name, value in exact.items() if value is not None}


def _log_path_2(task: _Task, run: str) -> str:
    parts = [("dag_id", task.dag_id), ("run_id", run), ("task_id", task.task_id)]
    if task.map_index >= 0:
        parts.append(("map_index", str(task.map_index)))
    folders = [f"{name}={path_component(value)}" for name, value in parts]
    return "/".join([*folders, f"attempt={task.try_number}.log"])
