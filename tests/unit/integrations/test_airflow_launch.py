"""Which workload, with which key, a dispatch of Airflow 3 becomes; tasks are stand-ins."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from podrunner import RunnerConfig, WorkloadKey, build_pod
from podrunner.integrations.airflow.launch import (
    dispatch_id,
    key_of_pod,
    other_key_of_pod,
    other_workload_of,
    workload_of,
)

ID = "01a2b3c4-0000-7000-8000-000000000001"
TOKEN = "a.secret.token"
LOG_PATH = f"executor_callbacks/etl/r1/{ID}"
CONFIG = RunnerConfig(image="airflow", airflow={"version": "3.3.2"})


@dataclass
class Task:
    """As much of an ``ExecuteTask`` as is read; ``map_index`` -1: it is not mapped."""

    map_index: int = -1
    external_executor_id: str | None = None
    token: str = TOKEN
    executor_config: Any = None
    ti: Any = field(init=False)

    def __post_init__(self) -> None:
        self.ti = SimpleNamespace(
            external_executor_id=self.external_executor_id, executor_config=self.executor_config
        )

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


@dataclass
class ExecuteCallback:
    """As much of Airflow's class as is read."""

    key: Any = ID
    token: str = TOKEN
    log_path: str = LOG_PATH

    @property
    def callback(self) -> Any:
        return SimpleNamespace(data={"dag_id": "etl", "path": "late.notify"})

    @property
    def said(self) -> Any:
        return {
            "type": "ExecuteCallback",
            "callback": {"id": str(self.key), "fetch_method": "import_path", "data": {"path": "late.notify"}},
            "token": self.token,
            "dag_rel_path": "etl.py",
            "bundle_info": {"name": "dags", "version": None},
            "log_path": self.log_path,
        }

    def model_dump_json(self) -> str:
        return json.dumps(self.said)


@dataclass
class TestOfConnection:
    """As much of Airflow's ``TestConnection`` as is read."""

    __test__ = False
    key: Any = ID
    token: str = TOKEN

    def model_dump_json(self) -> str:
        said = {
            "type": "TestConnection",
            "connection_test_id": str(self.key),
            "connection_id": "db",
            "timeout": 60,
        }
        return json.dumps({**said, "token": self.token, "queue": None})


TestOfConnection.__name__ = "TestConnection"


def made(task: Task, **beside: Any) -> Any:
    return workload_of(task, dispatch=dispatch_id(task), version="3.3.2", owner="7", **beside)


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
    workload = other_workload_of(ExecuteCallback(), dispatch="d1")
    (container,) = build_pod(CONFIG, workload)["spec"]["containers"]
    (task,) = build_pod(CONFIG, made(Task()))["spec"]["containers"]
    assert container["args"][:-1] == task["args"][:-1]
    assert json.loads(container["args"][-1]) == ExecuteCallback().said


def test_a_callbacks_pod_bears_its_dags_name_and_a_connection_tests_none() -> None:
    callback, test = (
        build_pod(CONFIG, other_workload_of(item, dispatch="d1"))["metadata"]
        for item in (ExecuteCallback(), TestOfConnection())
    )
    assert (callback["labels"]["dag_id"], callback["annotations"]["dag_id"]) == ("etl", "etl")
    assert "dag_id" not in test["labels"]


def test_a_callback_collects_its_log_where_airflow_has_it() -> None:
    assert other_workload_of(ExecuteCallback(), dispatch="d1").relative_log_path == LOG_PATH
    assert "d1" in other_workload_of(TestOfConnection(), dispatch="d1").relative_log_path


@pytest.mark.parametrize("kind", ["ExecuteCallback", "TestConnection"])
def test_an_adopted_pod_says_which_callback_or_connection_test_it_runs(kind: str) -> None:
    item = ExecuteCallback() if kind == "ExecuteCallback" else TestOfConnection()
    key = other_workload_of(item, dispatch="d1").key
    assert (other_key_of_pod(key), key_of_pod(key)) == ((kind, ID), None)


@pytest.mark.parametrize(
    "parts",
    [{"dag_id": "etl", "task_id": "load", "run_id": "r1", "dispatch": "d"}, {"kind": "ExecuteCallback"}],
)
def test_other_pods_run_neither(parts: dict[str, str]) -> None:
    assert other_key_of_pod(WorkloadKey(parts)) is None


@pytest.mark.parametrize("item", [ExecuteCallback(), TestOfConnection()], ids=["callback", "connection test"])
def test_the_token_of_a_callback_can_be_kept_out_of_the_pod(item: Any) -> None:
    """As a task's: readers of pods need not be readers of Secrets."""
    hidden = CONFIG.with_changes(airflow={"version": "3.3.2", "task_workload_in_secret": True})
    workload = other_workload_of(item, dispatch="d1")
    assert TOKEN not in repr(workload)
    assert TOKEN in json.dumps(build_pod(CONFIG, workload))
    assert TOKEN not in json.dumps(build_pod(hidden, workload))


def test_a_coordinators_template_and_image_make_the_pod(tmp_path: Path) -> None:
    template = tmp_path / "java.yaml"
    template.write_text("metadata: {labels: {runs: java}}\nspec: {containers: [{name: base}]}\n")
    extra = {
        "pod_template_file": str(template),
        "worker_container_repository": "java",
        "worker_container_tag": "11",
    }
    pod = build_pod(CONFIG, made(Task(), extra=extra))
    assert pod["metadata"]["labels"]["runs"] == "java"
    assert pod["spec"]["containers"][0]["image"] == "java:11"


def test_the_image_of_a_pod_override_wins_over_the_coordinators() -> None:
    override = {"spec": {"containers": [{"name": "base", "image": "mine"}]}}
    extra = {"worker_container_repository": "java", "worker_container_tag": "11"}
    task = Task(executor_config={"pod_override": override})
    assert build_pod(CONFIG, made(task, extra=extra))["spec"]["containers"][0]["image"] == "mine"


def test_pods_bear_what_the_commands_of_airflows_provider_look_for() -> None:
    """``airflow kubernetes cleanup-pods`` selects pods that have these four labels."""
    labels = build_pod(CONFIG, made(Task(map_index=3)))["metadata"]["labels"]
    assert {"dag_id", "task_id", "try_number", "airflow_version"} <= labels.keys()
