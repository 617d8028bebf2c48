"""An outcome raised as an error: what it says, and shows."""

from __future__ import annotations

import traceback

import pytest
from podrunner.errors import PodFailedError, PodrunnerError
from podrunner.outcome import Category, Fault, Outcome

SUCCESS = Outcome(category=Category.SUCCEEDED, fault=None, started=True, retryable=False)
KILLED = Outcome(
    category=Category.OOM_KILLED,
    fault=Fault.WORKLOAD,
    started=True,
    retryable=False,
    exit_code=137,
    message="container base was killed: out of memory",
    log_tail=("reading", "sorting"),
)


def test_a_success_gives_itself():
    assert SUCCESS.raise_for_failure() is SUCCESS


def test_a_failure_says_its_category_and_its_cause():
    with pytest.raises(PodFailedError) as raised:
        KILLED.raise_for_failure()
    error = raised.value
    assert str(error) == "oom-killed (fault: workload): container base was killed: out of memory"
    assert isinstance(error, PodrunnerError)
    assert (error.category, error.fault, error.exit_code) == (Category.OOM_KILLED, Fault.WORKLOAD, 137)
    assert (error.cause, error.started, error.retryable) == (KILLED.message, True, False)


def test_a_traceback_shows_the_last_lines_of_the_log():
    with pytest.raises(PodFailedError) as raised:
        KILLED.raise_for_failure()
    assert raised.value.log_tail == ("reading", "sorting")
    shown = "".join(traceback.format_exception(raised.value))
    assert shown.endswith("The last lines of its log:\nreading\nsorting\n")


@pytest.mark.parametrize("category", [it for it in Category if it is not Category.SUCCEEDED])
def test_every_category_but_one_is_a_failure(category: Category):
    """Without a cause, a fault and a log there is still a sentence."""
    outcome = Outcome(category=category, fault=None, started=False, retryable=True)
    with pytest.raises(PodFailedError, match=f"^{category}$"):
        outcome.raise_for_failure()
