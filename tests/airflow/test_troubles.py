"""What a task loses when its worker or its scheduler is killed: nothing but the try that was at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installation import Installation


def test_a_killed_supervisor_has_its_cause_in_the_event_log_and_the_task_is_retried(
    airflow: Installation,
) -> None:
    run = airflow.trigger("killed")
    assert airflow.wait_run("killed", run) == "success"
    (ti,) = airflow.task_instances("killed", run)
    assert ti["try_number"] == 2
    causes = [row["extra"] for row in airflow.events("killed", run) if row["event"] == "pod failed"]
    assert len(causes) == 1
    assert "137" in causes[0] or "SIGKILL" in causes[0], causes
    assert causes[0].splitlines()[0] in airflow.output("scheduler")


def test_tasks_outlive_a_killed_scheduler(airflow: Installation) -> None:
    """They run for longer than Airflow takes to declare the scheduler dead: not adopted, each would run again."""
    run = airflow.trigger("outlive")
    airflow.wait_states("outlive", run, {"long": {"running"}})
    airflow.kill("scheduler")
    airflow.start("scheduler")
    assert airflow.wait_run("outlive", run) == "success"
    assert [ti["try_number"] for ti in airflow.task_instances("outlive", run)] == [1, 1, 1]
    ran = [(airflow.home / f"outlive-{number}").read_text() for number in range(3)]
    assert ran == ["1\n"] * 3
