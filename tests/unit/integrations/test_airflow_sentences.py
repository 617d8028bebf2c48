"""How a failure is explained in Airflow's event log and in the scheduler's log."""

from __future__ import annotations

from podrunner import Category, Fault, Outcome
from podrunner.errors import SpecError
from podrunner.integrations.airflow.sentences import explained


def failed(*tail: str) -> Outcome:
    return Outcome(
        category=Category.FAILED,
        fault=Fault.WORKLOAD,
        started=True,
        retryable=False,
        exit_code=1,
        message="container base ended with exit code 1",
        log_tail=tail,
    )


def test_the_last_lines_of_the_log_are_part_of_it():
    """A worker that cannot import Airflow has no other log (apache/airflow issue 66795)."""
    said = explained(failed("Traceback", "ModuleNotFoundError: No module named 'airflow'"))
    assert said == (
        "failed (fault: workload): container base ended with exit code 1\n"
        "The last lines of its log:\nTraceback\nModuleNotFoundError: No module named 'airflow'"
    )


def test_without_a_log_and_for_errors_it_is_the_sentence_alone():
    assert explained(failed()) == "failed (fault: workload): container base ended with exit code 1"
    assert explained(SpecError("no image")) == "no image"


def test_a_long_log_is_shown_from_behind():
    said = explained(failed("a" * 10_000, "the cause"))
    assert len(said) < 4200
    assert said.endswith("the cause")


def test_no_token_is_shown():
    token = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiIwMWEyMjI2MSJ9.c2lnbmF0dXJl"
    said = explained(failed(f"workload ExecuteTask(token='{token}')"))
    assert token not in said
    assert "ExecuteTask(token='***')" in said
