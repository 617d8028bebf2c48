"""The tests of flow.py, by the fixtures of podrunner's pytest plugin. Needs podrunner[local] and pytest."""

from __future__ import annotations

import podrunner
from flow import Task, run_flow
from podrunner.testing.ledger import Ledger
from podrunner.testing.pytest_plugin import ScriptLife

FLOW = {
    "extract": Task("true"),
    "load": Task("echo loading; exit 2", after=("extract",)),
    "report": Task("true", after=("load",)),
}


def test_what_waits_for_a_failed_task_does_not_begin(podrunner_config: podrunner.RunnerConfig) -> None:
    outcomes = run_flow(podrunner_config, "nightly", FLOW)
    assert list(outcomes) == ["extract", "load"]
    assert (outcomes["load"].exit_code, outcomes["load"].log_tail) == (2, ("loading",))


def test_a_task_that_is_out_of_memory_is_the_users_fault(
    podrunner_config: podrunner.RunnerConfig, podrunner_script: ScriptLife
) -> None:
    podrunner_script("oom", {"task": "extract"})
    (outcome,) = run_flow(podrunner_config, "nightly", FLOW).values()
    assert (outcome.category, outcome.fault) == ("oom-killed", "workload")


def test_a_task_that_is_preempted_is_not_the_users_fault(
    podrunner_config: podrunner.RunnerConfig, podrunner_script: ScriptLife, podrunner_ledger: Ledger
) -> None:
    podrunner_script("preempted", {"task": "extract"}, running_s=0.1)
    (outcome,) = run_flow(podrunner_config, "nightly", FLOW).values()
    assert (outcome.category, outcome.fault) == ("preempted", "infrastructure")
    podrunner_ledger.assert_nothing_left()
