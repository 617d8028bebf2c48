"""Random lives of a pod keep the promises, and a successor settles what was settled."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podrunner.builder.labels import VERDICT
from podrunner.machine import IllegalInputError
from podrunner.outcome import Outcome, ever_started, main_status
from podrunner.outcome.record import Pod
from podrunner.runner import effects as effect_kinds
from podrunner.runner import inputs, states
from podrunner.runner.deadlines import Clocks
from podrunner.runner.effects import (
    DeletePod,
    DrainLog,
    EndPod,
    Enrich,
    MarkReported,
    RecordOutcome,
    RemovePod,
)
from podrunner.runner.events import EventKind
from podrunner.runner.inputs import (
    DeadlinesChecked,
    DeletionAnswered,
    DeletionDeclined,
    DeletionOverdue,
    LaunchStarted,
    LeaseLost,
    LogDrained,
    OutcomeEnriched,
    OutcomeRecorded,
    OutcomeTaken,
    PodAdopted,
    PodCreated,
    PodGone,
    PodObserved,
    PodRemoved,
    RemovalRequested,
    ReportMarked,
    RunnerClosed,
    TerminationRequested,
)
from podrunner.runner.lifecycle import TABLE, step
from podrunner.runner.states import (
    Finished,
    New,
    Relinquished,
    Rules,
    SettledState,
    State,
    outcome_of,
    snapshot_of,
)
from tests.unit.runner.lives import (
    CANCELLATION,
    FAILURE,
    INPUTS,
    NOW,
    OUTCOME,
    POLICIES,
    RECORDS,
    kinds,
)

records = st.sampled_from(RECORDS)
outcomes = st.sampled_from([OUTCOME, FAILURE, CANCELLATION])
stored = st.none() | outcomes
any_input: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([one for one in INPUTS.values() if not isinstance(one, PodObserved)]),
    records.map(PodObserved),
    (st.none() | records).map(PodGone),
    records.map(lambda record: PodCreated(record, 0.0)),
    st.tuples(records, stored, stored).map(lambda found: PodAdopted(found[0], 0.0, NOW, found[1], found[2])),
    st.integers(0, 1000).map(lambda now_s: DeadlinesChecked(float(now_s))),
    st.tuples(st.none() | records, st.booleans(), st.booleans()).map(
        lambda answer: DeletionAnswered(*answer)
    ),
    records.map(DeletionDeclined),
    (st.none() | records).map(PodRemoved),
    (st.none() | st.integers(0, 60)).map(TerminationRequested),
    outcomes.map(OutcomeEnriched),
)
policies = st.sampled_from(POLICIES)

# Random inputs


@settings(max_examples=1000)
@given(policies, st.lists(any_input, max_size=40))
def test_random_lives_keep_the_promises(by: Rules, life: list[inputs.Input]):
    """At most one outcome, none after the pod was relinquished, one deletion event at most, and ends that stay."""
    state: State = New(rules=by)
    events: Counter[EventKind] = Counter()
    jobs: list[effect_kinds.Job] = []
    drained = False
    for given_ in life:
        transition = TABLE[type(state)].get(type(given_))
        if transition is None:
            with pytest.raises(IllegalInputError):
                step(state, given_)
            continue
        before, (state, effects) = state, step(state, given_)
        drained = drained or isinstance(given_, LogDrained)
        assert type(state) in (transition.to or (type(before),))
        assert step(before, given_) == (state, effects)  # it is pure
        events.update(kinds(effects))
        new = [effect for effect in effects if isinstance(effect, effect_kinds.TimedEffect)]
        _check(before, given_, state, events)
        _check_ends(given_, state, new)
        _check_delivery(before, given_, state, new, drained=drained)
        jobs += new
    for kind in (Enrich, RecordOutcome, DrainLog, MarkReported):
        assert sum(isinstance(job, kind) for job in jobs) <= 1


def _check(before: State, given_: inputs.Input, state: State, events: Counter[EventKind]) -> None:
    assert events[EventKind.FINISHED] + events[EventKind.LOST] <= 1
    assert events[EventKind.DELETED] <= 1
    assert events[EventKind.CREATED] + events[EventKind.ADOPTED] <= 1
    assert state.rules is before.rules
    _check_what_is_known(before, given_, state)
    if outcome_of(before) is not None:
        assert outcome_of(state) is outcome_of(before)
    if before.is_done:
        assert type(state) is type(before)
    if isinstance(state, Relinquished):
        assert outcome_of(state) is None
    if events[EventKind.DELETED]:
        assert events[EventKind.FINISHED] == 1


def _ended_untouched(state: State) -> bool:
    """Whether the pod is over, and shows no request of the runner's."""
    known = snapshot_of(state)
    if known is None or not isinstance(state, states.Enriching):
        return False
    pod = known.pod
    is_marked = pod.metadata.deletion_timestamp is not None or VERDICT in (pod.metadata.annotations or {})
    return not is_marked


def _check_ends(given_: inputs.Input, state: State, new: list[effect_kinds.Job]) -> None:
    """A pod that has started is ended with its verdict on it; another one only as long as it has not started."""
    for job in new:
        if isinstance(job, DeletePod):
            assert outcome_of(state) is None
            known = snapshot_of(state)
            assert known is not None
            assert job.resource_version == known.pod.metadata.resource_version
            has_started = ever_started(main_status(known.pod, state.rules.main_container))
            assert not has_started or isinstance(given_, DeletionOverdue)
        if isinstance(job, EndPod):
            assert job.is_settled is (outcome_of(state) is not None)
            assert job.outcome is outcome_of(state) or not job.is_settled
            assert isinstance(job.outcome, Outcome)


def _check_delivery(
    before: State, given_: inputs.Input, state: State, new: list[effect_kinds.Job], *, drained: bool
) -> None:
    """Nothing is done to a pod whose outcome is settled before its log is drained and its outcome delivered."""
    is_let_go = [job for job in new if isinstance(job, RemovePod | MarkReported)]
    if is_let_go and isinstance(state, SettledState):
        assert state.delivery.is_done
        assert drained or isinstance(given_, RemovalRequested)
    if any(isinstance(job, EndPod) and job.is_settled for job in new):
        assert isinstance(given_, LogDrained)
        assert isinstance(state, SettledState)
        assert state.is_undelivered
    if before.is_undelivered and isinstance(given_, RunnerClosed | LeaseLost):
        assert not new
        assert not state.is_undelivered


def _check_what_is_known(before: State, given_: inputs.Input, state: State) -> None:
    """Nothing that was once known is lost: the record, the clocks, that the runner ended it, that it is gone."""
    known, newest = snapshot_of(before), snapshot_of(state)
    if known is not None:
        assert newest is not None
        assert newest.first_seen_s == known.first_seen_s
        assert newest.history.deletion_asked_at == known.history.deletion_asked_at or (
            known.history.deletion_asked_at is None
        )
        assert newest.history.started or not known.history.started
        assert states.is_gone(state) or not states.is_gone(before)
    assert type(getattr(state, "gone", False)) is bool
    assert type(getattr(state, "has_deadline", False)) is bool
    if isinstance(before, states.LiveState) and isinstance(state, states.LiveState):
        assert isinstance(state.clocks, Clocks)
    ended_by_us = getattr(before, "termination", None)
    is_its_own = isinstance(given_, DeletionDeclined) or _ended_untouched(state)
    if ended_by_us is not None and hasattr(state, "termination") and not is_its_own:
        assert state.termination is not None
        assert state.termination.grace_period_s == ended_by_us.grace_period_s
        assert state.termination.verdict is ended_by_us.verdict
        assert state.termination.asked_before or not ended_by_us.asked_before
    if isinstance(state, SettledState | Finished):
        assert isinstance(state.outcome, Outcome)


# Lives whose effects are carried out

ANSWERS: dict[type, inputs.Input] = {
    DeletePod: DeletionAnswered(),
    Enrich: OutcomeEnriched(FAILURE),
    RecordOutcome: OutcomeRecorded(),
    MarkReported: ReportMarked(),
    DrainLog: LogDrained(),
    RemovePod: PodRemoved(),
}


def _answer(job: effect_kinds.Effect) -> inputs.Input | None:
    if isinstance(job, EndPod):
        return OutcomeRecorded() if job.is_settled else DeletionAnswered()
    return ANSWERS.get(type(job))


@settings(max_examples=200)
@given(
    by=policies,
    seen=st.lists(records, min_size=1, max_size=6),
    cancelled=st.booleans(),
    taken_first=st.booleans(),
)
def test_every_life_that_is_carried_out_ends(
    by: Rules, seen: list[Pod], *, cancelled: bool, taken_first: bool
):
    """Whatever is observed, a pod that goes, and whose effects are carried out, is finished, forgotten and reported."""
    state: State = New(rules=by)
    effects: list[effect_kinds.Effect] = []
    script: list[inputs.Input] = [LaunchStarted(), PodCreated(seen[0], 0.0), *map(PodObserved, seen[1:])]
    if cancelled:
        script.append(TerminationRequested())
    script += [OutcomeTaken(), PodGone()] if taken_first else [PodGone(), OutcomeTaken()]
    for given_ in [*script, OutcomeTaken()]:
        pending: list[inputs.Input] = [given_]
        for one in pending:
            if type(one) in TABLE[type(state)]:
                state, new = step(state, one)
                effects += new
                pending += [answer for effect in new if (answer := _answer(effect)) is not None]
    assert isinstance(state, Finished)
    assert [k for k in kinds(tuple(effects)) if k != EventKind.STATUS_CHANGED] == [
        EventKind.CREATED,
        EventKind.FINISHED,
        EventKind.DELETED,
    ]
    assert effects.count(effect_kinds.Untrack()) == 1
