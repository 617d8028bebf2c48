"""The state machine of a pod's life from its settled outcome on: recorded, drained, delivered, and only then let go."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace
from podrunner.builder.labels import OUTCOME_FINALIZER, RESULT_PATH
from podrunner.outcome import Category, Outcome
from podrunner.outcome.record import Event, Pod
from podrunner.runner import effects, inputs, lifecycle
from podrunner.runner.effects import (
    AwaitDeletion,
    ConfirmDeletion,
    DrainLog,
    Emit,
    EndPod,
    Enrich,
    MarkReported,
    NoteEnd,
    RecordOutcome,
    ReleaseInEndingNamespace,
    RemoveLogCursors,
    RemovePod,
    Untrack,
)
from podrunner.runner.events import EventKind
from podrunner.runner.inputs import (
    DeadlinesChecked,
    DeletionAnswered,
    DeletionOverdue,
    LeaseLost,
    LogDrained,
    OutcomeEnriched,
    OutcomeRecorded,
    OutcomeTaken,
    PodAdopted,
    PodGone,
    PodObserved,
    PodRemoved,
    RemovalRequested,
    ReportMarked,
    RetryCreated,
    RetryDropped,
    RetryPlanned,
    RunnerClosed,
    TakenOver,
    TerminationRequested,
)
from podrunner.runner.lifecycle import step
from podrunner.runner.states import (
    Active,
    AwaitingFinalStatus,
    Delivery,
    Disposal,
    Draining,
    Enriching,
    Finished,
    New,
    Recording,
    Removing,
    Reporting,
    SettledState,
    State,
    Terminating,
    Termination,
    Undelivered,
)
from tests.support.pods import ended, pod, runs, waits
from tests.unit.runner.lives import (
    BY_DEADLINE,
    CANCELLATION,
    DELETE,
    EXITED,
    FAILED,
    FAILURE,
    HELD,
    KEEP,
    NOW,
    OUTCOME,
    RULES,
    RUNNING,
    SIDECAR_GOES_ON,
    SUCCEEDED,
    TAKEN,
    UNTAKEN,
    active,
    classified,
    enriching,
    finished,
    held,
    kinds,
    recording,
    rules,
    settled,
    snapshot,
    with_grace,
    written,
)

GONE_EFFECTS = (Untrack(), RemoveLogCursors())


# Settled, drained, delivered


@pytest.mark.parametrize("order", ["drained first", "taken first"])
def test_a_pod_is_deleted_once_its_log_is_drained_and_its_outcome_delivered(order: str):
    draining = step(enriching(by=rules(**DELETE)), OutcomeEnriched(OUTCOME))
    assert isinstance(draining.state, Draining)
    assert draining.state.disposal is Disposal.DELETE
    assert draining.effects == (NoteEnd(), Emit(EventKind.FINISHED, OUTCOME), DrainLog(1.0))
    first, second = (LogDrained(), OutcomeTaken())[:: 1 if order == "drained first" else -1]
    waiting = step(draining.state, first)
    assert waiting.effects == ()
    assert waiting.state.is_undelivered is (order == "drained first")
    removing = step(waiting.state, second)
    assert isinstance(removing.state, Removing)
    assert removing.effects == (RemovePod(),)
    removed = step(removing.state, PodRemoved())
    assert removed.state == Finished(
        rules=removing.state.rules, snapshot=removing.state.snapshot, outcome=OUTCOME, gone=False
    )
    assert removed.effects == ()
    gone = step(removed.state, PodGone())
    assert kinds(gone.effects) == [EventKind.DELETED]
    assert gone.effects[-2:] == GONE_EFFECTS
    assert step(gone.state, PodGone()) == (gone.state, ())


@pytest.mark.parametrize("order", ["drained first", "taken first"])
def test_a_pod_is_marked_as_reported_once_its_log_is_drained_and_its_outcome_delivered(order: str):
    """No runner reports a retained pod that bears the mark any more."""
    draining = step(enriching(by=rules(**KEEP)), OutcomeEnriched(OUTCOME))
    assert isinstance(draining.state, Draining)
    assert draining.state.disposal is Disposal.RETAIN
    assert draining.effects[-1] == DrainLog(None)
    first, second = (LogDrained(), OutcomeTaken())[:: 1 if order == "drained first" else -1]
    waiting = step(draining.state, first)
    assert waiting.effects == ()
    marking = step(waiting.state, second)
    assert isinstance(marking.state, Reporting)
    assert marking.effects == (MarkReported(),)
    done = step(marking.state, ReportMarked())
    assert (type(done.state), done.effects) == (Finished, ())


@pytest.mark.parametrize("kind", [Draining, Undelivered])
def test_an_outcome_is_delivered_once(kind: Any):
    taken = step(settled(kind), OutcomeTaken()).state
    assert step(taken, OutcomeTaken()) == (taken, ())


def test_which_states_hold_an_undelivered_outcome_and_which_are_still_open():
    """Closing and ``wait_all`` wait for what is open: never for delivery."""
    draining, waiting = settled(Draining), settled(Undelivered)
    assert (draining.is_undelivered, draining.is_open, draining.is_drained) == (True, True, False)
    assert (waiting.is_undelivered, waiting.is_open, waiting.is_drained) == (True, False, True)
    for kind in (Removing, Reporting):
        leaving = settled(kind, delivery=TAKEN)
        assert (leaving.is_undelivered, leaving.is_open, leaving.is_drained) == (False, True, True)
    assert (finished().is_undelivered, finished().is_open, finished().is_done) == (False, False, True)
    for state in (draining, waiting):
        assert not state.is_active
        assert state.is_ended
        assert not state.is_done


def test_a_failed_pod_has_a_policy_of_its_own():
    for keep, disposal in ((True, Disposal.RETAIN), (False, Disposal.DELETE)):
        by = rules(delete_pods=True, delete_pods_on_failure=not keep)
        following = step(enriching(FAILED, by=by, provisional=FAILURE), OutcomeEnriched(FAILURE)).state
        assert isinstance(following, Draining)
        assert following.disposal is disposal


@pytest.mark.parametrize("by", [rules(**KEEP), rules(**DELETE)])
def test_a_pod_that_the_runner_ended_is_deleted_whatever_the_policy_says(by: Any):
    """It stays for its delivery alone."""
    record = written(BY_DEADLINE, verdict=CANCELLATION)
    outcome = classified(record, cancelled=True, by_deadline=True)
    termination = Termination(keeps_pod=True, by_deadline=True)
    before = enriching(record, by=by, termination=termination, provisional=outcome)
    following = step(before, OutcomeEnriched(outcome))
    assert isinstance(following.state, Draining)
    assert following.state.disposal is Disposal.DELETE
    assert following.effects[-1] == DrainLog(None)  # the caller ended it: no reader of the log is awaited


# Pods that are gone


def test_a_pod_that_is_gone_before_its_outcome_is_settled():
    seen = step(enriching(), PodGone())
    assert kinds(seen.effects) == []
    draining = step(seen.state, OutcomeEnriched(OUTCOME))
    assert kinds(draining.effects) == [EventKind.FINISHED, EventKind.DELETED]
    assert draining.effects[-1] == DrainLog(None)
    waiting = step(draining.state, LogDrained())
    assert isinstance(waiting.state, Undelivered)
    done = step(waiting.state, OutcomeTaken())
    assert isinstance(done.state, Finished)
    assert done.effects == GONE_EFFECTS


@pytest.mark.parametrize("kind", [Draining, Undelivered, Reporting, Removing])
def test_a_deletion_is_reported_when_it_is_seen(kind: Any):
    gone = step(settled(kind), PodGone())
    assert kinds(gone.effects) == [EventKind.DELETED]
    assert ConfirmDeletion() in gone.effects
    assert Untrack() not in gone.effects
    assert kinds(step(gone.state, PodGone()).effects) == []


@pytest.mark.parametrize("disposal", list(Disposal))
def test_a_pod_that_goes_while_it_is_drained_is_neither_deleted_nor_marked(disposal: Disposal):
    gone = step(settled(Draining, disposal=disposal, delivery=TAKEN), PodGone())
    done = step(gone.state, LogDrained())
    assert isinstance(done.state, Finished)
    assert done.state.gone
    assert done.effects == GONE_EFFECTS


@pytest.mark.parametrize(("kind", "given"), [(Reporting, ReportMarked()), (Removing, PodRemoved())])
def test_a_pod_that_goes_while_it_is_let_go_is_forgotten_with_that(kind: Any, given: inputs.Input):
    gone = step(settled(kind, delivery=TAKEN), PodGone())
    done = step(gone.state, given)
    assert isinstance(done.state, Finished)
    assert done.effects == GONE_EFFECTS


# What the pod alone would not say is recorded first


def test_an_outcome_that_the_pod_says_itself_is_not_written_to_it():
    """The default costs two requests a pod: its create and its delete."""
    for record, outcome in ((SUCCEEDED, OUTCOME), (FAILED, FAILURE)):
        following = step(enriching(record, provisional=outcome), OutcomeEnriched(outcome))
        assert isinstance(following.state, Draining)
        assert not any(isinstance(effect, RecordOutcome) for effect in following.effects)


def test_an_outcome_that_only_events_tell_is_recorded():
    """An adopter may find no events any more."""
    last = pod("Failed", ended("base", 3, end=43), deleted_at=45, version="6")
    before = enriching(last, provisional=classified(last))
    outcome = lifecycle.with_events(before, [Event(reason="Killing", message="Stopping container base")])
    following = step(before, OutcomeEnriched(outcome))
    assert following.state == Recording(
        rules=RULES, snapshot=before.snapshot, outcome=outcome, termination=None, gone=False
    )
    assert following.effects == (RecordOutcome(outcome),)
    done = step(following.state, OutcomeRecorded())
    assert isinstance(done.state, Draining)
    assert done.state.outcome is outcome
    assert done.effects[:2] == (NoteEnd(), Emit(EventKind.FINISHED, outcome))


def test_what_only_an_earlier_record_said_is_recorded():
    lost = pod("Failed", reason="Evicted", version="9")
    seen = step(active(RUNNING), PodObserved(lost)).state
    assert isinstance(seen, Enriching)
    assert seen.provisional.started
    following = step(seen, OutcomeEnriched(seen.provisional))
    assert following.effects == (RecordOutcome(seen.provisional),)
    never = step(active(pod("Pending")), PodObserved(lost)).state
    assert isinstance(never, Enriching)
    assert isinstance(step(never, OutcomeEnriched(never.provisional)).state, Draining)


def test_what_the_failure_policy_made_of_it_needs_no_record():
    """An adopter applies it too."""
    policy = [{"name": "quiet", "action": "retry", "on_exit_codes": {"operator": "In", "values": [3]}}]
    by = rules(failure_policy=policy)
    following = step(enriching(FAILED, by=by, provisional=FAILURE), OutcomeEnriched(FAILURE)).state
    assert isinstance(following, Draining)
    assert following.outcome.retryable


@pytest.mark.parametrize("category", [Category.CANCELLED, Category.DEADLINE])
def test_a_pod_that_bears_the_verdict_needs_no_record(category: Category):
    if category is Category.CANCELLED:
        ending = step(active(), TerminationRequested())
    else:
        by = rules(run_timeout_s=30)
        started = step(active(by=by, has_deadline=True), DeadlinesChecked(10.0)).state
        ending = step(started, DeadlinesChecked(40.0))
    end = ending.effects[-1]
    assert isinstance(end, EndPod)
    over = step(ending.state, PodObserved(written(BY_DEADLINE, verdict=end.outcome))).state
    assert isinstance(over, Enriching)
    following = step(over, OutcomeEnriched(over.provisional))
    assert isinstance(following.state, Draining)
    assert following.state.outcome.category is category


@pytest.mark.parametrize("record", [BY_DEADLINE, HELD], ids=["ended by its deadline", "deleted and held"])
def test_a_cancelled_pod_that_bears_no_verdict_is_recorded(record: Pod):
    """One that had not started is deleted without a verdict, and one may not be written; the pod may stay."""
    before = enriching(record, termination=Termination(by_deadline=True), provisional=CANCELLATION)
    following = step(before, OutcomeEnriched(CANCELLATION))
    assert following.effects == (RecordOutcome(CANCELLATION),)


def test_an_overdue_deletion_is_recorded_unless_the_verdict_is_on_the_pod():
    """A dead node: the pod stays, and is not over by itself."""
    marked = pod("Pending", waits("base", "ContainerCreating"), deleted_at=20, grace_s=30, version="5")
    ending = step(active(marked), TerminationRequested()).state
    over = step(ending, DeletionOverdue()).state
    assert isinstance(over, Enriching)
    assert step(over, OutcomeEnriched(over.provisional)).effects == (RecordOutcome(over.provisional),)


@pytest.mark.parametrize("exit_code", [0, 3])
def test_an_end_of_its_own_under_a_lowered_deadline_is_recorded(exit_code: int):
    """The kubelet may write afterwards that the deadline was exceeded."""
    own = pod("Succeeded" if not exit_code else "Failed", ended("base", exit_code), version="7")
    own = written(own, verdict=CANCELLATION)
    outcome = classified(own)
    by_us = Termination(keeps_pod=True, by_deadline=True)
    following = step(enriching(own, termination=by_us, provisional=outcome), OutcomeEnriched(outcome))
    assert following.effects == (RecordOutcome(outcome),)


def test_a_pod_that_is_gone_has_no_record():
    before = enriching(BY_DEADLINE, termination=Termination(), provisional=CANCELLATION, gone=True)
    assert isinstance(step(before, OutcomeEnriched(CANCELLATION)).state, Draining)
    went = step(recording(), PodGone())
    assert kinds(went.effects) == []
    done = step(went.state, OutcomeRecorded())
    assert kinds(done.effects) == [EventKind.FINISHED, EventKind.DELETED]
    assert done.state.gone


def test_what_is_seen_while_the_outcome_is_recorded_does_not_change_it():
    before = recording(FAILED, outcome=FAILURE)
    later = pod("Failed", ended("base", 9), version="9")
    seen = step(before, PodObserved(later))
    assert isinstance(seen.state, Recording)
    assert (seen.state.outcome, seen.state.snapshot.pod) == (FAILURE, later)
    answered = step(before, DeletionAnswered(later)).state
    assert answered.snapshot.pod is later
    assert step(seen.state, OutcomeRecorded()).state.outcome is FAILURE
    ours = replace(before, termination=Termination())
    assert step(ours, OutcomeRecorded()).state.disposal is Disposal.DELETE


# Sidecars that go on


def test_a_pod_whose_sidecar_goes_on_is_deleted_whatever_the_policy_says():
    following = step(enriching(SIDECAR_GOES_ON, by=rules(**KEEP)), OutcomeEnriched(OUTCOME)).state
    assert isinstance(following, Draining)
    assert following.disposal is Disposal.DELETE


def test_a_sidecar_that_goes_on_is_ended_while_the_outcome_waits_for_its_reader():
    """Nothing runs on without an owner; the pod stays, with its outcome on it."""
    before = settled(Draining, SIDECAR_GOES_ON, disposal=Disposal.DELETE)
    drained = step(before, LogDrained())
    assert isinstance(drained.state, Undelivered)
    end = EndPod(outcome=OUTCOME, is_settled=True, grace_period_s=None, keeps_pod=True)
    assert drained.effects == (end,)
    assert step(drained.state, OutcomeRecorded()) == (drained.state, ())
    # The kubelet then calls the pod failed: its outcome stays.
    killed = pod("Failed", ended("base"), ended("sidecar", 137), reason="DeadlineExceeded", version="9")
    after = step(drained.state, PodObserved(killed)).state
    assert after.outcome is OUTCOME


def test_a_sidecar_is_ended_by_its_deadline_whatever_grace_period_is_configured():
    """The pod has to stay until its outcome is delivered."""
    before = settled(
        Draining, with_grace(SIDECAR_GOES_ON, 7), by=rules(delete_grace_period_s=5), disposal=Disposal.DELETE
    )
    (end,) = step(before, LogDrained()).effects
    assert isinstance(end, EndPod)
    assert (end.keeps_pod, end.grace_period_s) == (True, None)


def test_a_sidecar_whose_pod_another_client_deleted_is_left_to_its_kubelet():
    before = settled(
        Draining,
        pod("Running", ended("base"), runs("sidecar"), deleted_at=20, grace_s=40),
        disposal=Disposal.DELETE,
    )
    assert step(before, LogDrained()).effects == ()


@pytest.mark.parametrize(
    "before",
    [
        settled(Draining, SIDECAR_GOES_ON, disposal=Disposal.DELETE, gone=True),
        settled(Draining, SUCCEEDED),
    ],
    ids=["gone", "over"],
)
def test_what_does_not_run_on_is_not_ended(before: Draining):
    assert step(before, LogDrained()).effects == ()


def test_a_delivered_pod_whose_sidecar_goes_on_is_simply_deleted():
    before = settled(Draining, SIDECAR_GOES_ON, disposal=Disposal.DELETE, delivery=TAKEN)
    assert step(before, LogDrained()).effects == (RemovePod(),)


def test_the_container_that_holds_a_result_runs_on_until_the_delivery():
    """A record holds no result: a successor reads it again."""
    meta = replace(SIDECAR_GOES_ON.metadata, annotations={RESULT_PATH: "/result"})
    record = replace(SIDECAR_GOES_ON, metadata=meta)
    before = settled(Draining, record, disposal=Disposal.DELETE)
    assert step(before, LogDrained()).effects == ()
    failed = replace(before, outcome=FAILURE)
    (end,) = step(failed, LogDrained()).effects
    assert isinstance(end, EndPod)


# A run's next try


@pytest.mark.parametrize("kind", [Draining, Undelivered])
@pytest.mark.parametrize("delivery", [UNTAKEN, TAKEN])
def test_an_outcome_is_delivered_by_the_next_tries_pod_and_no_sooner(kind: Any, delivery: Delivery):
    """Whether a reader took it before or not: without that pod, a successor could not go on with the run."""
    planned = step(settled(kind, delivery=delivery), RetryPlanned())
    assert (type(planned.state), planned.effects) == (kind, ())
    taken = step(planned.state, OutcomeTaken())
    assert (type(taken.state), taken.effects) == (kind, ())
    assert taken.state.is_undelivered
    created = step(taken.state, RetryCreated())
    assert not created.state.is_undelivered
    assert created.effects == ((MarkReported(),) if kind is Undelivered else ())


@pytest.mark.parametrize("kind", [Draining, Undelivered])
def test_the_next_tries_pod_delivers_though_no_reader_took_the_outcome(kind: Any):
    planned = step(settled(kind), RetryPlanned()).state
    created = step(planned, RetryCreated())
    assert not created.state.is_undelivered


@pytest.mark.parametrize("kind", [Draining, Undelivered])
def test_an_outcome_whose_next_try_is_dropped_needs_a_reader(kind: Any):
    planned = step(settled(kind), RetryPlanned()).state
    dropped = step(planned, RetryDropped())
    assert dropped == (settled(kind), ())
    taken = step(dropped.state, OutcomeTaken()).state
    assert not taken.is_undelivered


def test_an_outcome_that_was_taken_meanwhile_is_delivered_when_the_next_try_is_dropped():
    taken = step(step(settled(Undelivered), RetryPlanned()).state, OutcomeTaken()).state
    dropped = step(taken, RetryDropped())
    assert isinstance(dropped.state, Reporting)
    assert dropped.effects == (MarkReported(),)


def test_a_drained_pod_waits_for_its_next_try():
    planned = step(settled(Draining, delivery=TAKEN), RetryPlanned()).state
    drained = step(planned, LogDrained())
    assert (type(drained.state), drained.effects) == (Undelivered, ())
    assert isinstance(step(drained.state, RetryCreated()).state, Reporting)


# Deleting a pod that is over, by the caller


def test_a_caller_may_delete_a_pod_that_is_over():
    for before in (settled(Reporting), settled(Removing), finished()):
        assert step(before, RemovalRequested(3)).effects == (RemovePod(3),)
    for before in (settled(Reporting, gone=True), settled(Removing, gone=True), finished(gone=True)):
        assert step(before, RemovalRequested(3)) == (before, ())
    never_created = Finished(rules=RULES, outcome=OUTCOME)
    assert step(never_created, RemovalRequested(3)).effects == ()


@pytest.mark.parametrize("planned", [False, True])
def test_a_caller_who_deletes_a_pod_has_its_outcome(planned: bool):  # noqa: FBT001  # a parameter of the test
    delivery = Delivery(has_next_try=planned)
    waiting = step(settled(Undelivered, delivery=delivery), RemovalRequested(3))
    assert isinstance(waiting.state, Removing)
    assert waiting.state.delivery == TAKEN
    assert waiting.effects == (RemovePod(3),)
    draining = step(settled(Draining, delivery=delivery), RemovalRequested(3))
    assert draining.state == settled(Draining, disposal=Disposal.DELETE, delivery=TAKEN)
    assert draining.effects == (RemovePod(3),)
    gone = step(settled(Undelivered, gone=True, delivery=delivery), RemovalRequested(3))
    assert isinstance(gone.state, Finished)
    assert gone.effects == GONE_EFFECTS
    not_drained = step(settled(Draining, gone=True, delivery=delivery), RemovalRequested(3))
    assert not_drained == (settled(Draining, gone=True, delivery=TAKEN), ())


@pytest.mark.parametrize(
    "before",
    [settled(Draining), settled(Undelivered), settled(Reporting), settled(Removing), finished()],
    ids=lambda state: type(state).__name__,
)
def test_the_answer_to_a_deletion_of_a_pod_that_is_over_is_learnt(before: Any):
    later = pod("Succeeded", ended("base"), deleted_at=30, version="9")
    following = step(before, PodRemoved(later))
    assert snapshot_pod(following.state) is later
    assert effects.CollectLog() in following.effects
    assert not following.state.gone
    other = pod("Succeeded", ended("base"), uid="u2", version="9")
    assert snapshot_pod(step(before, PodRemoved(other)).state) is SUCCEEDED
    assert step(before, PodRemoved()).state.gone is False


def snapshot_pod(state: Any) -> Pod:
    return state.snapshot.pod


def test_the_answer_for_a_pod_that_is_gone_is_no_news():
    later = pod("Succeeded", ended("base"), deleted_at=30, version="9")
    gone = step(settled(Removing, gone=True), PodRemoved(later))
    assert gone.state == finished(gone=True)


# Adoption


def adopted(record: Pod, *, by: Any = RULES, after_s: int = 100, **stored: Outcome | None) -> Any:
    now = NOW + dt.timedelta(seconds=after_s)
    return step(New(rules=by), PodAdopted(record, 500.0, now, **stored))


def test_an_adopter_reports_the_outcome_that_was_settled():
    """Whatever the pod alone says; and the failure policy is not applied twice."""
    policy = [{"name": "quiet", "action": "retry", "on_exit_codes": {"operator": "In", "values": [3]}}]
    following = adopted(SUCCEEDED, by=rules(failure_policy=policy), outcome=FAILURE)
    assert isinstance(following.state, Draining)
    assert following.state.outcome is FAILURE
    assert following.state.is_undelivered
    assert kinds(following.effects) == [EventKind.ADOPTED, EventKind.FINISHED]
    assert NoteEnd() in following.effects
    assert isinstance(following.effects[-1], DrainLog)


@pytest.mark.parametrize(
    ("verdict", "disposal"), [(None, Disposal.RETAIN), (CANCELLATION, Disposal.DELETE)], ids=["own", "ended"]
)
def test_what_becomes_of_an_adopted_pod_with_an_outcome(verdict: Outcome | None, disposal: Disposal):
    """One that its owner ended is deleted, as it would have been there."""
    following = adopted(FAILED, by=rules(**KEEP), outcome=FAILURE, verdict=verdict).state
    assert following.disposal is disposal


def test_an_adopted_success_whose_result_is_still_there_is_read_again():
    meta = replace(SIDECAR_GOES_ON.metadata, annotations={RESULT_PATH: "/result"})
    following = adopted(replace(SIDECAR_GOES_ON, metadata=meta), outcome=OUTCOME)
    assert isinstance(following.state, Enriching)
    assert following.state.provisional is OUTCOME
    assert following.effects[-1] == Enrich()
    assert kinds(following.effects) == [EventKind.ADOPTED]
    assert isinstance(adopted(SIDECAR_GOES_ON, outcome=OUTCOME).state, Draining)


def test_an_adopter_goes_on_ending_a_pod_that_bears_a_verdict():
    """Of a run time-out too: it is not counted anew."""
    verdict = replace_message(FAILURE, "given up")
    following = adopted(RUNNING, verdict=verdict)
    assert isinstance(following.state, Terminating)
    assert following.state.termination.verdict is verdict
    end = EndPod(outcome=verdict, is_settled=False, grace_period_s=None, keeps_pod=True, resource_version="2")
    assert following.effects[-1] == end
    assert kinds(following.effects) == [EventKind.ADOPTED]
    over = step(following.state, PodObserved(BY_DEADLINE)).state
    assert isinstance(over, Enriching)
    assert over.provisional is verdict


def test_an_adopter_tells_a_cancellation_from_an_end_of_its_own():
    """The pod's own last words decide, as they would have where it was cancelled."""
    over = adopted(written(BY_DEADLINE, verdict=CANCELLATION), verdict=CANCELLATION)
    assert isinstance(over.state, Enriching)
    assert over.state.provisional.category is Category.CANCELLED
    assert over.state.provisional.exit_code == 143
    own = adopted(FAILED, verdict=CANCELLATION).state
    assert isinstance(own, Enriching)
    assert own.provisional.category is Category.FAILED
    exited = adopted(EXITED, verdict=CANCELLATION)
    assert isinstance(exited.state, AwaitingFinalStatus)


def test_an_adopter_that_deletes_what_its_predecessor_gave_a_deadline():
    """The deadline may be over before the deletion."""
    following = adopted(RUNNING, by=rules(delete_grace_period_s=5), verdict=CANCELLATION)
    assert isinstance(following.effects[-1], EndPod)
    assert not following.effects[-1].keeps_pod
    answered = step(following.state, DeletionAnswered(RUNNING, is_first=True)).state
    over = step(answered, PodObserved(BY_DEADLINE)).state
    assert isinstance(over, Enriching)
    assert over.provisional.category is Category.CANCELLED


@pytest.mark.parametrize("keeps_pod", [True, False])
def test_the_answer_to_an_adopters_request_does_not_show_that_the_pod_ended_by_itself(*, keeps_pod: bool):
    """It shows what its predecessor's request did."""
    following = adopted(RUNNING, verdict=CANCELLATION).state
    answer = pod("Running", ended("base", 143, end=90), version="7")
    answered = step(following, DeletionAnswered(answer, is_first=True, keeps_pod=keeps_pod)).state
    over = step(answered, PodObserved(replace_version(BY_DEADLINE, "8"))).state
    assert isinstance(over, Enriching)
    assert over.provisional.category is Category.CANCELLED


def test_a_pod_that_an_adopter_finds_deleted_is_not_given_a_deadline():
    record = pod("Running", runs("base"), deleted_at=20, grace_s=40, version="5")
    following = adopted(record, verdict=CANCELLATION)
    assert isinstance(following.state, Terminating)
    assert not following.state.termination.keeps_pod
    assert not following.effects[-1].keeps_pod
    assert isinstance(step(following.state, DeletionAnswered()).effects[-1], AwaitDeletion)


def test_an_adopted_pod_without_a_record_is_judged_by_itself():
    assert isinstance(adopted(RUNNING).state, Active)
    assert adopted(FAILED).state.provisional == FAILURE


def replace_message(outcome: Outcome, message: str) -> Outcome:
    return dataclasses.replace(outcome, message=message)


def replace_version(record: Pod, version: str) -> Pod:
    return replace(record, metadata=replace(record.metadata, resource_version=version))


# Leaving pods to a successor


@pytest.mark.parametrize("kind", [Draining, Undelivered])
@pytest.mark.parametrize("given", [LeaseLost("silence"), RunnerClosed()], ids=["lease lost", "closed"])
@pytest.mark.parametrize("disposal", list(Disposal))
def test_an_undelivered_pod_is_left_to_a_successor_as_it_is(
    kind: Any, given: inputs.Input, disposal: Disposal
):
    """Neither deleted nor marked; its outcome stays readable here, and no event says that the pod is lost."""
    before = settled(kind, disposal=disposal)
    left = step(before, given)
    assert left == (finished(), ())
    for late in (OutcomeTaken(), LogDrained(), RetryCreated(), RetryDropped()):
        assert step(left.state, late) == (left.state, ())


@pytest.mark.parametrize("kind", [Reporting, Removing])
@pytest.mark.parametrize("given", [LeaseLost("silence"), RunnerClosed()], ids=["lease lost", "closed"])
def test_a_delivered_pod_is_let_go_to_the_end(kind: Any, given: inputs.Input):
    before = settled(kind, delivery=TAKEN)
    assert step(before, given) == (before, ())


@pytest.mark.parametrize("kind", [Draining, Undelivered, Reporting, Removing])
def test_a_pod_with_an_outcome_that_another_runner_takes_is_forgotten_in_silence(kind: Any):
    following = step(settled(kind), TakenOver())
    assert following == (finished(), (ConfirmDeletion(), Untrack()))
    for late in (LogDrained(), ReportMarked(), PodRemoved()):
        assert step(following.state, late) == (following.state, ())


def test_a_finished_pod_that_another_runner_takes_is_forgotten_in_silence():
    assert step(finished(), TakenOver()) == (finished(), (ConfirmDeletion(), Untrack()))


# Finalizers


def test_a_held_pod_whose_namespace_may_be_ending_is_released_once():
    """Held, it would keep its namespace from ending. Asked is when its deletion is first seen."""
    record = held(pod("Succeeded", ended("base"), deleted_at=40, version="9"), OUTCOME_FINALIZER)
    for kind in (Draining, Undelivered, Reporting, Removing):
        seen = step(settled(kind), PodObserved(record))
        assert ReleaseInEndingNamespace() in seen.effects
        again = step(seen.state, PodObserved(replace_version(record, "10")))
        assert ReleaseInEndingNamespace() not in again.effects
    before = step(enriching(), PodObserved(record))
    assert ReleaseInEndingNamespace() not in before.effects
    draining = step(before.state, OutcomeEnriched(OUTCOME))
    assert isinstance(draining.state, Draining)
    assert ReleaseInEndingNamespace() in draining.effects
    assert kinds(draining.effects) == [EventKind.FINISHED]


def test_what_no_finalizer_holds_is_not_released():
    unheld = pod("Succeeded", ended("base"), deleted_at=40, version="9")
    for record in (unheld, held(SUCCEEDED, OUTCOME_FINALIZER), held(unheld)):
        newer = replace_version(record, "9")
        assert ReleaseInEndingNamespace() not in step(settled(Undelivered), PodObserved(newer)).effects
        assert ReleaseInEndingNamespace() not in step(enriching(newer), OutcomeEnriched(OUTCOME)).effects
    gone = step(settled(Undelivered), PodGone(held(unheld, OUTCOME_FINALIZER)))
    assert ReleaseInEndingNamespace() not in gone.effects


def test_a_settled_outcome_is_never_changed_by_what_is_seen_after_it():
    before: State = settled(Undelivered)
    for given in (PodObserved(replace_version(FAILED, "9")), PodGone(replace_version(FAILED, "10"))):
        before = step(before, given).state
        assert isinstance(before, SettledState)
        assert before.outcome is OUTCOME
    assert isinstance(before, SettledState)
    assert before.snapshot.first_seen_s == snapshot().first_seen_s
