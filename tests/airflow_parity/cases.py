"""A case: what a user of Airflow has (``airflow.cfg``, a template, a task), for both builders of its pod.

What belongs here: the case itself, the form in which the provider's program gets it, and the options that most cases
share. The cases are in ``named.py`` and ``drawn.py``.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import yaml

__all__ = ["LINES", "VERSION", "Case", "Task", "as_yaml", "cfg"]

LINES = ("2.11.2", "3.3.2")
"""The versions of Airflow that are compared, each with the provider 10.25.0."""

VERSION = "@VERSION@"
"""In the text of a case: the version of the line."""

CFG, TEMPLATE, TASK_TEMPLATE = "airflow.cfg", "pod_template.yaml", "task_template.yaml"


def cfg(*, template: bool = True, **options: str) -> str:
    """Return an ``airflow.cfg`` with the options of ``[kubernetes_executor]`` that the chart writes, and others."""
    written = {
        "namespace": "airflow",
        "worker_container_repository": "apache/airflow",
        "worker_container_tag": VERSION,
        **({"pod_template_file": TEMPLATE} if template else {}),
        **options,
    }
    lines = [f"{name} = {value}" for name, value in written.items()]
    return "\n".join(["[core]", "executor = KubernetesExecutor", "", "[kubernetes_executor]", *lines, ""])


@dataclasses.dataclass(frozen=True)
class Task:
    """One try of a task, as the scheduler knows it."""

    dag_id: str = "etl"
    task_id: str = "load"
    run_id: str = "scheduled__2025-03-01T00:00:00+00:00"
    try_number: int = 1
    map_index: int = -1
    pool: str = "default_pool"
    dag_file: str | None = "/opt/airflow/dags/etl.py"

    @property
    def workload(self) -> str:
        """What the scheduler of Airflow 3.3 hands to its executor: ``ExecuteTask.model_dump_json()``."""
        ti = {
            "id": "0195f0e7-2b2d-7b3e-9a55-5d2f1c1b7a10",
            "task_id": self.task_id,
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "try_number": self.try_number,
            "dag_version_id": "0195f0e7-2b2d-7b3e-9a55-5d2f1c1b7a11",
            "map_index": self.map_index,
            "hostname": None,
            "context_carrier": None,
            "queue": "default",
            "pool_slots": 1,
            "priority_weight": 1,
        }
        folder = f"dag_id={self.dag_id}/run_id={self.run_id}/task_id={self.task_id}"
        workload = {
            "token": "a.b.c",
            "dag_rel_path": self.dag_file or "etl.py",
            "bundle_info": {"name": "dags-folder", "version": None},
            "log_path": f"{folder}/attempt={self.try_number}.log",
            "ti": ti,
            "sentry_integration": "",
            "type": "ExecuteTask",
        }
        return json.dumps(workload, ensure_ascii=False, separators=(",", ":"))


@dataclasses.dataclass(frozen=True)
class Case:
    """The inputs of one pod.

    Attributes:
        name: A name for reports.
        task: The task.
        cfg: The text of ``airflow.cfg``.
        template: The text of ``pod_template.yaml``; None: there is no such file.
        pod_override: The task's ``pod_override``, as a manifest; None: the task has none.
        task_template: The text of the ``pod_template_file`` that the task itself names; None: it names none.
        scheduler_job_id: The label ``airflow-worker``.
    """

    name: str
    task: Task = Task()
    cfg: str = dataclasses.field(default_factory=cfg)
    template: str | None = None
    pod_override: dict[str, Any] | None = None
    task_template: str | None = None
    scheduler_job_id: str = "7"

    def files(self, line: str) -> dict[str, str]:
        """Return the files by name, for a folder of their own."""
        given = {CFG: self.cfg, TEMPLATE: self.template, TASK_TEMPLATE: self.task_template}
        return {name: text.replace(VERSION, line) for name, text in given.items() if text is not None}

    def override(self, line: str) -> dict[str, Any] | None:
        """Return the task's ``pod_override``."""
        if self.pod_override is None:
            return None
        override: dict[str, Any] = json.loads(json.dumps(self.pod_override).replace(VERSION, line))
        return override

    def as_request(self, line: str) -> dict[str, Any]:
        """Return the case in the form that the program ``provider.py`` reads."""
        return {
            "files": self.files(line),
            "task": dataclasses.asdict(self.task),
            "workload": self.task.workload,
            "pod_override": self.override(line),
            "task_template": TASK_TEMPLATE if self.task_template is not None else None,
            "scheduler_job_id": self.scheduler_job_id,
        }


def as_yaml(pod: dict[str, Any]) -> str:
    """Return a manifest as the text of a template."""
    return yaml.safe_dump(pod, sort_keys=False, allow_unicode=True)
