"""The tests of dag_scheduler.py, by the fixtures of podrunner's pytest plugin: nothing is mocked.

Run them: ``pytest examples/test_dag_scheduler.py``. Needs podrunner[local] and pytest.
"""

from __future__ import annotations

from pathlib import Path

import podrunner
import pytest
from dag_scheduler import Scheduler, Task
from podrunner.testing.faults import FaultProxy
from podrunner.testing.ledger import Ledger
from podrunner.testing.pytest_plugin import ScriptLife

DAG = {"extract": Task(["true"]), "load": Task(["true"], after=["extract"])}


@pytest.fixture
def scheduler(podrunner_config: podrunner.RunnerConfig, tmp_path: Path) -> Scheduler:
    return Scheduler(DAG, podrunner_config, tmp_path / "ended.db")


def categories(scheduler: Scheduler, task: str) -> list[str]:
    """What became of each attempt of a task."""
    ends = [event for event in scheduler.taken if event.outcome and event.key.parts["task"] == task]
    return [str(event.outcome.category) for event in ends if event.outcome]


def test_a_task_runs_after_the_one_that_it_waits_for(
    scheduler: Scheduler, podrunner_script: ScriptLife, podrunner_ledger: Ledger
) -> None:
    podrunner_script("succeeded")
    assert scheduler.run() == {"extract": "succeeded", "load": "succeeded"}
    created = [event.key.parts["task"] for event in scheduler.taken if event.kind == "created"]
    assert created == ["extract", "load"]
    podrunner_ledger.assert_promises_kept(scheduler.taken)


@pytest.mark.parametrize(("life", "category"), [("oom", "oom-killed"), ("exit 3", "failed")])
def test_a_task_that_fails_twice_is_given_up(
    scheduler: Scheduler, podrunner_script: ScriptLife, podrunner_ledger: Ledger, life: str, category: str
) -> None:
    podrunner_script(life, {"task": "extract"})
    assert scheduler.run() == {"extract": "failed", "load": "skipped"}
    assert categories(scheduler, "extract") == [category, category]
    podrunner_ledger.assert_promises_kept(scheduler.taken)


@pytest.mark.parametrize("life", ["node-lost", "unschedulable"])
def test_what_the_infrastructure_did_is_not_charged(
    scheduler: Scheduler, podrunner_script: ScriptLife, podrunner_ledger: Ledger, life: str
) -> None:
    podrunner_script("succeeded")
    podrunner_script("exit 1", {"task": "extract"}, attempt=2)
    podrunner_script(life, {"task": "extract"}, attempt=1)
    assert scheduler.run() == {"extract": "succeeded", "load": "succeeded"}
    assert categories(scheduler, "extract")[1:] == ["failed", "succeeded"]
    podrunner_ledger.assert_promises_kept(scheduler.taken)


def test_a_lost_answer_makes_no_second_pod(
    scheduler: Scheduler, podrunner_faults: FaultProxy, podrunner_ledger: Ledger
) -> None:
    podrunner_faults.on("POST", "pods").lose_reply(times=2)
    assert scheduler.run() == {"extract": "succeeded", "load": "succeeded"}
    podrunner_ledger.assert_promises_kept(scheduler.taken)


def test_a_restarted_scheduler_runs_nothing_twice(
    scheduler: Scheduler, podrunner_script: ScriptLife, podrunner_ledger: Ledger
) -> None:
    podrunner_script("succeeded")
    scheduler.run()
    again = Scheduler(DAG, scheduler.config, scheduler.file)
    assert again.run() == {"extract": "succeeded", "load": "succeeded"}
    assert podrunner_ledger.created == 2
    podrunner_ledger.assert_promises_kept([*scheduler.taken, *again.taken])
