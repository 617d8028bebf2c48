"""Which workload, with which key, a dispatch of Airflow 3 becomes; tasks are stand-ins."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from podrunner import WorkloadKey
from podrunner.integrations.airflow.launch import dispatch_id, key_of_pod, other_workload_of, workload_of

ID = "01a2b3c4-0000-7000-8000-000000000001"


@dataclass
class Task:
    """As much of an ``ExecuteTask`` as is read; ``map_index`` -1: it is not mapped."""

    map_index: int = -1
    external_executor_id: str | None = None
    token: str = "a.secret.token"
    ti: Any = field(init=False)

    def __post_init__(self) -> None:
        self.ti = SimpleNamespace(external_executor_id=self.external_executor_id, executor_config=None)

    def model_dump_json(self) -> str:
        said = {
            "id": ID,
            "dag_id": "etl",
            "task_id": "load",
            "run_id": "r1",
            "try_number": 2,
            "map_index": self.map_index,
        }
        bundle = {"name": "dags", "version": None}
        return json.dumps(
            {
                "type": "ExecuteTask",
                "ti": said,
                "token": self.token,
                "dag_rel_path": "etl.py",
                "bundle_info": bundle,
            }
        )


def made(task: Task) -> Any:
    return workload_of(task, dispatch=dispatch_id(task), version="3.3.2", owner="7")


def test_the_dispatch_that_the_scheduler_has_assigned_is_its_identity() -> None:
    assert dispatch_id(Task(external_executor_id="d1")) == "d1"


def test_without_one_two_tokens_are_two_dispatches() -> None:
    first, second = dispatch_id(Task()), dispatch_id(Task(token="another"))
    assert first != second
    assert first == dispatch_id(Task())
    assert "secret" not in first


def test_two_dispatches_of_one_try_are_two_workloads() -> None:
    first, second = made(Task(external_executor_id="d1")), made(Task(external_executor_id="d2"))
    assert first.key.attempt == second.key.attempt == 2
    assert first.key.identity != second.key.identity


def test_an_adopted_pod_says_which_task_it_runs() -> None:
    for map_index in (-1, 0, 3):
        assert key_of_pod(made(Task(map_index=map_index, external_executor_id="d1")).key) == {
            "dag_id": "etl",
            "task_id": "load",
            "run_id": "r1",
            "try_number": 2,
            "map_index": map_index,
        }


def test_a_pod_of_another_kind_is_no_task() -> None:
    assert key_of_pod(WorkloadKey({"kind": "executecallback", "dispatch": "d1"})) is None
    assert key_of_pod(WorkloadKey({"dag_id": "etl", "task_id": "load", "run_id": "r1"})) is None


def test_a_callback_has_the_same_command_as_a_task() -> None:
    callback = Task()
    workload = other_workload_of(callback, dispatch="d1")
    assert workload.args[-2:] == ("--json-string", callback.model_dump_json())
    assert key_of_pod(workload.key) is None
