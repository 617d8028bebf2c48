"""The how-to's four commands: Airflow on a laptop, each task in a pod of the scheduler's own LocalCluster.

A scheduler that is killed takes the LocalCluster and its pods with it.
It stands before the other files by its name: its Airflow has ended when theirs begins.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from laptop import Laptop, commands_of


@pytest.fixture
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    airflow = Laptop(tmp_path_factory.mktemp("laptop"))
    try:
        yield airflow
    finally:
        airflow.stop()


def test_four_commands_run_each_task_in_a_local_pod(laptop: Laptop) -> None:
    laptop.run(commands_of("### A process for each part"))
    laptop.wait_ready("story", "inspected")
    run = laptop.trigger("story")
    assert laptop.wait_run("story", run) == "success"
    tasks = laptop.task_instances("story", run)
    assert all(ti["hostname"].startswith(f"story-{ti['task_id']}") for ti in tasks)
    (bash,) = [ti for ti in tasks if ti["task_id"] == "bash"]
    assert any("hello from story-bash" in line for line in laptop.log("story", run, bash, 1))

    run = laptop.trigger("inspected")
    laptop.wait_states("inspected", run, {"waiting": {"running"}})
    assert laptop.processes("airflow supervisor")
    (scheduler,) = laptop.processes("airflow scheduler")
    os.kill(scheduler, signal.SIGKILL)
    laptop.wait_gone("podrunner/local/kubelet")
    laptop.wait_gone("airflow supervisor")
    laptop.wait_gone("airflow worker")
