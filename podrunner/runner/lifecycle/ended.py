"""From the end that was seen until the outcome is settled. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from msgspec.structs import replace

from podrunner.outcome import (
    Category,
    Outcome,
    apply_failure_policy,
    events_may_tell,
    explain,
    is_explained_by_events,
)
from podrunner.outcome.stored import says_otherwise
from podrunner.ownership import stored_verdict
from podrunner.runner.effects import DrainLog, Effect, Emit, NoteEnd, RecordOutcome, ReleaseInEndingNamespace
from podrunner.runner.events import EventKind
from podrunner.runner.inputs import DeletionAnswered, OutcomeEnriched, OutcomeRecorded, PodGone, PodObserved
from podrunner.runner.lifecycle.live import as_begun, earlier_termination, is_only_held, outcome_by
from podrunner.runner.lifecycle.records import (
    FORGET,
    has_ended_first,
    history_alone,
    is_same,
    is_to_be_deleted,
    merge,
    merge_settled,
    new_snapshot,
    record_effects,
)
from podrunner.runner.lifecycle.steps import Step
from podrunner.runner.states import (
    Delivery,
    Disposal,
    Draining,
    Enriching,
    Finished,
    Recording,
    Rules,
    Settled,
    SettledState,
    Snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.outcome.record import Event, Pod

__all__ = [
    "answer_ended",
    "decide",
    "observe_ended",
    "observe_finished",
    "settle",
    "settle_recorded",
    "wants_events",
    "with_events",
]

_Ended = TypeVar("_Ended", bound="Enriching | Recording | Settled | Finished")

# A short pod may be over before the caller that launched it asks for the log. Unless the log is collected anyway, the
# pod is not deleted sooner than this after it was first tracked.
_KEEP_FOR_READERS_S: Final = 1.0


def wants_events(state: Enriching) -> bool:
    """Returns whether the pod's events may say more about its end than its status."""
    if state.termination is not None:
        return _is_given_up(state) and is_explained_by_events(state.provisional, is_given_up=True)
    return events_may_tell(state.snapshot.pod, state.provisional, history=state.snapshot.history)


def with_events(state: Enriching, events: Iterable[Event]) -> Outcome:
    """Returns the outcome of a pod whose end was seen, given its events."""
    if _is_given_up(state):
        known = state.snapshot
        return explain(state.provisional, events, pod=known.pod, is_given_up=True, history=known.history)
    outcome = outcome_by(state, state.snapshot, state.termination, gone=state.gone, events=events)
    return outcome or state.provisional


def _is_given_up(state: Enriching) -> bool:
    """Whether the outcome is the runner's own verdict."""
    return _is_verdict(state.provisional, None if state.termination is None else state.termination.verdict)


def _is_verdict(outcome: Outcome, verdict: Outcome | None) -> bool:
    """Whether an outcome is the runner's verdict; that the work had begun may have been seen since."""
    return verdict is not None and outcome in (verdict, as_begun(verdict, outcome))


def observe_ended(state: Enriching | Recording | Settled, given: PodObserved | PodGone) -> Step:
    """Takes a record of a pod whose end was seen."""
    following, effects = _learn(state, state.snapshot, given.pod, gone=isinstance(given, PodGone))
    if not isinstance(following, SettledState):
        return Step(following, effects)
    if not following.gone:
        return Step(following, (*effects, *_release_effects(state.snapshot.pod, following.snapshot.pod)))
    return Step(following, effects if state.gone else (*effects, Emit(EventKind.DELETED)))


def _release_effects(before: Pod | None, pod: Pod) -> tuple[Effect, ...]:
    """A pod that a finalizer holds was deleted: it may be its whole namespace that is."""
    was_deleted = before is not None and before.metadata.deletion_timestamp is not None
    is_held = pod.metadata.deletion_timestamp is not None and bool(pod.metadata.finalizers)
    return (ReleaseInEndingNamespace(),) if is_held and not was_deleted else ()


def observe_finished(state: Finished, given: PodObserved | PodGone) -> Step:
    """Takes a record of a pod about which nothing more is done."""
    if state.snapshot is None or state.gone:
        return Step(state)
    following, effects = _learn(state, state.snapshot, given.pod, gone=isinstance(given, PodGone))
    if following.gone:
        effects = (*effects, Emit(EventKind.DELETED), *FORGET)
    return Step(following, effects)


def answer_ended(state: Enriching | Recording | Settled | Finished, given: DeletionAnswered) -> Step:
    """Takes the record that the answer to a deletion showed."""
    if state.snapshot is None or state.gone or given.pod is None or not is_same(given.pod, state.snapshot):
        return Step(state)
    following, effects = _learn(state, state.snapshot, given.pod)
    if isinstance(following, Enriching) and following.termination is not None:
        ended_first = has_ended_first(state.rules, following.termination, given)
        following = replace(following, termination=replace(following.termination, ended_first=ended_first))
    return Step(following, effects)


def _learn(
    state: _Ended, known: Snapshot, pod: Pod | None, *, gone: bool = False
) -> tuple[_Ended, tuple[Effect, ...]]:
    """Returns the state with a record of a pod whose end was seen, and what follows on the record alone."""
    if isinstance(state, Enriching | Recording):
        snapshot = merge(known, pod, main_container=state.rules.main_container)
    else:
        snapshot = merge_settled(known, pod)
    if snapshot is known and not gone:
        return state, ()
    effects = record_effects(known, snapshot, gone=gone)
    return replace(state, snapshot=snapshot, gone=state.gone or gone), effects


def decide(state: Enriching, given: OutcomeEnriched) -> Step:
    """The outcome is decided. What the pod alone would not say to a successor is written to it first."""
    config, snapshot = state.rules.config, state.snapshot
    outcome = apply_failure_policy(config.failure_policy, given.outcome, snapshot.pod)
    if state.gone or not says_otherwise(outcome, _said_alone(state)):
        return settle(state.rules, snapshot, outcome, gone=state.gone, is_ours=state.termination is not None)
    recording = Recording(
        rules=state.rules,
        snapshot=snapshot,
        outcome=outcome,
        termination=state.termination,
        gone=False,
    )
    return Step(recording, (RecordOutcome(outcome),))


def _said_alone(state: Enriching) -> Outcome | None:
    """Returns the outcome that a successor would make of the pod alone, with the verdict that it bears."""
    rules, pod = state.rules, state.snapshot.pod
    if state.termination is not None and state.termination.by_deadline and _ended_itself(state):
        return None  # a kubelet may still write that the deadline was exceeded
    verdict = stored_verdict(pod)
    termination = None if verdict is None else earlier_termination(pod, verdict)
    history = history_alone(pod, main_container=rules.main_container)
    if verdict is None and state.judged is state.snapshot and history == state.snapshot.history:
        outcome: Outcome | None = state.provisional  # judged by the same, it is the same
    else:
        alone = new_snapshot(pod, main_container=rules.main_container, first_seen_s=0.0)
        outcome = outcome_by(state, alone, termination, gone=is_only_held(pod))
    return outcome and apply_failure_policy(rules.config.failure_policy, outcome, pod)


def _ended_itself(state: Enriching) -> bool:
    """Whether the pod that the runner ends has an outcome of its own."""
    ours = None if state.termination is None else state.termination.verdict
    return state.provisional.category is not Category.CANCELLED and not _is_verdict(state.provisional, ours)


def settle_recorded(state: Recording, _: OutcomeRecorded) -> Step:
    """The outcome is on the pod, or could not be written: it is settled."""
    is_ours = state.termination is not None
    return settle(state.rules, state.snapshot, state.outcome, gone=state.gone, is_ours=is_ours)


def settle(rules: Rules, snapshot: Snapshot, outcome: Outcome, *, gone: bool, is_ours: bool) -> Step:
    """The pod has its outcome: its log is drained, beside its delivery."""
    disposal = (
        Disposal.DELETE if is_ours or is_to_be_deleted(rules, snapshot.pod, outcome) else Disposal.RETAIN
    )
    draining = Draining(
        rules=rules, snapshot=snapshot, outcome=outcome, gone=gone, disposal=disposal, delivery=Delivery()
    )
    report: tuple[Effect, ...] = (NoteEnd(), Emit(EventKind.FINISHED, outcome))
    if gone:
        return Step(draining, (*report, Emit(EventKind.DELETED), DrainLog()))
    report = (*report, *_release_effects(None, snapshot.pod))
    is_kept_for_readers = disposal is Disposal.DELETE and not is_ours
    drain = DrainLog(snapshot.first_seen_s + _KEEP_FOR_READERS_S if is_kept_for_readers else None)
    return Step(draining, (*report, drain))
