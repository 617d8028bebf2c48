"""The executor for a laptop: a LocalCluster of the scheduler's own, and no setting but the executor's name.

It stands before the other files by its name: its Airflow has ended when theirs begins.
"""

from __future__ import annotations

import pytest
from installation import Installation


def test_one_setting_runs_each_task_in_a_local_pod(tmp_path_factory: pytest.TempPathFactory) -> None:
    laptop = Installation(
        tmp_path_factory.mktemp("laptop"), executor="podrunner.integrations.airflow.LocalPodRunnerExecutor"
    )
    laptop.migrate()
    laptop.start("api-server", "scheduler", "dag-processor")
    try:
        laptop.wait_ready("story")
        run = laptop.trigger("story")
        assert laptop.wait_run("story", run) == "success"
        tasks = laptop.task_instances("story", run)
        assert all(ti["hostname"].startswith(f"story-{ti['task_id']}") for ti in tasks)
        (bash,) = [ti for ti in tasks if ti["task_id"] == "bash"]
        assert any("hello from story-bash" in line for line in laptop.log("story", run, bash, 1))
    finally:
        laptop.stop()
