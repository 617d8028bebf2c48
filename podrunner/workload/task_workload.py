"""A workload as Airflow 3 hands it to an executor: JSON for the Task SDK in the worker.

Most are a task's (``ExecuteTask``); those of callbacks and connection tests are started in the same way.

What belongs here: reading it, as far as podrunner needs it. It holds the task's token, which gives access to Airflow's
API: no error and no representation shows any part of it but the task's identity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podrunner.errors import SpecError
from podrunner.redaction import shown_value, syntax_problem

__all__ = ["TaskWorkload", "check_sdk_workload", "said_in", "task_workload_of"]

_PLACE = "Workload.airflow.task_workload"
_SAID = ("ti.id", "dag_rel_path", "bundle_info")
_WITHOUT_TASK = {"ExecuteCallback": ("callback",), "TestConnection": ("connection_test_id", "connection_id")}
"""Kinds of workloads that run no task, and what says what they run."""


@dataclass(frozen=True, slots=True)
class TaskWorkload:
    """A task's workload; the attributes but the first are what podrunner reads in it.

    Attributes:
        text: The whole, as JSON.
        dag_id: The DAG.
        task_id: The task.
        run_id: The run.
        try_number: Which try, from 1.
        map_index: Index of a mapped task; -1: it is not mapped.
        log_path: Airflow's path of the log, or None.
        executor_config: The task's own settings, which the JSON does not hold: those of Airflow's model.
    """

    text: str = field(repr=False)
    dag_id: str
    task_id: str
    run_id: str
    try_number: int
    map_index: int
    log_path: str | None = None
    executor_config: Mapping[str, Any] | None = field(default=None, repr=False)


def task_workload_of(value: Any) -> TaskWorkload:
    """Read a task's workload.

    Args:
        value: JSON text, a mapping, or Airflow's model (anything that has ``model_dump_json``).

    Raises:
        SpecError: It is not JSON, or not the workload of a task.
    """
    if isinstance(value, TaskWorkload):
        return value
    text = _text(value)
    document = _parsed(text)
    task = document.get("ti")
    kind = document.get("type", "ExecuteTask")
    if kind != "ExecuteTask" or not isinstance(task, dict):
        problem = (
            "is no workload of a task: it has no 'ti'"
            if kind == "ExecuteTask"
            else "is no workload of a task"
        )
        raise SpecError(problem, field=_PLACE, value=None if kind == "ExecuteTask" else shown_value(kind))
    config = getattr(getattr(value, "ti", None), "executor_config", None)
    path = document.get("log_path")
    return TaskWorkload(
        text=text,
        dag_id=_text_in(task, "dag_id"),
        task_id=_text_in(task, "task_id"),
        run_id=_text_in(task, "run_id"),
        try_number=_number_in(task, "try_number", least=1),
        map_index=_number_in({"map_index": -1, **task}, "map_index", least=-1),
        log_path=path if isinstance(path, str) and path else None,
        executor_config=config if isinstance(config, Mapping) else None,
    )


def check_sdk_workload(text: str) -> None:
    """Refuse text that is no workload for the Task SDK: a task's, a callback's or a connection test's.

    Raises:
        SpecError: It is none.
    """
    if _parsed(text).get("type") not in _WITHOUT_TASK:
        task_workload_of(text)


def said_in(text: str) -> dict[str, Any]:
    """Return what a workload says about what is run: not its token, nor what changes with each dispatch."""
    document = _parsed(text)
    others = _WITHOUT_TASK.get(document.get("type", ""))
    if others is not None:
        return {name: document.get(name) for name in (*others, *_SAID[1:])}
    flat = {**document, "ti.id": document["ti"].get("id")}
    return {name: flat.get(name) for name in _SAID}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    dump = getattr(value, "model_dump_json", None)
    if callable(dump):
        return str(dump())
    if isinstance(value, Mapping):
        try:
            return json.dumps(value, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            raise SpecError("holds something that is no JSON", field=_PLACE) from None
    raise SpecError(
        "must be JSON text, a mapping or Airflow's ExecuteTask", field=_PLACE, value=type(value).__name__
    )


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(f"is not JSON: {syntax_problem(error)}", field=_PLACE) from None
    except RecursionError:
        raise SpecError("is not JSON: it is too deep", field=_PLACE) from None
    if not isinstance(document, dict):
        raise SpecError("is not a JSON object", field=_PLACE)
    return document


def _text_in(task: Mapping[str, Any], name: str) -> str:
    value = task.get(name)
    if not isinstance(value, str) or not value:
        raise SpecError("needs text", field=f"{_PLACE}.ti.{name}")
    return value


def _number_in(task: Mapping[str, Any], name: str, *, least: int) -> int:
    value = task.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SpecError(f"needs a whole number from {least}", field=f"{_PLACE}.ti.{name}")
    return value
