"""What earlier records showed is known when the last one no longer shows it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from podrunner.outcome import NO_HISTORY, Category, Fault, History, Outcome, classify, remember
from podrunner.outcome.containers import ever_started, unstarted_runs
from podrunner.outcome.history import _after_a_plain_record, _merged, is_bare, told_before
from podrunner.outcome.record import ContainerState, ContainerStateTerminated, ContainerStatus, Pod
from tests.support.pod_strategies import pods
from tests.support.pods import condition, disrupted, ended, pod, runs, waits

USED_TO_RUN = ContainerStateTerminated(
    exit_code=137,
    reason="ContainerStatusUnknown",
    message="The container could not be located when the pod was deleted.  The container used to be Running",
)


def after(status: ContainerStatus, last: ContainerStateTerminated) -> ContainerStatus:
    return replace(status, last_state=ContainerState(terminated=last))


def failed_start(reason: str = "StartError") -> ContainerStateTerminated:
    return ContainerStateTerminated(exit_code=128, reason=reason, message='exec: "nope": not found')


def history_of(*records: Pod) -> History:
    history, before = NO_HISTORY, None
    for record in records:
        history = remember(history, record, before=before, main_container="base")
        before = record
    return history


def gone(*records: Pod) -> Outcome:
    outcome = classify(records[-1], vanished=True, history=history_of(*records))
    assert outcome is not None
    return outcome


FORGOTTEN = pod("Pending", after(waits("base", "ContainerCreating"), USED_TO_RUN), deleted_at=20, grace_s=30)


def test_what_ran_once_has_started_whatever_a_later_record_shows():
    """P10: a kubelet lost the container of a deleted pod, and calls it one that is being created, never restarted."""
    outcome = gone(pod("Running", runs("base")), FORGOTTEN)
    assert (outcome.category, outcome.started) == (Category.DELETED_BY_OTHERS, True)
    assert gone(FORGOTTEN).started, "the record alone says that it used to run"


@pytest.mark.parametrize(
    "last",
    [
        pod("Pending", waits("base", "ContainerCreating")),
        pod("Pending"),
        pod("Failed", reason="NodeLost"),
        pod("Pending", node=None),
    ],
    ids=["creating", "no statuses", "node lost", "status reset"],
)
def test_a_reset_status_forgets_nothing(last: Pod):
    """P10: nothing of the run is in the last record."""
    assert not history_of(last).started
    assert history_of(pod("Running", runs("base")), last).started
    assert gone(pod("Running", runs("base")), last).started


def test_an_end_that_was_seen_is_the_end_though_a_later_record_has_forgotten_it():
    """P10: the exit code was there for a moment."""
    ran, over = pod("Running", runs("base")), pod("Running", ended("base", 3))
    outcome = gone(ran, over, FORGOTTEN)
    assert (outcome.category, outcome.exit_code, outcome.started) == (Category.FAILED, 3, True)


def test_an_end_that_was_seen_is_not_forgotten_by_the_next_reset():
    """P10: the kubelet writes the reset status more than once."""
    over = pod("Running", ended("base", 3))
    again = replace(FORGOTTEN, metadata=replace(FORGOTTEN.metadata, resource_version="9"))
    outcome = gone(over, FORGOTTEN, again)
    assert (outcome.category, outcome.exit_code) == (Category.FAILED, 3)


@settings(max_examples=60)
@given(pods(), pods())
def test_a_record_that_is_repeated_changes_nothing(first: Pod, second: Pod):
    """W3: the runner does not even look at one that says the same."""
    records = [first, second]
    history = history_of(*records)
    assert remember(history, records[-1], before=records[-1], main_container="base") == history


def test_an_end_that_a_restart_followed_is_not_the_end():
    again = pod("Running", replace(runs("base"), restart_count=1), restart_policy="OnFailure")
    outcome = gone(pod("Running", ended("base", 3), restart_policy="OnFailure"), again)
    assert (outcome.category, outcome.exit_code) == (Category.DELETED_BY_OTHERS, None)


def test_runs_that_failed_to_start_are_no_start_however_often_they_are_repeated():
    """P12: each of them is seen, so none of them can have begun the work."""
    waiting = waits("base", "CrashLoopBackOff", "back-off 10s restarting failed container=base")
    records = [pod("Running", after(replace(waiting, restart_count=run), failed_start())) for run in range(4)]
    assert not history_of(*records).started
    assert history_of(records[0], records[2]).started, "the run between may have begun the work"
    assert ever_started(records[3].status.container_statuses[0])  # type: ignore[index]  # it has one


@pytest.mark.parametrize("reason", ["Error", "Completed", "OOMKilled", "ContainerStatusUnknown"])
def test_a_run_before_the_present_one_counts_by_its_reason(reason: str):
    """P10: also from ``lastState``."""
    last = ContainerStateTerminated(exit_code=1, reason=reason)
    assert ever_started(after(waits("base", "CrashLoopBackOff"), last))


def test_a_container_that_never_was_is_not_called_started():
    """The kubelet calls what it never created unknown, too, but in the present state."""
    assert not ever_started(ended("base", 137, reason="ContainerStatusUnknown", begin=None, end=None))


def test_a_container_that_was_made_and_then_lost_may_have_run():
    """P4: at a pod's end the kubelet calls a running container unknown as well, and leaves it its ID."""
    lost = ended("base", 137, reason="ContainerStatusUnknown", begin=None, end=None)
    assert ever_started(replace(lost, container_id="containerd://4f1d"))
    failed = ended("base", 128, reason="StartError", begin=None, end=None)
    assert not ever_started(replace(failed, container_id="containerd://4f1d")), "its process did not begin"
    waits_again = after(waits("base", "RunContainerError"), failed.state.terminated)
    assert not ever_started(replace(lost, container_id="containerd://4f1d"), unstarted_runs(waits_again))


def test_the_words_of_a_failed_pull_survive_the_back_off():
    """P14: the message of ErrImagePull, then a bare ImagePullBackOff."""
    failed = pod("Pending", waits("base", "ErrImagePull", "unexpected EOF"))
    waiting = pod("Pending", waits("base", "ImagePullBackOff", 'Back-off pulling image "x"'))
    said = told_before(history_of(failed, waiting, waiting), "base")
    assert said == ("base", "ErrImagePull", "unexpected EOF")
    assert told_before(history_of(failed, waiting, pod("Running", runs("base"))), "base") is None
    restored = pod("Pending", node=None)
    assert told_before(history_of(failed, restored, waiting), "base") == said, "a record without statuses"


@pytest.mark.parametrize(
    ("message", "bare"),
    [
        ("", True),
        (None, True),
        ('Back-off pulling image "reg.example/a:1"', True),
        ('Back-off pulling image "a": ErrImagePull: manifest unknown', False),
        ("back-off 40s restarting failed container=base pod=p_default(u1)", True),
        ('secret "nope" not found', False),
    ],
)
def test_a_back_off_says_nothing_by_itself(message: str | None, *, bare: bool):
    assert is_bare(message) is bare


def test_the_first_disruption_is_not_hidden_by_the_kubelets():
    """An eviction marks the pod, and the kubelet that ends it writes its own reason over it."""
    asked = pod(
        "Running", runs("base"), conditions=(disrupted("EvictionByEvictionAPI"),), deleted_at=8, grace_s=30
    )
    over = pod(
        "Failed",
        ended("base", 143),
        conditions=(disrupted("TerminationByKubelet", second=12),),
        deleted_at=12,
    )
    outcome = gone(asked, over)
    assert (outcome.category, outcome.reason, outcome.fault) == (
        Category.EVICTED,
        "EvictionByEvictionAPI",
        Fault.INFRASTRUCTURE,
    )


def test_a_disruption_that_was_called_off_is_none():
    marked = pod("Running", runs("base"), conditions=(disrupted("DeletionByTaintManager"),))
    kept = pod("Running", runs("base"), conditions=(condition("DisruptionTarget", "False"),))
    assert gone(marked, kept).category is Category.DELETED_BY_OTHERS


def test_ordinary_pods_share_their_history():
    """W13: bytes per pod count."""
    pending = remember(NO_HISTORY, pod("Pending", waits("base", "ContainerCreating")))
    assert pending is NO_HISTORY
    first, second = (remember(NO_HISTORY, pod("Running", runs("base"), uid=uid)) for uid in ("a", "b"))
    assert first is second


@given(st.lists(pods(), min_size=1, max_size=4))
def test_a_short_look_at_a_record_says_what_the_long_one_does(records):
    """Most records are plain, and take the short look alone."""
    history, before = NO_HISTORY, None
    for record in records:
        short = _after_a_plain_record(history, record, before, "base")
        merged = _merged(history, record, before, "base")
        assert short in (None, merged)
        history, before = merged, record


PLAIN = [
    pod("Pending", node=None),
    pod("Pending", waits("base", "ContainerCreating")),
    pod("Running", runs("base")),
    pod("Succeeded", ended("base", 0)),
]


@pytest.mark.parametrize("number", range(len(PLAIN)))
def test_the_records_of_an_uneventful_life_need_the_short_look_alone(number):
    """Its whole history is one of the two shared ones."""
    earlier = history_of(*PLAIN[:number])
    short = _after_a_plain_record(earlier, PLAIN[number], PLAIN[number - 1] if number else None, "base")
    assert short is not None
    assert short.started == (number >= 2)
