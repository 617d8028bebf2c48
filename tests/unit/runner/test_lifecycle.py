"""The state machine of a pod's life: every state with every input, and random lives."""

from __future__ import annotations

import dataclasses
import datetime as dt
import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from podrunner.config import RunnerConfig
from podrunner.errors import TransportError
from podrunner.machine import IllegalInputError
from podrunner.outcome import Category, Fault, Outcome, classify
from podrunner.outcome.record import ContainerSpec, Event, Pod
from podrunner.runner import lifecycle, states
from podrunner.runner.deadlines import Clocks
from podrunner.runner.events import EventKind
from podrunner.runner.lifecycle import TABLE, step
from podrunner.runner.states import (
    Active,
    AwaitDeletion,
    AwaitFinalStatus,
    AwaitingFinalStatus,
    ConfirmDeletion,
    Creating,
    DeadlinesChecked,
    DeletePod,
    DeletionAnswered,
    DeletionOverdue,
    Draining,
    DrainLog,
    Emit,
    Enrich,
    Enriching,
    FinalStatusOverdue,
    Finished,
    LaunchCancelled,
    LaunchRefused,
    LaunchStarted,
    LeaseLost,
    LogDrained,
    MarkReported,
    New,
    NoteEnd,
    OutcomeEnriched,
    PodAdopted,
    PodCreated,
    PodGone,
    PodObserved,
    Queued,
    Relinquished,
    RemovalRequested,
    RemoveLogCursors,
    RemovePod,
    Removing,
    Reporting,
    ReportMarked,
    Rules,
    RunnerClosed,
    SettledState,
    Snapshot,
    State,
    Submitted,
    TakenOver,
    Terminating,
    Termination,
    TerminationRequested,
    UnwatchDeadlines,
    WatchDeadlines,
    outcome_of,
    snapshot_of,
)
from tests.support.pods import condition, ended, pod, runs, waits

KEEP, DELETE = {"delete_pods": False}, {"delete_pods": True}

PENDING = pod("Pending", waits("base", "ContainerCreating"))
NO_IMAGE = pod("Pending", waits("base", "ImagePullBackOff"))
RUNNING = pod("Running", runs("base"), version="2")
EXITED = pod("Running", ended("base", 3), version="3")  # the kubelet's reason is still to come
FAILED = pod("Failed", ended("base", 3), version="4")
SUCCEEDED = pod("Succeeded", ended("base"), version="4")
DELETED = pod("Running", runs("base"), deleted_at=20, grace_s=40, version="5")
NODE_LOST = pod("Running", runs("base"), reason="NodeLost", version="3")

OUTCOME = classify(SUCCEEDED)
FAILURE = classify(FAILED)
assert OUTCOME is not None
assert FAILURE is not None


def rules(**settings: Any) -> Rules:
    return Rules("base", RunnerConfig(image="i", cluster="kubeconfig", **settings))


RULES = rules()


def snapshot(record: Pod = RUNNING, *, first_seen_s: float = 0.0) -> Snapshot:
    return Snapshot(pod=record, status="Running", first_seen_s=first_seen_s)


def active(record: Pod = RUNNING, *, by: Rules = RULES, has_deadline: bool = False) -> Active:
    return Active(rules=by, snapshot=snapshot(record), clocks=Clocks(), has_deadline=has_deadline)


def terminating(record: Pod = RUNNING, **termination: Any) -> Terminating:
    return Terminating(
        rules=RULES, snapshot=snapshot(record), clocks=Clocks(), termination=Termination(**termination)
    )


def awaiting(record: Pod = EXITED, *, termination: Termination | None = None) -> AwaitingFinalStatus:
    return AwaitingFinalStatus(
        rules=RULES, snapshot=snapshot(record), clocks=Clocks(), termination=termination
    )


def enriching(
    record: Pod = SUCCEEDED,
    *,
    by: Rules = RULES,
    termination: Termination | None = None,
    gone: bool = False,
    provisional: Outcome = OUTCOME,
) -> Enriching:
    return Enriching(
        rules=by, snapshot=snapshot(record), provisional=provisional, termination=termination, gone=gone
    )


def settled(kind: Callable[..., State], *, gone: bool = False, **more: Any) -> Any:
    return kind(rules=RULES, snapshot=snapshot(SUCCEEDED), outcome=OUTCOME, gone=gone, **more)


STATES: dict[type[State], State] = {
    New: New(rules=RULES),
    Queued: Queued(rules=RULES),
    Creating: Creating(rules=RULES),
    Active: active(),
    Terminating: terminating(),
    AwaitingFinalStatus: awaiting(),
    Enriching: enriching(),
    Reporting: settled(Reporting),
    Draining: settled(Draining, delete=True),
    Removing: settled(Removing),
    Finished: settled(Finished),
    Relinquished: Relinquished(rules=RULES),
}
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
INPUTS: dict[type[states.Input], states.Input] = {
    type(one): one
    for one in (
        Submitted(),
        LaunchStarted(),
        LaunchRefused(TransportError("no route"), is_reported=True),
        LaunchCancelled(is_reported=True),
        PodCreated(PENDING, 1.0),
        PodAdopted(PENDING, 1.0, NOW),
        PodObserved(RUNNING),
        PodGone(),
        DeadlinesChecked(1.0),
        TerminationRequested(),
        RemovalRequested(),
        DeletionAnswered(),
        DeletionOverdue(),
        FinalStatusOverdue(),
        OutcomeEnriched(OUTCOME),
        ReportMarked(),
        LogDrained(),
        TakenOver(),
        LeaseLost("silence"),
        RunnerClosed(),
    )
}

NOTHING = "-"
SAME = "="
# What follows in each state on each input of INPUTS: the next state, by the first letters of its name; `=` where the
# state's kind stays; `-` where the input is illegal. The columns are the states.
EXPECTED = """
                     New   Queue Creat Activ Termi Await Enric Repor Drain Remov Finis Relin
Submitted            Queue -     -     -     -     -     -     -     -     -     -     -
LaunchStarted        Creat Creat -     -     -     -     -     -     -     -     -     -
LaunchRefused        Finis Finis Finis =     =     =     =     =     =     =     =     =
LaunchCancelled      Finis Finis Finis =     =     =     =     =     =     =     =     =
PodCreated           -     -     Activ -     -     -     -     -     -     -     -     =
PodAdopted           Activ Activ Activ -     -     -     -     -     -     -     -     -
PodObserved          -     -     -     =     =     =     =     =     =     =     =     =
PodGone              -     -     -     Enric Enric Enric =     =     =     =     =     =
DeadlinesChecked     -     -     -     =     -     -     -     -     -     -     -     -
TerminationRequested -     -     -     Termi =     =     =     =     =     =     =     =
RemovalRequested     -     -     -     -     -     -     -     =     =     =     =     =
DeletionAnswered     -     -     -     -     =     =     =     =     =     Finis =     =
DeletionOverdue      -     -     -     -     Enric =     =     =     =     =     =     =
FinalStatusOverdue   -     -     -     =     =     Enric =     =     =     =     =     =
OutcomeEnriched      -     -     -     -     -     -     Drain -     -     -     -     =
ReportMarked         -     -     -     -     -     -     -     Drain -     -     =     -
LogDrained           -     -     -     -     -     -     -     -     Remov -     =     -
TakenOver            -     -     -     Relin Relin Relin Relin Finis Finis Finis =     =
LeaseLost            Relin Relin Relin Relin Relin Relin Relin =     =     =     =     =
RunnerClosed         Relin Relin Relin Relin Relin Relin Relin =     =     =     =     =
"""
LETTERS = 5


def expected() -> list[tuple[str, str, str]]:
    header, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    return [(state, row[0], cell) for row in rows for state, cell in zip(header, row[1:], strict=True)]


BY_NAME: dict[str, Any] = {kind.__name__[:LETTERS]: one for kind, one in STATES.items()}
BY_NAME |= {kind.__name__: one for kind, one in INPUTS.items()}


def test_the_table_has_every_state_and_every_input():
    assert set(TABLE) == set(STATES) == set(get_args(states.State))
    assert set(INPUTS) == set(get_args(states.Input))
    assert {given for row in TABLE.values() for given in row} == set(INPUTS)
    assert len(expected()) == len(STATES) * len(INPUTS)


@pytest.mark.parametrize(("state", "given", "cell"), expected())
def test_every_input_in_every_state(state: str, given: str, cell: str):
    before = BY_NAME[state]
    if cell == NOTHING:
        with pytest.raises(IllegalInputError, match=f"{given} in state {state}"):
            step(before, BY_NAME[given])
        assert type(BY_NAME[given]) not in TABLE[type(before)]
    else:
        following = step(before, BY_NAME[given]).state
        assert type(following).__name__[:LETTERS] == (state if cell == SAME else cell)
        assert type(following) in (TABLE[type(before)][type(BY_NAME[given])].to or (type(before),))


def ignored() -> list[tuple[type[State], type[states.Input]]]:
    return [
        (state, given)
        for state, row in TABLE.items()
        for given, transition in row.items()
        if transition is lifecycle._LATE
    ]


@pytest.mark.parametrize(("state", "given"), ignored())
def test_what_comes_too_late_changes_nothing(state: type[State], given: type[states.Input]):
    before = STATES[state]
    assert step(before, INPUTS[given]) == (before, ())
    assert step(before, INPUTS[given]).state is before


def test_the_documentation_shows_the_table():
    """``python docs/lifecycle_picture.py`` writes both anew."""
    path = Path(__file__).parents[3] / "docs" / "lifecycle_picture.py"
    drawn = runpy.run_path(str(path))
    assert drawn["PICTURE"].read_text(encoding="utf-8") == drawn["picture"]()
    text = drawn["PAGE"].read_text(encoding="utf-8")
    assert text == drawn["page"](text)


# What follows, in detail


def kinds(effects: tuple[states.Effect, ...]) -> list[EventKind]:
    return [effect.kind for effect in effects if isinstance(effect, Emit)]


def test_a_refused_launch_that_an_event_reports():
    error = TransportError("no route")
    following = step(Creating(rules=RULES), LaunchRefused(error, is_reported=True))
    assert isinstance(following.state, Finished)
    assert following.state.launch_error is error
    assert following.state.outcome.category is Category.REJECTED_BY_API
    assert "no route" in following.state.outcome.message
    assert kinds(following.effects) == [EventKind.FINISHED]


def test_a_refused_launch_that_an_exception_reports():
    following = step(Creating(rules=RULES), LaunchRefused(TransportError("no route"), is_reported=False))
    assert kinds(following.effects) == []
    assert NoteEnd() in following.effects


def test_a_cancelled_launch():
    following = step(Queued(rules=RULES), LaunchCancelled(is_reported=True))
    assert isinstance(following.state, Finished)
    outcome = following.state.outcome
    assert (outcome.category, outcome.fault, outcome.started, outcome.retryable) == (
        Category.CANCELLED,
        Fault.CALLER,
        False,
        False,
    )
    assert outcome.message == "cancelled before there was a pod"
    assert following.state.launch_error is None
    assert following.effects == (states.Untrack(), NoteEnd(), Emit(EventKind.FINISHED, outcome))
    assert kinds(step(Queued(rules=RULES), LaunchCancelled(is_reported=False)).effects) == []


def test_the_failure_policy_applies_where_an_event_reports():
    policy = [{"name": "quiet", "action": "retry", "on_categories": ["rejected-by-api"]}]
    by = rules(failure_policy=policy)
    for is_reported in (True, False):
        following = step(Creating(rules=by), LaunchRefused(_refused(), is_reported=is_reported)).state
        assert isinstance(following, Finished)
        assert following.outcome.retryable is is_reported


def _refused() -> Any:
    from podrunner.errors import InvalidError

    return InvalidError(status=422, server_message="no")


def test_a_created_pod_is_announced_and_expected():
    following = step(Creating(rules=RULES), PodCreated(PENDING, 7.0))
    assert isinstance(following.state, Active)
    assert following.state.snapshot.first_seen_s == 7.0
    assert following.state.snapshot.status == "ContainerCreating"
    assert kinds(following.effects) == [EventKind.CREATED]
    assert states.ExpectInWatch() in following.effects
    assert following.state.clocks == Clocks()


def test_a_created_pod_that_is_over_already():
    following = step(Creating(rules=RULES), PodCreated(SUCCEEDED, 7.0))
    assert isinstance(following.state, Enriching)
    assert following.effects[-1] == Enrich()
    assert kinds(following.effects) == [EventKind.CREATED]


def test_an_adopted_pods_deadlines_count_from_its_own_beginnings():
    now = NOW + dt.timedelta(seconds=100)
    following = step(New(rules=rules(run_timeout_s=1000)), PodAdopted(RUNNING, 500.0, now))
    assert isinstance(following.state, Active)
    assert following.state.snapshot.first_seen_s == 400.0
    assert following.state.clocks.started_s == 405.0  # it runs since second 5
    assert kinds(following.effects) == [EventKind.ADOPTED]
    assert WatchDeadlines() in following.effects


def test_a_status_is_reported_when_it_changes():
    following = step(active(PENDING), PodObserved(RUNNING))
    assert kinds(following.effects) == []  # the snapshot's status was Running
    waiting = step(active(RUNNING), PodObserved(pod("Pending", waits("base", "ErrImagePull"), version="3")))
    assert kinds(waiting.effects) == [EventKind.STATUS_CHANGED]


@pytest.mark.parametrize("before", [active(), terminating(), awaiting(RUNNING), enriching(RUNNING)])
def test_an_older_record_changes_nothing(before: State):
    assert step(before, PodObserved(pod("Failed", ended("base", 1), version="1"))) == (before, ())


def test_an_older_record_of_a_pod_that_is_gone_gives_way_to_the_known_one():
    following = step(active(FAILED), PodGone(RUNNING)).state
    assert isinstance(following, Enriching)
    assert following.snapshot.pod is FAILED
    assert following.gone


def test_a_time_of_deletion_that_was_once_seen_is_kept():
    marked = step(active(), PodObserved(DELETED)).state
    last = pod("Failed", ended("base", 143, end=45), deleted_at=45, version="6")
    following = step(marked, PodObserved(last)).state
    known = snapshot_of(following)
    assert known is not None
    assert known.deletion_asked_at == NOW + dt.timedelta(seconds=20)


def test_deadlines_are_watched_while_there_are_some():
    watched = step(active(RUNNING), PodObserved(NO_IMAGE_LATER))
    assert WatchDeadlines() in watched.effects
    again = step(watched.state, PodObserved(NO_IMAGE_LATER))
    assert WatchDeadlines() not in again.effects
    over = step(again.state, PodObserved(pod("Running", runs("base"), version="4")))
    assert UnwatchDeadlines() in over.effects


NO_IMAGE_LATER = pod("Pending", waits("base", "ImagePullBackOff"), version="3")


@pytest.mark.parametrize(
    "given",
    [PodObserved(FAILED), PodGone(), TerminationRequested(), PodObserved(EXITED)],
    ids=lambda given: type(given).__name__,
)
def test_deadlines_are_not_watched_beyond_the_end(given: states.Input):
    assert UnwatchDeadlines() in step(active(has_deadline=True), given).effects
    assert UnwatchDeadlines() not in step(active(), given).effects


def test_a_pod_whose_containers_have_ended_waits_for_its_final_status_once():
    first = step(active(), PodObserved(EXITED))
    assert isinstance(first.state, AwaitingFinalStatus)
    assert AwaitFinalStatus() in first.effects
    again = step(first.state, PodObserved(EXITED))
    assert isinstance(again.state, AwaitingFinalStatus)
    assert AwaitFinalStatus() not in again.effects


def test_a_final_status_that_comes_ends_the_wait():
    following = step(awaiting(), PodObserved(FAILED))
    assert isinstance(following.state, Enriching)
    assert following.state.provisional.exit_code == 3


def test_a_pod_that_runs_again_is_active_again():
    following = step(awaiting(), PodObserved(pod("Running", runs("base"), version="9"))).state
    assert isinstance(following, Active)
    stopped = awaiting(termination=Termination(grace_period_s=4))
    ending = step(stopped, PodObserved(pod("Running", runs("base"), version="9"))).state
    assert isinstance(ending, Terminating)
    assert ending.termination.grace_period_s == 4


def test_an_overdue_final_status_settles_by_what_is_known():
    following = step(awaiting(), FinalStatusOverdue())
    assert isinstance(following.state, Enriching)
    assert (following.state.provisional.exit_code, following.effects) == (3, (Enrich(),))
    assert following.state == enriching(EXITED, provisional=following.state.provisional)
    killed = pod("Running", ended("base", 143, end=30), deleted_at=20, grace_s=40, version="6")
    stopped = step(awaiting(killed, termination=Termination()), FinalStatusOverdue()).state
    assert isinstance(stopped, Enriching)
    assert stopped.provisional.category is Category.CANCELLED
    assert stopped == enriching(killed, provisional=stopped.provisional, termination=Termination())
    assert isinstance(step(awaiting(RUNNING), FinalStatusOverdue()).state, Active)


# Ending pods


def test_a_cancelled_pod_is_deleted_with_the_callers_grace():
    following = step(active(), TerminationRequested(grace_period_s=7))
    assert isinstance(following.state, Terminating)
    assert following.effects == (DeletePod(7),)
    gone = step(following.state, PodGone()).state
    assert isinstance(gone, Enriching)
    assert gone.provisional.category is Category.CANCELLED


def test_a_pod_that_awaits_its_final_status_can_be_cancelled_once():
    following = step(awaiting(), TerminationRequested(grace_period_s=7))
    assert following.effects == (DeletePod(7),)
    assert step(following.state, TerminationRequested(grace_period_s=8)) == (following.state, ())


def test_a_deadline_ends_a_pod_once_it_has_passed():
    by = rules(pending={"image_grace_s": 60})
    first = step(active(NO_IMAGE, by=by, has_deadline=True), DeadlinesChecked(10.0))
    assert isinstance(first.state, Active)
    assert not first.effects
    assert step(first.state, DeadlinesChecked(69.0)).state is first.state
    over = step(first.state, DeadlinesChecked(70.0))
    assert isinstance(over.state, Terminating)
    assert over.effects == (UnwatchDeadlines(), DeletePod(None))
    assert over.state.termination.verdict is not None
    assert over.state.termination.verdict.category is Category.IMAGE
    ended_by_us = step(over.state, PodGone()).state
    assert isinstance(ended_by_us, Enriching)
    assert ended_by_us.provisional.category is Category.IMAGE


def test_a_run_has_its_limit():
    by = rules(run_timeout_s=30)
    started = step(active(by=by, has_deadline=True), DeadlinesChecked(10.0)).state
    over = step(started, DeadlinesChecked(40.0)).state
    assert isinstance(over, Terminating)
    assert over.termination.verdict is not None
    assert over.termination.verdict.category is Category.DEADLINE


@pytest.mark.parametrize(("force", "grace"), [(True, 0), (False, None)])
def test_a_pod_of_a_lost_node_is_deleted_by_force_where_the_configuration_says_so(
    *, force: bool, grace: int | None
):
    by = rules(node_lost_grace_s=30, force_delete_lost=force)
    suspect = step(active(NODE_LOST, by=by, has_deadline=True), DeadlinesChecked(0.0)).state
    over = step(suspect, DeadlinesChecked(30.0))
    assert over.effects == (UnwatchDeadlines(), DeletePod(grace))
    answered = step(over.state, DeletionAnswered())
    assert answered.effects == (AwaitDeletion(10.0),)


@pytest.mark.parametrize(
    ("termination", "record", "timeout_s"),
    [({}, RUNNING, 90.0), ({"grace_period_s": 7}, RUNNING, 67.0), ({}, DELETED, 100.0)],
)
def test_a_deletion_is_waited_for_beyond_the_grace_period(termination: Any, record: Pod, timeout_s: float):
    following = step(terminating(record, **termination), DeletionAnswered())
    assert following.effects == (AwaitDeletion(timeout_s),)


def test_an_overdue_deletion_gives_the_verdict_or_a_cancellation():
    plain = step(terminating(), DeletionOverdue()).state
    assert isinstance(plain, Enriching)
    assert plain.provisional.category is Category.CANCELLED
    assert plain == enriching(RUNNING, provisional=plain.provisional, termination=Termination())
    judged = step(terminating(verdict=FAILURE), DeletionOverdue()).state
    assert isinstance(judged, Enriching)
    assert judged.provisional is FAILURE
    late = step(awaiting(termination=Termination(verdict=FAILURE)), DeletionOverdue()).state
    assert isinstance(late, Enriching)


def test_what_ended_before_its_deletion_keeps_its_outcome():
    answer = pod("Failed", ended("base", 3), deleted_at=30, grace_s=0, version="8")
    following = step(terminating(), DeletionAnswered(answer, is_first=True))
    assert isinstance(following.state, Enriching)
    assert following.state.termination is not None
    assert following.state.termination.ended_first
    assert following.state.provisional.exit_code == 3
    unsure = step(terminating(), DeletionAnswered(answer, is_first=False)).state
    assert isinstance(unsure, Enriching)
    assert unsure.termination is not None
    assert not unsure.termination.ended_first


def test_the_answer_to_a_deletion_counts_for_the_same_pod_only():
    other = pod("Failed", ended("base", 3), uid="u2", version="8")
    following = step(terminating(), DeletionAnswered(other, is_first=True)).state
    assert isinstance(following, Terminating)
    assert following.snapshot.pod is RUNNING


def test_an_answer_that_comes_after_the_end_was_seen_is_taken_note_of():
    before = enriching(EXITED, termination=Termination(), provisional=FAILURE)
    following = step(before, DeletionAnswered(FAILED, is_first=True)).state
    assert isinstance(following, Enriching)
    assert following.snapshot.pod is FAILED
    assert following.termination == Termination(ended_first=True)
    gone = enriching(EXITED, termination=Termination(), provisional=FAILURE, gone=True)
    assert step(gone, DeletionAnswered(FAILED, is_first=True)) == (gone, ())


# From the end to the last thing that is done


def test_events_are_wanted_where_they_may_say_more():
    vanished = classify(RUNNING, vanished=True)
    assert vanished is not None
    assert lifecycle.wants_events(enriching(RUNNING, provisional=vanished, gone=True))
    assert not lifecycle.wants_events(enriching())
    ours = enriching(RUNNING, provisional=vanished, gone=True, termination=Termination())
    assert not lifecycle.wants_events(ours)
    assert lifecycle.with_events(enriching(), []).succeeded
    assert lifecycle.with_events(enriching(RUNNING, provisional=FAILURE), []) is FAILURE


def test_a_pod_that_is_deleted_by_policy():
    drained = step(enriching(by=rules(**DELETE)), OutcomeEnriched(OUTCOME))
    assert isinstance(drained.state, Draining)
    assert drained.state.delete
    assert drained.effects == (NoteEnd(), Emit(EventKind.FINISHED, OUTCOME), DrainLog(1.0))
    removed = step(drained.state, LogDrained())
    before = drained.state
    assert removed.state == Removing(
        rules=before.rules, snapshot=before.snapshot, outcome=before.outcome, gone=False
    )
    assert removed.effects == (DeletePod(None),)
    answered = step(removed.state, DeletionAnswered())
    assert isinstance(answered.state, Finished)
    assert answered.effects == ()
    gone = step(answered.state, PodGone())
    assert kinds(gone.effects) == [EventKind.DELETED]
    assert gone.effects[-2:] == (states.Untrack(), RemoveLogCursors())
    assert step(gone.state, PodGone()) == (gone.state, ())


def test_a_pod_that_is_retained_by_policy():
    marked = step(enriching(by=rules(**KEEP)), OutcomeEnriched(OUTCOME))
    assert isinstance(marked.state, Reporting)
    assert marked.effects[-1] == MarkReported()
    drained = step(marked.state, ReportMarked())
    assert drained.effects == (DrainLog(None),)
    before = marked.state
    assert isinstance(before, Reporting)
    assert drained.state == Draining(
        rules=before.rules, snapshot=before.snapshot, outcome=before.outcome, gone=False, delete=False
    )
    finished = step(drained.state, LogDrained())
    assert (type(finished.state), finished.effects) == (Finished, ())


def test_a_failed_pod_has_a_policy_of_its_own():
    for keep, kind in ((True, Reporting), (False, Draining)):
        by = rules(delete_pods=True, delete_pods_on_failure=not keep)
        following = step(enriching(FAILED, by=by, provisional=FAILURE), OutcomeEnriched(FAILURE)).state
        assert type(following) is kind


def test_a_pod_whose_sidecar_goes_on_is_deleted_whatever_the_policy_says():
    record = pod("Running", ended("base"), runs("sidecar"))
    following = step(enriching(record, by=rules(**KEEP)), OutcomeEnriched(OUTCOME)).state
    assert isinstance(following, Draining)
    assert following.delete


def test_a_pod_that_the_runner_ended_is_not_deleted_twice():
    record = enriching(by=rules(**DELETE), termination=Termination())
    assert isinstance(step(record, OutcomeEnriched(OUTCOME)).state, Reporting)


def test_a_pod_that_is_gone_before_its_outcome_is_settled():
    seen = step(enriching(), PodGone())
    assert kinds(seen.effects) == []
    settled_ = step(seen.state, OutcomeEnriched(OUTCOME))
    assert kinds(settled_.effects) == [EventKind.FINISHED, EventKind.DELETED]
    assert settled_.effects[-1] == DrainLog(None)
    assert isinstance(settled_.state, Draining)
    assert not settled_.state.delete
    finished = step(settled_.state, LogDrained())
    assert isinstance(finished.state, Finished)
    assert finished.effects == (states.Untrack(), RemoveLogCursors())


@pytest.mark.parametrize("kind", [Reporting, Removing])
def test_a_deletion_is_reported_when_it_is_seen(kind: Any):
    gone = step(settled(kind), PodGone())
    assert kinds(gone.effects) == [EventKind.DELETED]
    assert ConfirmDeletion() in gone.effects
    assert kinds(step(gone.state, PodGone()).effects) == []


def test_a_pod_that_goes_while_it_is_drained_is_not_deleted():
    gone = step(settled(Draining, delete=True), PodGone())
    finished = step(gone.state, LogDrained())
    assert isinstance(finished.state, Finished)
    assert finished.state.gone


def test_a_caller_may_delete_a_pod_that_is_over():
    for kind in (Reporting, Removing, Finished):
        assert step(settled(kind), RemovalRequested(3)).effects == (RemovePod(3),)
        assert step(settled(kind, gone=True), RemovalRequested(3)).effects == ()
    never_created = Finished(rules=RULES, outcome=OUTCOME)
    assert step(never_created, RemovalRequested(3)).effects == ()


def test_the_answer_to_a_policys_deletion_is_learnt():
    later = pod("Succeeded", ended("base"), deleted_at=30, version="9")
    following = step(settled(Removing), DeletionAnswered(later))
    assert isinstance(following.state, Finished)
    assert following.state.snapshot is not None
    assert following.state.snapshot.pod is later
    assert states.CollectLog() in following.effects
    gone = step(settled(Removing, gone=True), DeletionAnswered(later))
    assert gone.state == settled(Finished, gone=True)
    other = pod("Succeeded", ended("base"), uid="u2", version="9")
    assert step(settled(Removing), DeletionAnswered(other)) == (settled(Finished), ())
    assert states.CollectLog() in step(settled(Finished), DeletionAnswered(later)).effects


# Other owners


@pytest.mark.parametrize("kind", [New, Queued, Creating, Active, Terminating, AwaitingFinalStatus, Enriching])
def test_a_lost_lease_is_reported_for_each_pod_without_an_outcome(kind: type[State]):
    following = step(STATES[kind], LeaseLost("no answer"))
    assert following.state == Relinquished(rules=RULES, snapshot=snapshot_of(STATES[kind]))
    (report,) = [effect for effect in following.effects if isinstance(effect, Emit)]
    assert report == Emit(EventKind.LOST, message="this runner lost its lease: no answer")
    assert NoteEnd() in following.effects


def test_a_pod_with_an_outcome_that_another_runner_takes_is_forgotten_in_silence():
    following = step(settled(Draining, delete=True), TakenOver())
    assert isinstance(following.state, Finished)
    assert following.effects == (ConfirmDeletion(), states.Untrack())
    assert step(following.state, LogDrained()) == (following.state, ())


@pytest.mark.parametrize("before", [active(), terminating(), awaiting(), enriching()])
def test_a_pod_that_another_runner_took_over_is_reported_and_forgotten(before: Any):
    following = step(before, TakenOver())
    assert following.state == Relinquished(rules=RULES, snapshot=before.snapshot)
    report = Emit(EventKind.LOST, message="another runner took it over")
    assert following.effects == (report, NoteEnd(), ConfirmDeletion(), states.Untrack())


def test_a_finished_pod_that_another_runner_takes_is_forgotten_in_silence():
    assert step(settled(Finished), TakenOver()) == (settled(Finished), (ConfirmDeletion(), states.Untrack()))


def test_closing_gives_no_event():
    following = step(active(), RunnerClosed())
    assert following.state == Relinquished(rules=RULES, snapshot=snapshot())
    assert following.effects == (NoteEnd(),)


def test_a_pod_that_was_gone_when_it_was_relinquished_stays_gone():
    for given_ in (TakenOver(), LeaseLost("silence"), RunnerClosed()):
        assert states.is_gone(step(enriching(gone=True), given_).state)


# The main container decides, wherever it stands

BESIDE_FIRST = (ContainerSpec(name="beside"), ContainerSpec(name="base"))


def with_beside(phase: str, beside: Any, main: Any, **more: Any) -> Pod:
    return pod(phase, beside, main, containers=BESIDE_FIRST, **more)


def test_the_end_of_another_container_is_no_end():
    record = with_beside("Running", ended("beside"), runs("base"), version="3")
    assert isinstance(step(active(), PodObserved(record)).state, Active)


def test_an_adopted_pods_run_counts_from_its_main_container():
    record = with_beside("Running", runs("beside", since=1), runs("base", since=9))
    following = step(New(rules=RULES), PodAdopted(record, 500.0, NOW + dt.timedelta(seconds=100))).state
    assert isinstance(following, Active)
    assert following.clocks.started_s == 409.0


def test_deadlines_are_the_main_containers():
    by = rules(run_timeout_s=30)
    waits_beside = with_beside("Running", runs("beside"), waits("base", "PodInitializing"))
    before = active(waits_beside, by=by, has_deadline=True)
    assert step(before, DeadlinesChecked(10.0)).state is before
    started = step(
        active(with_beside("Running", waits("beside", "x"), runs("base")), by=by), DeadlinesChecked(1.0)
    )
    over = step(started.state, DeadlinesChecked(31.0)).state
    assert isinstance(over, Terminating)
    assert over.termination.verdict is not None
    assert (over.termination.verdict.container, over.termination.verdict.started) == ("base", True)


def test_whether_a_pod_had_ended_before_its_deletion_is_the_main_containers_end():
    answer = with_beside("Running", ended("beside"), runs("base"), deleted_at=30, grace_s=30, version="8")
    following = step(terminating(), DeletionAnswered(answer, is_first=True)).state
    assert isinstance(following, Terminating)
    assert not following.termination.ended_first


def test_an_overdue_deletion_says_whether_the_main_container_had_started():
    record = with_beside("Running", runs("beside"), waits("base", "PodInitializing"))
    following = step(terminating(record), DeletionOverdue()).state
    assert isinstance(following, Enriching)
    assert not following.provisional.started


# What only some records or events say


def test_events_say_that_another_clients_deletion_killed_the_container():
    last = pod("Failed", ended("base", 3, end=43), deleted_at=45, version="6")
    outcome = classify(last)
    assert outcome is not None
    before = enriching(last, provisional=outcome, gone=True)
    assert lifecycle.wants_events(before)
    known = replace(before, snapshot=replace(before.snapshot, deletion_asked_at=NOW))
    assert not lifecycle.wants_events(known)
    event = Event(type="Normal", reason="Killing", message="Stopping container base")
    assert lifecycle.with_events(before, [event]).category is Category.DELETED_BY_OTHERS
    assert lifecycle.with_events(before, []).category is Category.FAILED


def test_events_count_for_a_pod_that_the_runner_ended_too():
    before = enriching(RUNNING, provisional=FAILURE, termination=Termination(), gone=True)
    assert lifecycle.with_events(before, []).category is Category.CANCELLED


def test_a_failure_policy_reads_the_pods_conditions():
    rule = {"name": "own", "action": "retry", "on_pod_conditions": [{"type": "Licence", "status": "False"}]}
    record = pod("Failed", ended("base", 3), conditions=(condition("Licence", "False"),))
    following = step(enriching(record, by=rules(failure_policy=[rule])), OutcomeEnriched(FAILURE)).state
    assert isinstance(following, SettledState)
    assert following.outcome.retryable


@pytest.mark.parametrize("before", [settled(Draining, delete=True), settled(Finished)])
def test_the_last_record_of_a_deletion_is_kept(before: Any):
    last = pod("Succeeded", ended("base"), deleted_at=40, version="9")
    known = snapshot_of(step(before, PodGone(last)).state)
    assert known is not None
    assert known.pod is last


def test_a_cancelled_pod_that_awaits_its_final_status_is_still_ended_by_the_runner():
    """An end that came before the deletion is its own; one that came after is the cancellation."""
    stopped = awaiting(DELETED, termination=Termination(grace_period_s=4))
    killed = pod("Running", ended("base", 143, end=30), deleted_at=20, grace_s=40, version="6")
    observed = step(stopped, PodObserved(killed)).state
    overdue = observed if isinstance(observed, Enriching) else step(observed, FinalStatusOverdue()).state
    assert isinstance(overdue, Enriching)
    assert overdue.termination == Termination(grace_period_s=4)
    assert overdue.provisional.category is Category.CANCELLED


def test_a_wait_for_the_final_status_keeps_the_newest_record():
    later = pod("Running", ended("base", 3), version="8")
    following = step(awaiting(), PodObserved(later)).state
    known = snapshot_of(following)
    assert known is not None
    assert known.pod is later


def test_a_pod_that_was_created_after_it_was_relinquished_is_known_and_not_announced():
    following = step(Relinquished(rules=RULES), PodCreated(RUNNING, 1.0))
    known = snapshot_of(following.state)
    assert known is not None
    assert (known.pod, following.effects) == (RUNNING, ())


class TestFactsArriveWhereTheyDecide:
    """What an earlier record or input said is on its way to a decision that ``tests/unit/outcome`` tests."""

    def test_an_earlier_record_says_that_the_work_had_begun(self):
        """P5: the last record has no container statuses any more."""
        lost = pod("Failed", reason="NodeLost", version="9")
        following = step(active(RUNNING), PodObserved(lost))
        assert isinstance(following.state, Enriching)
        assert following.state.provisional.started is True
        assert step(active(PENDING), PodObserved(lost)).state.provisional.started is False

    def test_the_first_time_that_a_deletion_was_asked_for_decides(self):
        """The kubelet deletes an ended pod once more, without grace: the later time is no cause."""
        marked = pod("Running", runs("base"), deleted_at=15, grace_s=25, version="5")
        last = pod("Failed", ended("base", 1, end=20), deleted_at=40, version="9")
        known = step(active(RUNNING), PodObserved(marked)).state
        assert step(known, PodObserved(last)).state.provisional.category is Category.DELETED_BY_OTHERS
        assert step(active(RUNNING), PodObserved(last)).state.provisional.category is Category.FAILED

    def test_a_created_pod_that_is_being_deleted_has_that_time_too(self):
        marked = pod("Running", runs("base"), deleted_at=15, grace_s=25, version="5")
        created = step(Creating(rules=RULES), PodCreated(marked, 0.0)).state
        last = pod("Failed", ended("base", 1, end=20), deleted_at=40, version="9")
        assert step(created, PodObserved(last)).state.provisional.category is Category.DELETED_BY_OTHERS

    def test_a_termination_goes_on_while_the_final_status_is_awaited(self):
        before = terminating(RUNNING, grace_period_s=7)
        awaiting_ = step(before, PodObserved(EXITED)).state
        assert isinstance(awaiting_, AwaitingFinalStatus)
        assert awaiting_.termination == before.termination
        again = step(awaiting_, PodObserved(pod("Running", runs("base"), version="9"))).state
        assert again == replace(before, snapshot=again.snapshot)

    def test_a_pod_that_had_ended_before_its_deletion_keeps_its_own_end(self):
        """The answer to the deletion said so; the record that follows bears the later time of the deletion."""
        last = pod("Failed", ended("base", 143, end=20), deleted_at=15, grace_s=25, version="9")
        own = step(terminating(RUNNING, ended_first=True), PodObserved(last)).state
        assert own.provisional.category is Category.FAILED
        cancelled = step(terminating(RUNNING), PodObserved(last)).state
        assert cancelled.provisional.category is Category.CANCELLED

    def test_an_end_of_its_own_wins_over_the_verdict_of_a_termination(self):
        verdict = dataclasses.replace(FAILURE, message="given up")
        own = step(terminating(RUNNING, verdict=verdict, ended_first=True), PodObserved(FAILED)).state
        assert own.provisional.message != "given up"

    def test_the_answer_to_a_deletion_does_not_mean_that_the_pod_is_gone(self):
        leaving = pod("Succeeded", ended("base"), deleted_at=40, version="9")
        following = step(settled(Draining, delete=True), DeletionAnswered(leaving, is_first=True))
        assert snapshot_of(following.state).pod is leaving
        assert not following.state.gone

    def test_clocks_go_on_with_each_record(self):
        clocks = Clocks(started_s=4.0)
        before = Active(rules=RULES, snapshot=snapshot(RUNNING), clocks=clocks, has_deadline=False)
        after = step(before, PodObserved(pod("Running", runs("base"), version="9"))).state
        assert after.clocks == clocks
        ended_ = step(before, PodObserved(EXITED)).state
        assert step(ended_, PodObserved(pod("Running", runs("base"), version="9"))).state.clocks == clocks

    @pytest.mark.parametrize(
        "before", [active(), terminating(), enriching(RUNNING), settled(Draining, delete=True)]
    )
    def test_a_deletion_is_confirmed_when_the_pod_is_gone_and_not_before(self, before: State):
        changed = pod("Running", runs("base", ready=False), version="9")
        assert ConfirmDeletion() not in step(before, PodObserved(changed)).effects
        assert ConfirmDeletion() in step(before, PodGone(changed)).effects


# Random lives

RECORDS = [PENDING, NO_IMAGE, RUNNING, EXITED, FAILED, SUCCEEDED, DELETED, NODE_LOST]
records = st.sampled_from(RECORDS)
outcomes = st.sampled_from([OUTCOME, FAILURE])
inputs: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([one for one in INPUTS.values() if not isinstance(one, PodObserved)]),
    records.map(PodObserved),
    (st.none() | records).map(PodGone),
    records.map(lambda record: PodCreated(record, 0.0)),
    records.map(lambda record: PodAdopted(record, 0.0, NOW)),
    st.integers(0, 1000).map(lambda now_s: DeadlinesChecked(float(now_s))),
    st.tuples(st.none() | records, st.booleans()).map(lambda answer: DeletionAnswered(*answer)),
    outcomes.map(OutcomeEnriched),
)
policies = st.sampled_from([rules(**KEEP), rules(**DELETE), rules(run_timeout_s=60, node_lost_grace_s=10)])


@settings(max_examples=1000)
@given(policies, st.lists(inputs, max_size=40))
def test_random_lives_keep_the_promises(by: Rules, life: list[states.Input]):
    """At most one outcome, none after the pod was relinquished, one deletion event at most, and ends that stay."""
    state: State = New(rules=by)
    events: Counter[EventKind] = Counter()
    jobs: Counter[type] = Counter()
    for given_ in life:
        transition = TABLE[type(state)].get(type(given_))
        if transition is None:
            with pytest.raises(IllegalInputError):
                step(state, given_)
            continue
        before, (state, effects) = state, step(state, given_)
        assert type(state) in (transition.to or (type(before),))
        assert step(before, given_) == (state, effects)  # it is pure
        events.update(kinds(effects))
        jobs.update(type(effect) for effect in effects)
        _check(before, state, events)
    assert jobs[Enrich] <= 1
    assert jobs[MarkReported] + jobs[DeletePod] <= 2


def _check(before: State, state: State, events: Counter[EventKind]) -> None:
    assert events[EventKind.FINISHED] + events[EventKind.LOST] <= 1
    assert events[EventKind.DELETED] <= 1
    assert events[EventKind.CREATED] + events[EventKind.ADOPTED] <= 1
    assert state.rules is before.rules
    _check_what_is_known(before, state)
    if outcome_of(before) is not None:
        assert outcome_of(state) is outcome_of(before)
    if before.is_done:
        assert type(state) is type(before)
    if isinstance(state, Relinquished):
        assert outcome_of(state) is None
    if events[EventKind.DELETED]:
        assert events[EventKind.FINISHED] == 1


def _check_what_is_known(before: State, state: State) -> None:
    """Nothing that was once known is lost: the record, the clocks, that the runner ended it, that it is gone."""
    known, newest = snapshot_of(before), snapshot_of(state)
    if known is not None:
        assert newest is not None
        assert newest.first_seen_s == known.first_seen_s
        assert newest.deletion_asked_at == known.deletion_asked_at or known.deletion_asked_at is None
        assert states.is_gone(state) or not states.is_gone(before)
    assert type(getattr(state, "gone", False)) is bool
    assert type(getattr(state, "delete", False)) is bool
    assert type(getattr(state, "has_deadline", False)) is bool
    if isinstance(before, states.LiveState) and isinstance(state, states.LiveState):
        assert isinstance(state.clocks, Clocks)
    ended_by_us = getattr(before, "termination", None)
    if ended_by_us is not None and hasattr(state, "termination"):
        assert state.termination is not None
        assert state.termination.grace_period_s == ended_by_us.grace_period_s
        assert state.termination.verdict is ended_by_us.verdict
    if isinstance(state, SettledState | Finished):
        assert isinstance(state.outcome, Outcome)


@settings(max_examples=200)
@given(by=policies, seen=st.lists(records, min_size=1, max_size=6), cancelled=st.booleans())
def test_every_life_that_is_carried_out_ends(by: Rules, seen: list[Pod], *, cancelled: bool):
    """Whatever is observed, a pod that goes, and whose effects are carried out, is finished, forgotten and reported."""
    state: State = New(rules=by)
    effects: list[states.Effect] = []
    answers: dict[type, states.Input] = {
        DeletePod: DeletionAnswered(),
        Enrich: OutcomeEnriched(FAILURE),
        MarkReported: ReportMarked(),
        DrainLog: LogDrained(),
    }
    script: list[states.Input] = [LaunchStarted(), PodCreated(seen[0], 0.0), *map(PodObserved, seen[1:])]
    if cancelled:
        script.append(TerminationRequested())
    for given_ in [*script, PodGone(), *([None] * 10)]:
        pending = [given_] if given_ is not None else []
        for one in pending:
            if type(one) in TABLE[type(state)]:
                state, new = step(state, one)
                effects += new
                pending += [answers[type(effect)] for effect in new if type(effect) in answers]
    assert isinstance(state, Finished)
    assert [k for k in kinds(tuple(effects)) if k != EventKind.STATUS_CHANGED] == [
        EventKind.CREATED,
        EventKind.FINISHED,
        EventKind.DELETED,
    ]
    assert effects.count(states.Untrack()) == 1
