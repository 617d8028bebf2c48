"""What Airflow's page shows of the log of a task that runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from podrunner import LogDocument, RunnerConfig, Workload, pod_name
from podrunner.errors import ConfigError, LogError
from podrunner.integrations.airflow.launch import workload_of
from podrunner.integrations.airflow.task_log import LINES, TIMEOUT_S, pod_of_task, shown_log
from tests.unit.integrations.test_airflow_launch import Task

CONFIG = RunnerConfig(image="i", namespace="airflow")
HEADER = "*** Reading the log of pod airflow/etl-load-1 from the API server"


def instance(**changes: Any) -> Any:
    """As much of Airflow's task instance as is read."""
    task = {"dag_id": "etl", "task_id": "load", "run_id": "r1", "map_index": -1}
    return SimpleNamespace(**{**task, "external_executor_id": "d1", "executor_config": None, **changes})


class Reads:
    """Reads a log; notes how it was asked."""

    def __init__(self, *lines: str, error: Exception | None = None) -> None:
        self.lines = lines
        self.error = error
        self.asked: list[tuple[Any, ...]] = []

    def __call__(self, config: RunnerConfig, pods: list[Workload], **limits: Any) -> LogDocument:
        self.asked.append((config, pods, limits))
        if self.error is not None:
            raise self.error
        return LogDocument("pod", HEADER, self.lines)


def shown(
    read: Reads, ti: Any = None, *, file: Path = Path("/nowhere/attempt=2.log"), config: Any = None
) -> Any:
    return shown_log(ti or instance(), 2, config=config or (lambda: CONFIG), file=lambda *_: file, read=read)


@pytest.mark.parametrize("map_index", [-1, 0, 3])
def test_it_is_the_pod_of_the_dispatch(map_index: int) -> None:
    task = Task(map_index=map_index, external_executor_id="d1")
    launched = workload_of(task, dispatch="d1", version="3.3.2", owner="7")
    found = pod_of_task(instance(map_index=map_index), 2)
    assert pod_name(CONFIG, found) == pod_name(CONFIG, launched)
    assert found.key == launched.key


def test_an_override_moves_the_pod_for_the_reader_too() -> None:
    override = {"metadata": {"namespace": "theirs"}, "spec": {"containers": [{"name": "base", "image": "x"}]}}
    found = pod_of_task(instance(executor_config={"pod_override": override, "pod_template_file": "/gone"}), 2)
    assert found.pod_override["metadata"]["namespace"] == "theirs"
    assert found.pod_template is None


def test_the_lines_of_the_worker_are_shown_as_they_are() -> None:
    """Airflow's page reads the Task SDK's JSON lines itself, and other lines as text."""
    read = Reads('{"event": "started", "level": "info"}', "\x1b[31mred\x1b[0m text")
    messages, logs = shown(read)
    assert messages == [HEADER.removeprefix("*** ")]
    assert logs == ['{"event": "started", "level": "info"}\nred text']
    ((config, _, limits),) = read.asked
    assert (config, limits) == (CONFIG, {"tail": LINES, "timeout_s": TIMEOUT_S})


def test_what_is_left_out_is_said() -> None:
    messages, logs = shown(Reads(*["line"] * LINES))
    assert messages[1:] == [f"Only the last {LINES} lines are shown"]
    assert logs[0].count("\n") == LINES - 1


def test_with_a_shared_log_folder_no_line_is_shown_twice(tmp_path: Path) -> None:
    """The messages keep Airflow from asking a log server that no pod has."""
    (tmp_path / "attempt=2.log").touch()
    read = Reads("line")
    messages, logs = shown(read, file=tmp_path / "attempt=2.log")
    assert (len(messages), logs, read.asked) == (1, [""], [])
    assert str(tmp_path) in messages[0]


@pytest.mark.parametrize(
    "error", [LogError("no such pod"), TimeoutError("not read in 5 s"), OSError("no route"), KeyError("x")]
)
def test_an_error_is_one_message(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    assert shown(Reads(error=error)) == ([f"Reading the log of the pod failed: {error}"], [""])
    assert "is not read" in caplog.text


def test_a_malformed_configuration_is_one_message() -> None:
    def broken() -> RunnerConfig:
        raise ConfigError("no such option")

    messages, logs = shown(Reads("line"), config=broken)
    assert (messages, logs) == (["Reading the log of the pod failed: no such option"], [""])


def test_a_task_instance_without_a_dispatch_has_no_pod() -> None:
    messages, _ = shown(Reads("line"), instance(external_executor_id=None))
    assert "names no dispatch" in messages[0]


@pytest.mark.parametrize(("most", "followed"), [(0, 0), (2, 2), (1000, 10)])
def test_the_pods_that_followed_a_lost_one_are_looked_for_too(most: int, followed: int) -> None:
    """Each launch of a dispatch after its container may have started has a key of its own; the newest is shown."""
    read = Reads("line")
    retry = CONFIG.run_retry.model_copy(update={"infrastructure_retries": most})
    config = CONFIG.model_copy(update={"run_retry": retry})
    shown(read, config=lambda: config)
    ((_, pods, _),) = read.asked
    task = Task(external_executor_id="d1")
    launched = [
        workload_of(task, dispatch="d1", version="3.3.2", owner="7", again=again)
        for again in range(followed + 1)
    ]
    assert [pod.key for pod in pods] == [each.key for each in launched]
    assert [pod_name(config, pod) for pod in pods] == [pod_name(config, each) for each in launched]
