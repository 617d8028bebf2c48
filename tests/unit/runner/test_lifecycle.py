"""The state machine of a pod's life: every state with every input, and what follows up to the settled outcome.

What follows from then on is tested in ``test_lifecycle_delivery.py``, random lives in ``test_lifecycle_random.py``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import runpy
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace
from podrunner.builder.labels import OUTCOME_FINALIZER, VERDICT
from podrunner.errors import TransportError
from podrunner.machine import IllegalInputError
from podrunner.outcome import Category, Fault, History, Outcome, classify
from podrunner.outcome.record import ContainerSpec, Event, Pod, PodCondition
from podrunner.runner import effects, inputs, lifecycle, states
from podrunner.runner.deadlines import Clocks
from podrunner.runner.effects import (
    AwaitDeletion,
    AwaitFinalStatus,
    ConfirmDeletion,
    DeletePod,
    Emit,
    EndPod,
    Enrich,
    NoteEnd,
    UnwatchDeadlines,
    WatchDeadlines,
)
from podrunner.runner.events import EventKind
from podrunner.runner.inputs import (
    DeadlinesChecked,
    DeletionAnswered,
    DeletionDeclined,
    DeletionOverdue,
    FinalStatusOverdue,
    LaunchCancelled,
    LaunchRefused,
    LeaseLost,
    OutcomeEnriched,
    PodAdopted,
    PodCreated,
    PodGone,
    PodObserved,
    RunnerClosed,
    TakenOver,
    TerminationRequested,
)
from podrunner.runner.lifecycle import TABLE, records, step, table
from podrunner.runner.states import (
    Active,
    AwaitingFinalStatus,
    Creating,
    Draining,
    Enriching,
    Finished,
    New,
    Queued,
    Recording,
    Relinquished,
    SettledState,
    State,
    Terminating,
    Termination,
    snapshot_of,
)
from tests.support.pods import condition, ended, pod, runs, waits
from tests.unit.runner.lives import (
    BY_DEADLINE,
    CANCELLATION,
    DELETED,
    EXITED,
    FAILED,
    FAILURE,
    HELD,
    INPUTS,
    NO_IMAGE,
    NODE_LOST,
    NOW,
    PENDING,
    RULES,
    RUNNING,
    STATES,
    SUCCEEDED,
    active,
    awaiting,
    enriching,
    finished,
    kinds,
    recording,
    rules,
    settled,
    snapshot,
    terminating,
    with_grace,
)

NOTHING = "-"
SAME = "="
# What follows in each state on each input of INPUTS: the next state, by the first letters of its name; `=` where the
# state's kind stays; `-` where the input is illegal. The columns are the states.
EXPECTED = """
                     New   Queue Creat Activ Termi Await Enric Recor Drain Undel Repor Remov Finis Relin
Submitted            Queue -     -     -     -     -     -     -     -     -     -     -     -     -
LaunchStarted        Creat Creat -     -     -     -     -     -     -     -     -     -     -     -
LaunchRefused        Finis Finis Finis =     =     =     =     =     =     =     =     =     =     =
LaunchCancelled      Finis Finis Finis =     =     =     =     =     =     =     =     =     =     =
LaunchDeferred       -     -     Queue -     -     -     -     -     -     -     -     -     -     -
AttemptLost          Relin Relin Relin =     =     =     =     =     =     =     =     =     =     =
AttemptReplayed      Finis Finis Finis -     -     -     -     -     -     -     -     -     -     -
PodCreated           -     -     Activ -     -     -     -     -     -     -     -     -     -     =
PodAdopted           Activ Activ Activ -     -     -     -     -     -     -     -     -     -     -
PodObserved          -     -     -     =     =     =     =     =     =     =     =     =     =     =
PodGone              -     -     -     Enric Enric Enric =     =     =     =     =     =     =     =
DeadlinesChecked     -     -     -     =     -     -     -     -     -     -     -     -     -     -
TerminationRequested -     -     -     Termi =     =     =     =     =     =     =     =     =     =
RemovalRequested     -     -     -     -     -     -     -     -     =     Remov =     =     =     =
DeletionAnswered     -     -     -     -     =     =     =     =     =     =     =     =     =     =
DeletionDeclined     -     -     -     -     =     =     =     =     =     =     =     =     =     =
DeletionOverdue      -     -     -     -     Enric =     =     =     =     =     =     =     =     =
FinalStatusOverdue   -     -     -     =     =     Enric =     =     =     =     =     =     =     =
OutcomeEnriched      -     -     -     -     -     -     Drain -     -     -     -     -     -     =
OutcomeRecorded      -     -     -     -     -     -     -     Drain =     =     =     =     =     =
LogDrained           -     -     -     -     -     -     -     -     Undel -     -     -     =     -
OutcomeTaken         -     -     -     -     -     -     -     -     =     Repor =     =     =     -
RetryPlanned         -     -     -     -     -     -     -     -     =     =     =     =     =     -
RetryCreated         -     -     -     -     -     -     -     -     =     Repor =     =     =     -
RetryDropped         -     -     -     -     -     -     -     -     =     =     =     =     =     -
ReportMarked         -     -     -     -     -     -     -     -     -     -     Finis -     =     -
PodRemoved           -     -     -     -     -     -     -     -     =     =     =     Finis =     -
TakenOver            -     -     -     Relin Relin Relin Relin Relin Finis Finis Finis Finis =     =
LeaseLost            Relin Relin Relin Relin Relin Relin Relin Relin Finis Finis =     =     =     =
RunnerClosed         Relin Relin Relin Relin Relin Relin Relin Relin Finis Finis =     =     =     =
"""
LETTERS = 5


def expected() -> list[tuple[str, str, str]]:
    header, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    return [(state, row[0], cell) for row in rows for state, cell in zip(header, row[1:], strict=True)]


BY_NAME: dict[str, Any] = {kind.__name__[:LETTERS]: one for kind, one in STATES.items()}
BY_NAME |= {kind.__name__: one for kind, one in INPUTS.items()}


def test_the_table_has_every_state_and_every_input():
    assert set(TABLE) == set(STATES) == set(get_args(states.State))
    assert set(INPUTS) == set(get_args(inputs.Input))
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


def ignored() -> list[tuple[type[State], type[inputs.Input]]]:
    return [
        (state, given)
        for state, row in TABLE.items()
        for given, transition in row.items()
        if transition is table._LATE
    ]


@pytest.mark.parametrize(("state", "given"), ignored())
def test_what_comes_too_late_changes_nothing(state: type[State], given: type[inputs.Input]):
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
    assert following.effects == (effects.Untrack(), NoteEnd(), Emit(EventKind.FINISHED, outcome))
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
    assert effects.ExpectInWatch() in following.effects
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


def test_an_older_record_counts_once_the_servers_data_went_back():
    """W15: after a restore of etcd, what was newer is no more."""
    older = pod("Failed", ended("base", 1), version="1")
    following = step(active(), PodObserved(older, rewound=True)).state
    assert isinstance(following, Enriching)
    assert following.snapshot.pod is older


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
    assert known.history.deletion_asked_at == NOW + dt.timedelta(seconds=20)


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
def test_deadlines_are_not_watched_beyond_the_end(given: inputs.Input):
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
    expected = enriching(EXITED, provisional=following.state.provisional)
    assert following.state == replace(expected, judged=expected.snapshot)
    killed = pod("Running", ended("base", 143, end=30), deleted_at=20, grace_s=40, version="6")
    stopped = step(awaiting(killed, termination=Termination()), FinalStatusOverdue()).state
    assert isinstance(stopped, Enriching)
    assert stopped.provisional.category is Category.CANCELLED
    assert stopped == enriching(killed, provisional=stopped.provisional, termination=Termination())
    assert isinstance(step(awaiting(RUNNING), FinalStatusOverdue()).state, Active)


# Ending pods


def test_a_pod_that_has_started_is_ended_with_the_verdict_on_it():
    """The object stays, and an adopter reads what it was ended for."""
    following = step(active(), TerminationRequested())
    assert isinstance(following.state, Terminating)
    end = EndPod(
        outcome=CANCELLATION, is_settled=False, grace_period_s=None, keeps_pod=True, resource_version="2"
    )
    assert following.effects == (end,)
    assert (CANCELLATION.category, CANCELLATION.started) == (Category.CANCELLED, True)
    gone = step(following.state, PodGone()).state
    assert isinstance(gone, Enriching)
    assert gone.provisional.category is Category.CANCELLED


def test_a_pod_that_has_not_started_is_deleted_only_while_that_is_so():
    """The watch may be late: the pod's version says what the decision was made on."""
    following = step(active(PENDING), TerminationRequested(grace_period_s=7))
    assert isinstance(following.state, Terminating)
    (deletion,) = following.effects
    assert isinstance(deletion, DeletePod)
    assert (deletion.grace_period_s, deletion.resource_version) == (7, "1")
    over = pod("Failed", waits("base", "ContainerCreating"), deleted_at=30, version="3")
    gone = step(following.state, PodGone(over, is_last=True)).state
    assert isinstance(gone, Enriching)
    assert (gone.provisional.category, gone.provisional.started) == (Category.CANCELLED, False)
    unseen = step(following.state, PodGone()).state
    assert isinstance(unseen, Enriching)
    assert (unseen.provisional.category, unseen.provisional.started) == (Category.CANCELLED, True)


def test_a_pod_that_outlasts_its_deletion_has_its_verdict_on_it_first():
    """A finalizer holds it, or a kubelet has still to take leave of it: a successor may find it then."""
    unscheduled = pod("Pending", node=None)
    held = replace(unscheduled, metadata=replace(unscheduled.metadata, finalizers=(OUTCOME_FINALIZER,)))
    for record, is_written in ((unscheduled, False), (held, True), (PENDING, True)):
        (deletion,) = step(active(record), TerminationRequested()).effects
        assert isinstance(deletion, DeletePod)
        assert (deletion.verdict is not None) == is_written
        if deletion.verdict is not None:
            assert (deletion.verdict.category, deletion.verdict.started) == (Category.CANCELLED, False)


def test_a_verdict_is_written_once():
    annotated = replace(PENDING, metadata=replace(PENDING.metadata, annotations={VERDICT: "{}"}))
    assert step(active(annotated), TerminationRequested()).effects == (DeletePod(None, resource_version="1"),)


def test_the_verdict_on_a_pod_whose_final_status_is_awaited_is_that_it_was_cancelled():
    """It may have been evicted: the exit code says nothing yet."""
    (end,) = step(awaiting(), TerminationRequested()).effects
    assert isinstance(end, EndPod)
    assert (end.outcome.category, end.outcome.fault, end.outcome.retryable) == (
        Category.CANCELLED,
        Fault.CALLER,
        False,
    )


def test_how_a_pod_is_ended_is_decided_anew_if_it_had_changed():
    before = terminating(PENDING, grace_period_s=7)
    started = step(before, DeletionDeclined(RUNNING))
    assert isinstance(started.state, Terminating)
    assert isinstance(started.effects[-1], EndPod)
    assert started.effects[-1].outcome.started
    assert started.effects[-1].grace_period_s == 7
    scheduled = pod("Pending", waits("base", "ContainerCreating"), version="2")
    again = step(before, DeletionDeclined(scheduled))
    assert isinstance(again.effects[-1], DeletePod)
    assert (again.effects[-1].grace_period_s, again.effects[-1].resource_version) == (7, "2")
    over = step(before, DeletionDeclined(FAILED))
    assert isinstance(over.state, Enriching)
    assert over.effects[-1] == Enrich()
    assert not any(isinstance(effect, DeletePod | EndPod) for effect in over.effects)
    exited = step(before, DeletionDeclined(EXITED))
    assert isinstance(exited.state, AwaitingFinalStatus)
    assert isinstance(exited.effects[-1], EndPod)
    not_ours = step(awaiting(), DeletionDeclined(EXITED))
    assert isinstance(not_ours.state, AwaitingFinalStatus)
    assert not any(isinstance(effect, DeletePod | EndPod) for effect in not_ours.effects)


def test_what_was_over_when_it_was_to_be_ended_is_no_doing_of_the_runners():
    """Such as a pod that was preempted: no request was accepted."""
    condition = PodCondition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler")
    preempted = pod("Failed", conditions=(condition,), version="9")
    over = step(terminating(PENDING), DeletionDeclined(preempted)).state
    assert isinstance(over, Enriching)
    assert (over.provisional.category, over.termination) == (Category.PREEMPTED, None)
    asked = step(terminating(PENDING, asked_before=True), DeletionDeclined(preempted)).state
    assert isinstance(asked, Enriching)
    assert asked.provisional.category is Category.CANCELLED


def test_an_end_that_is_seen_before_the_request_shows_on_the_pod_is_its_own():
    """The watch brings it while the request is on its way, which is then declined."""
    condition = PodCondition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler")
    preempted = pod("Failed", conditions=(condition,), version="9")
    over = step(terminating(PENDING), PodObserved(preempted))
    assert isinstance(over.state, Enriching)
    assert (over.state.provisional.category, over.state.termination) == (Category.PREEMPTED, None)
    assert over.effects[-1] == Enrich()
    assert step(over.state, DeletionDeclined(preempted)) == (over.state, ())
    asked = step(terminating(PENDING, asked_before=True), PodObserved(preempted)).state
    assert isinstance(asked, Enriching)
    assert asked.provisional.category is Category.CANCELLED


OWN = 30  # Kubernetes' default for a pod that names none


@pytest.mark.parametrize(
    ("configured_s", "own_s", "asked_s", "keeps_pod"),
    [
        (None, None, None, True),
        (None, None, OWN, True),
        (None, None, 7, False),
        (None, None, 0, False),
        (None, 7, None, True),
        (None, 7, 7, True),
        (None, 7, OWN, False),
        (None, 0, 0, True),
        (5, None, None, False),
        (OWN, None, None, True),
        (5, 5, None, True),
        (5, 7, None, False),
        (5, 7, 7, True),
        (5, 5, 7, False),
    ],
)
def test_a_pod_is_kept_only_with_the_grace_period_of_its_own(
    configured_s: int | None, own_s: int | None, asked_s: int | None, *, keeps_pod: bool
):
    """A deadline has no other; deletion has."""
    by = rules() if configured_s is None else rules(delete_grace_period_s=configured_s)
    following = step(active(with_grace(RUNNING, own_s), by=by), TerminationRequested(asked_s))
    assert isinstance(following.state, Terminating)
    assert isinstance(following.effects[-1], EndPod)
    assert following.effects[-1].keeps_pod is keeps_pod
    assert following.effects[-1].grace_period_s == asked_s
    assert following.state.termination.keeps_pod is keeps_pod


def test_a_pod_that_is_being_deleted_is_not_given_a_deadline():
    following = step(active(DELETED), TerminationRequested())
    assert isinstance(following.effects[-1], EndPod)
    assert not following.effects[-1].keeps_pod


def test_a_pod_that_the_kubelet_ended_before_the_answer_was_there_is_cancelled():
    """The kubelet's status says only that the deadline, which the runner had lowered, was exceeded."""
    cancelled = step(active(), TerminationRequested()).state
    over = step(cancelled, PodObserved(BY_DEADLINE)).state
    assert isinstance(over, Enriching)
    assert over.provisional.category is Category.CANCELLED
    own = step(active(), PodObserved(BY_DEADLINE)).state
    assert isinstance(own, Enriching)
    assert own.provisional.category is Category.DEADLINE


def test_a_pod_that_does_not_end_by_its_deadline_is_deleted():
    given_up = terminating(verdict=FAILURE, grace_period_s=7, keeps_pod=True, by_deadline=True)
    following = step(given_up, DeletionOverdue())
    assert following.effects == (DeletePod(7, resource_version="2"),)
    assert following.state == replace(
        given_up, termination=replace(given_up.termination, keeps_pod=False, asked_before=True)
    )
    answered = step(following.state, DeletionAnswered())
    assert answered.effects == (AwaitDeletion(67.0),)
    over = step(answered.state, DeletionOverdue()).state
    assert isinstance(over, Enriching)
    assert over.provisional is FAILURE


@pytest.mark.parametrize("given_", [DeletionOverdue(), DeletionAnswered()], ids=["overdue", "failed patch"])
def test_a_deadline_that_was_lowered_is_the_runners_whatever_is_tried_after_it(given_: inputs.Input):
    """The kubelet may act on it late, or the patch may have been done though its answer says that it failed."""
    cancelled = step(active(), TerminationRequested()).state
    over = step(step(cancelled, given_).state, PodObserved(BY_DEADLINE)).state
    assert isinstance(over, Enriching)
    assert over.provisional.category is Category.CANCELLED


def test_a_pod_that_ended_unseen_is_not_deleted_because_its_end_seemed_overdue():
    """The watch is late; the outcome is still to be delivered."""
    deleting = step(terminating(keeps_pod=True, by_deadline=True), DeletionOverdue()).state
    over = step(deleting, DeletionDeclined(SUCCEEDED))
    assert isinstance(over.state, Enriching)
    assert over.state.provisional.succeeded
    assert over.effects[-1] == Enrich()


def test_the_answer_to_a_second_request_does_not_show_that_the_pod_ended_by_itself():
    """What the first one did may be seen in it, however long that took."""
    cancelled = step(active(), TerminationRequested()).state
    accepted = step(cancelled, DeletionAnswered(RUNNING, is_first=True, keeps_pod=True)).state
    deleting = step(accepted, DeletionOverdue()).state
    over = step(deleting, DeletionAnswered(BY_DEADLINE, is_first=True)).state
    assert isinstance(over, Enriching)
    assert over.provisional.category is Category.CANCELLED


@pytest.mark.parametrize(("code", "category"), [(143, Category.CANCELLED), (3, Category.FAILED)])
def test_what_another_client_deleted_has_not_ended_by_itself_before_it_was_cancelled(
    code: int, category: Category
):
    """A finalizer holds it; the watch is late. An exit code that is no kill's is its own."""
    before = terminating(RUNNING, keeps_pod=True, by_deadline=True)
    held = pod("Failed", ended("base", code), deleted_at=2_000, version="9")
    over = step(before, DeletionAnswered(held, is_first=True, keeps_pod=True)).state
    assert isinstance(over, Enriching)
    assert over.provisional.category is category


def test_what_another_client_had_deleted_has_not_ended_by_itself_whatever_the_answer_shows():
    """A finalizer holds it; the watch had shown the deletion, and not yet the end."""
    cancelled = step(active(DELETED), TerminationRequested()).state
    held = pod("Failed", ended("base", 143, end=25), deleted_at=60, version="9")
    over = step(cancelled, DeletionAnswered(held, is_first=True)).state
    assert isinstance(over, Enriching)
    assert over.provisional.category is Category.CANCELLED


def test_a_pod_that_awaits_its_final_status_can_be_cancelled_once():
    following = step(awaiting(), TerminationRequested(grace_period_s=7))
    (end,) = following.effects
    assert isinstance(end, EndPod)
    assert (end.grace_period_s, end.keeps_pod) == (7, False)
    assert step(following.state, TerminationRequested(grace_period_s=8)) == (following.state, ())


def test_a_deadline_ends_a_pod_once_it_has_passed():
    by = rules(pending={"image_grace_s": 60})
    first = step(active(NO_IMAGE, by=by, has_deadline=True), DeadlinesChecked(10.0))
    assert isinstance(first.state, Active)
    assert not first.effects
    assert step(first.state, DeadlinesChecked(69.0)).state is first.state
    over = step(first.state, DeadlinesChecked(70.0))
    assert isinstance(over.state, Terminating)
    assert over.state.termination.verdict is not None
    verdict = over.state.termination.verdict
    assert over.effects == (UnwatchDeadlines(), DeletePod(None, resource_version="1", verdict=verdict))
    assert over.state.termination.verdict.category is Category.IMAGE
    ended_by_us = step(over.state, PodGone()).state
    assert isinstance(ended_by_us, Enriching)
    assert ended_by_us.provisional.category is Category.IMAGE


def test_a_run_has_its_limit():
    by = rules(run_timeout_s=30)
    started = step(active(by=by, has_deadline=True), DeadlinesChecked(10.0)).state
    over = step(started, DeadlinesChecked(40.0))
    assert isinstance(over.state, Terminating)
    verdict = over.state.termination.verdict
    assert verdict is not None
    assert verdict.category is Category.DEADLINE
    version = over.state.snapshot.pod.metadata.resource_version
    end = EndPod(
        outcome=verdict, is_settled=False, grace_period_s=None, keeps_pod=True, resource_version=version
    )
    assert over.effects == (UnwatchDeadlines(), end)


@pytest.mark.parametrize(("force", "grace"), [(True, 0), (False, None)])
def test_a_pod_of_a_lost_node_is_deleted_by_force_where_the_configuration_says_so(
    *, force: bool, grace: int | None
):
    """No kubelet acts on its deadline any more."""
    by = rules(node_lost_grace_s=30, force_delete_lost=force)
    suspect = step(active(NODE_LOST, by=by, has_deadline=True), DeadlinesChecked(0.0)).state
    over = step(suspect, DeadlinesChecked(30.0))
    assert isinstance(over.state, Terminating)
    verdict = over.state.termination.verdict
    assert verdict is not None
    assert verdict.category is Category.NODE_LOST
    version = over.state.snapshot.pod.metadata.resource_version
    end = EndPod(
        outcome=verdict, is_settled=False, grace_period_s=grace, keeps_pod=False, resource_version=version
    )
    assert over.effects == (UnwatchDeadlines(), end)
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


@pytest.mark.parametrize(
    ("exit_code", "category", "if_repeated"),
    [(0, Category.SUCCEEDED, Category.SUCCEEDED), (3, Category.FAILED, Category.CANCELLED)],
)
def test_a_main_container_that_ended_before_the_deadline_keeps_its_own_end(
    exit_code: int, category: Category, if_repeated: Category
):
    """A kubelet that had not written the final phase yet then writes that the deadline was exceeded."""
    cancelled = step(active(), TerminationRequested()).state
    answer = pod("Running", ended("base", exit_code), version="7")
    answered = step(cancelled, DeletionAnswered(answer, is_first=True, keeps_pod=True)).state
    last = pod("Failed", ended("base", exit_code), reason="DeadlineExceeded", version="8")
    over = step(answered, PodObserved(last)).state
    assert isinstance(over, Enriching)
    assert (over.provisional.category, over.provisional.exit_code) == (category, exit_code)
    # An earlier request whose answer was lost may have ended it.
    unsure = step(cancelled, DeletionAnswered(answer, is_first=False, keeps_pod=True)).state
    later = unsure if isinstance(unsure, Enriching) else step(unsure, PodObserved(last)).state
    assert isinstance(later, Enriching)
    assert later.provisional.category is if_repeated


def test_a_pod_whose_own_deadline_had_passed_before_it_was_cancelled_keeps_that_end():
    cancelled = step(active(), TerminationRequested()).state
    over = step(cancelled, DeletionAnswered(BY_DEADLINE, is_first=True, keeps_pod=True)).state
    assert isinstance(over, Enriching)
    assert over.provisional.category is Category.DEADLINE
    # A first request whose answer was lost may have lowered that deadline.
    unsure = step(cancelled, DeletionAnswered(BY_DEADLINE, is_first=False, keeps_pod=True)).state
    assert isinstance(unsure, Enriching)
    assert unsure.provisional.category is Category.CANCELLED


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


def test_a_deleted_pod_that_no_node_has_is_over_though_a_finalizer_holds_it():
    """No kubelet will end it, and none will ever report it gone."""
    following = step(active(pod(node=None)), PodObserved(HELD)).state
    assert isinstance(following, Enriching)
    assert following.provisional.category is Category.DELETED_BY_OTHERS
    assert not following.gone
    ours = step(terminating(pod(node=None)), PodObserved(HELD)).state
    assert isinstance(ours, Enriching)
    assert ours.provisional.category is Category.CANCELLED
    on_a_node = pod("Pending", deleted_at=20, version="5")
    assert isinstance(step(active(PENDING), PodObserved(on_a_node)).state, Active)


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


# Other owners


@pytest.mark.parametrize(
    "kind", [New, Queued, Creating, Active, Terminating, AwaitingFinalStatus, Enriching, Recording]
)
def test_a_lost_lease_is_reported_for_each_pod_without_an_outcome(kind: type[State]):
    following = step(STATES[kind], LeaseLost("no answer"))
    assert following.state == Relinquished(rules=RULES, snapshot=snapshot_of(STATES[kind]))
    (report,) = [effect for effect in following.effects if isinstance(effect, Emit)]
    assert report == Emit(EventKind.LOST, message="this runner lost its lease: no answer")
    assert NoteEnd() in following.effects


@pytest.mark.parametrize("before", [active(), terminating(), awaiting(), enriching(), recording()])
def test_a_pod_that_another_runner_took_over_is_reported_and_forgotten(before: Any):
    following = step(before, TakenOver())
    assert following.state == Relinquished(rules=RULES, snapshot=before.snapshot)
    report = Emit(EventKind.LOST, message="another runner took it over")
    assert following.effects == (report, NoteEnd(), ConfirmDeletion(), effects.Untrack())


def test_closing_gives_no_event():
    following = step(active(), RunnerClosed())
    assert following.state == Relinquished(rules=RULES, snapshot=snapshot())
    assert following.effects == (NoteEnd(),)


def test_a_pod_that_was_gone_when_it_was_relinquished_stays_gone():
    for given_ in (TakenOver(), LeaseLost("silence"), RunnerClosed()):
        assert states.is_gone(step(enriching(gone=True), given_).state)
        assert states.is_gone(step(recording(gone=True), given_).state)


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


def test_an_adopter_counts_the_time_to_start_from_the_node():
    """P11: a gate may have held the pod until then; no record shows when it opened."""
    bound = PodCondition(type="PodScheduled", status="True", last_transition_time="2026-01-01T00:01:30Z")
    now = NOW + dt.timedelta(seconds=100)
    gated_for_long = pod("Pending", waits("base", "ContainerCreating"), conditions=(bound,))
    known = states.snapshot_of(step(New(rules=RULES), PodAdopted(gated_for_long, 500.0, now)).state)
    assert known is not None
    assert known.first_seen_s == 490.0


def test_a_record_that_says_nothing_new_is_compared_and_no_more(monkeypatch: pytest.MonkeyPatch):
    """W13: annotations and conditions that no rule reads change often."""
    before = replace(active(NO_IMAGE, has_deadline=True), next_check_s=99.0)
    again = replace(
        NO_IMAGE, metadata=replace(NO_IMAGE.metadata, resource_version="7", annotations={"a": "b"})
    )

    def remember(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is read")

    monkeypatch.setattr(records, "remember", remember)
    following = step(before, PodObserved(again))
    assert following.effects == (effects.CollectLog(),)
    assert following.state == replace(before, snapshot=replace(before.snapshot, pod=again))


def test_deadlines_are_the_main_containers():
    by = rules(run_timeout_s=30)
    waits_beside = with_beside("Running", runs("beside"), waits("base", "PodInitializing"))
    before = active(waits_beside, by=by, has_deadline=True)
    waiting = step(before, DeadlinesChecked(10.0))
    assert (type(waiting.state), waiting.effects) == (Active, ())
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
    assert following.provisional.started, "its node says nothing any more, and may have gone on"
    unbound = step(terminating(pod("Pending", node=None)), DeletionOverdue()).state
    assert isinstance(unbound, Enriching)
    assert not unbound.provisional.started


@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("node", ["node-1", None])
def test_a_pod_that_went_while_the_watch_was_broken_may_have_begun(*, is_last: bool, node: str | None):
    """P10: only of the last record of a pod without a node is it known that nothing of it ran."""
    waiting = replace(PENDING, spec=replace(PENDING.spec, node_name=node))
    gone = step(active(waiting), PodGone(waiting, is_last=is_last)).state
    assert isinstance(gone, Enriching)
    assert gone.provisional.category is Category.DELETED_BY_OTHERS
    assert gone.provisional.started is (node is not None or not is_last)
    assert lifecycle.with_events(gone, []).started is gone.provisional.started


def test_a_pod_that_began_after_it_was_given_up_has_started():
    """P10: the node pulled the image while the deletion was on its way; that is charged."""
    verdict = Outcome(
        category=Category.IMAGE, fault=Fault.INFRASTRUCTURE, started=False, retryable=True, message="given up"
    )
    given_up = terminating(PENDING, verdict=verdict)
    killed = pod("Failed", ended("base", 143, end=22), deleted_at=30, version="6")
    over = step(given_up, PodObserved(killed)).state
    assert isinstance(over, Enriching)
    assert (over.provisional.category, over.provisional.started) == (Category.IMAGE, True)
    assert over.termination is not None
    assert lifecycle.with_events(over, []) == over.provisional


# What only some records or events say


def test_events_say_that_another_clients_deletion_killed_the_container():
    last = pod("Failed", ended("base", 3, end=43), deleted_at=45, version="6")
    outcome = classify(last)
    assert outcome is not None
    before = enriching(last, provisional=outcome, gone=True)
    assert lifecycle.wants_events(before)
    known = replace(before, snapshot=replace(before.snapshot, history=History(deletion_asked_at=NOW)))
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


@pytest.mark.parametrize("before", [recording(), settled(Draining), finished()])
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
        lost = pod("Failed", reason="Evicted", version="9")
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
        following = step(settled(Draining), DeletionAnswered(leaving, is_first=True))
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
        "before", [active(), terminating(), enriching(RUNNING), recording(RUNNING), settled(Draining)]
    )
    def test_a_deletion_is_confirmed_when_the_pod_is_gone_and_not_before(self, before: State):
        changed = pod("Running", runs("base", ready=False), version="9")
        assert ConfirmDeletion() not in step(before, PodObserved(changed)).effects
        assert ConfirmDeletion() in step(before, PodGone(changed)).effects
