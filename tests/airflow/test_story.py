"""The short story: a DAG is triggered, its tasks run in pods, their logs are read, and no pod is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installation import Installation


def test_every_task_runs_in_a_pod_of_its_own(airflow: Installation) -> None:
    run = airflow.trigger("story")
    assert airflow.wait_run("story", run) == "success"
    tasks = airflow.task_instances("story", run)
    assert {ti["state"] for ti in tasks} == {"success"}
    tries = {ti["task_id"]: ti["try_number"] for ti in tasks}
    assert tries == {"bash": 1, "numbers": 1, "double": 1, "flaky": 2, "later": 1}
    assert all(ti["hostname"].startswith(f"story-{ti['task_id']}") for ti in tasks)
    for ti in tasks:
        for try_number in range(1, ti["try_number"] + 1):
            assert airflow.log("story", run, ti, try_number), ti
