"""Whether there is another try, which, and when: decided from the outcome and the pod's key alone."""

from __future__ import annotations

from random import Random

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st
from podrunner import Category, Fault, Outcome, RetryPolicy, RunRetrySettings, WorkloadKey
from podrunner.errors import UsageError
from podrunner.kube import Backoff
from podrunner.outcome.category import USUAL_FAULT
from podrunner.runner.retries import next_try, wait_before

FIRST = WorkloadKey({"n": "1"}, 2)
OUTCOMES = st.builds(
    lambda category, started, retryable: Outcome(
        category=category, fault=USUAL_FAULT[category], started=started, retryable=retryable
    ),
    st.sampled_from(Category),
    st.booleans(),
    st.booleans(),
)


def ended(category: Category, *, started: bool, retryable: bool = True) -> Outcome:
    return Outcome(category=category, fault=USUAL_FAULT[category], started=started, retryable=retryable)


PREEMPTED = ended(Category.PREEMPTED, started=False)
NODE_LOST = ended(Category.NODE_LOST, started=True)
FAILED = ended(Category.FAILED, started=True, retryable=False)


@pytest.mark.parametrize(
    ("outcome", "policy", "key", "following"),
    [
        (PREEMPTED, {}, FIRST, (2, 1)),
        (PREEMPTED, {}, WorkloadKey({"n": "1"}, 2, relaunch=2), (2, 3)),
        (PREEMPTED, {}, WorkloadKey({"n": "1"}, 2, relaunch=3), None),
        (PREEMPTED, {"attempts": 2}, WorkloadKey({"n": "1"}, 2, relaunch=3), (3, 0)),
        (PREEMPTED, {"infrastructure_retries": 0}, FIRST, None),
        (NODE_LOST, {}, FIRST, None),
        (NODE_LOST, {"attempts": 2}, FIRST, (3, 0)),
        (NODE_LOST, {"attempts": 2}, WorkloadKey({"n": "1"}, 2, relaunch=1), (3, 0)),
        (NODE_LOST, {"attempts": 2}, WorkloadKey({"n": "1"}, 3), None),
        (FAILED, {"attempts": 9}, FIRST, None),
        (FAILED, {"attempts": 2, "retry_if": lambda _: True}, FIRST, (3, 0)),
        (ended(Category.IMAGE, started=False, retryable=False), {"attempts": 9}, FIRST, None),
        (ended(Category.CANCELLED, started=False), {"attempts": 9, "retry_if": lambda _: True}, FIRST, None),
        (ended(Category.SUCCEEDED, started=True), {"attempts": 9, "retry_if": lambda _: True}, FIRST, None),
    ],
)
def test_what_ended_how_is_tried_again_as_what(outcome, policy, key, following):
    """P4: what came to nothing before the work began costs no attempt."""
    found = next_try(RetryPolicy(**policy), outcome, key=key, first=FIRST)
    assert (found and (found.attempt, found.relaunch)) == following


@given(OUTCOMES, st.integers(1, 4), st.integers(0, 4), st.booleans())
def test_every_run_comes_to_an_end(outcome, attempts, free, always):
    """The budgets bound the tries, whatever happens each time."""
    policy = RetryPolicy(attempts=attempts, infrastructure_retries=free, retry_if=lambda _: always)
    key, tries = FIRST, 1
    while (following := next_try(policy, outcome, key=key, first=FIRST)) is not None:
        assert following != key
        key, tries = following, tries + 1
    assert tries <= attempts * (free + 1)


def test_seconds_are_waited_as_they_are():
    assert wait_before(RetryPolicy(wait=7), PREEMPTED, tries=3, random=Random(1)) == 7


def test_the_default_waits_double_up_to_six_minutes():
    waits = [wait_before(RetryPolicy(), PREEMPTED, tries=tries, random=Random(1)) for tries in range(1, 12)]
    assert all(5 * 2**n <= wait <= 10 * 2**n for n, wait in enumerate(waits[:5]))
    assert all(180 <= wait <= 360 for wait in waits[6:])


def test_the_waits_of_tenacity_are_understood():
    policy = RetryPolicy(wait=tenacity.wait_exponential(multiplier=2) + tenacity.wait_fixed(1))
    assert [wait_before(policy, PREEMPTED, tries=n, random=Random(1)) for n in (1, 2, 3)] == [3, 5, 9]


def test_a_wait_of_ones_own_sees_the_outcome():
    def long_for_nodes(state: tenacity.RetryCallState) -> float:
        assert state.outcome is not None
        return 60.0 if state.outcome.result().category is Category.NODE_LOST else 1.0

    policy = RetryPolicy(wait=long_for_nodes)
    waits = [wait_before(policy, outcome, tries=1, random=Random(1)) for outcome in (NODE_LOST, PREEMPTED)]
    assert waits == [60.0, 1.0]


@pytest.mark.parametrize(("said", "waited"), [(-5.0, 0.0), (float("nan"), 360.0), (float("inf"), 360.0)])
def test_a_wait_that_makes_no_sense_is_none_or_the_longest(said, waited):
    """No hot loop, and no endless wait."""
    assert wait_before(RetryPolicy(wait=lambda _: said), FAILED, tries=1, random=Random(1)) == waited


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"infrastructure_retries": -1}, {"wait": -1}, {"wait": float("nan")}]
)
def test_budgets_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        RetryPolicy(**wrong)


def test_a_configuration_says_it_in_plain_data():
    policy = RetryPolicy.of(
        RunRetrySettings(attempts=3, infrastructure_retries=1, initial_s=2, max_s=8, jitter=0)
    )
    assert (policy.attempts, policy.infrastructure_retries) == (3, 1)
    assert policy.wait == Backoff(initial_s=2, max_s=8, jitter=0)
    assert policy.retry_if(NODE_LOST)
    assert not policy.retry_if(FAILED)


def test_whose_fault_it_was_decides_what_is_free():
    """The same end, by the configuration's fault, is not launched anew for free."""
    ours = Outcome(
        category=Category.REJECTED_BY_API, fault=Fault.CONFIGURATION, started=False, retryable=False
    )
    theirs = Outcome(
        category=Category.REJECTED_BY_API, fault=Fault.INFRASTRUCTURE, started=False, retryable=True
    )
    assert next_try(RetryPolicy(), ours, key=FIRST, first=FIRST) is None
    assert next_try(RetryPolicy(), theirs, key=FIRST, first=FIRST) == FIRST.next_relaunch()
