"""The demo image's `airflow`: just enough of Airflow 1.10's classes to load a DAG file. Not Airflow."""

from __future__ import annotations

from typing import Any

_open: list[DAG] = []


class DAG:
    """A named set of tasks; operators made inside its ``with`` block join it."""

    def __init__(self, dag_id: str, **_settings: Any) -> None:
        self.dag_id: str = dag_id
        self.tasks: dict[str, BaseOperator] = {}

    def __enter__(self) -> DAG:
        _open.append(self)
        return self

    def __exit__(self, *_error: object) -> None:
        _open.pop()


class BaseOperator:
    """A task of a DAG."""

    def __init__(self, *, task_id: str, dag: DAG | None = None, **_settings: Any) -> None:
        self.task_id: str = task_id
        self.dag: DAG = dag or _open[-1]
        self.dag.tasks[task_id] = self

    def execute(self) -> Any:
        """Do the task's work."""
        raise NotImplementedError(type(self).__name__)
