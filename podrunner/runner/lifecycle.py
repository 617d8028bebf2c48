"""The life of a pod as its runner sees it: a state machine. Pure: no I/O, no clock, no tasks.

:data:`TABLE` says, for each state, which inputs are legal in it and which states may follow. :func:`step` applies one
input to one state and returns the next state with the effects that are to be carried out. An input that is not in
the table raises :class:`~podrunner.machine.IllegalInputError` and changes nothing; an input that comes too late to
matter is in the table as one that is ignored.

What belongs here: every decision about one pod, from its submission until nothing is left to do. What does not: what a
record means (``podrunner.outcome``), when a deadline has passed (:mod:`podrunner.runner.deadlines`), and carrying out
the effects (:mod:`podrunner.runner.supervisor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from msgspec.structs import replace

from podrunner.machine import IllegalInputError
from podrunner.outcome import (
    Category,
    Fault,
    Outcome,
    apply_failure_policy,
    awaits_final_status,
    classify,
    deletion_asked_at,
    ended_before_deletion,
    events_may_tell,
    goes_on,
    printer_status,
    refused_by_api,
    verdict_outcome,
)
from podrunner.runner.deadlines import Clocks, advanced, age_s, exceeded, has_deadline, started_before
from podrunner.runner.events import EventKind
from podrunner.runner.states import (
    Active,
    AwaitDeletion,
    AwaitFinalStatus,
    AwaitingFinalStatus,
    CollectLog,
    ConfirmDeletion,
    Creating,
    DeadlinesChecked,
    DeletePod,
    DeletionAnswered,
    DeletionOverdue,
    Draining,
    DrainLog,
    Effect,
    Emit,
    Enrich,
    Enriching,
    ExpectInWatch,
    FinalStatusOverdue,
    Finished,
    Input,
    LaunchCancelled,
    LaunchRefused,
    LaunchStarted,
    LeaseLost,
    Live,
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
    RunnerClosed,
    Settled,
    Snapshot,
    State,
    Submitted,
    TakenOver,
    Terminating,
    Termination,
    TerminationRequested,
    Untrack,
    UnwatchDeadlines,
    WatchDeadlines,
    is_gone,
    snapshot_of,
)
from podrunner.watch.store import is_older

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from podrunner.errors import PodrunnerError
    from podrunner.outcome.record import Event, Pod

__all__ = ["TABLE", "Step", "Transition", "step", "wants_events", "with_events"]

_Ended = TypeVar("_Ended", bound="Enriching | Settled | Finished")

# What a deleted pod may take beyond its grace period before its outcome is given without it: the node that ought to
# confirm the deletion may be dead, and then the pod stays for ever.
_DELETION_MARGIN_S: Final = 60.0
# Kubernetes' default for terminationGracePeriodSeconds.
_DEFAULT_GRACE_S: Final = 30
# A node that is taken for lost had its time already.
_LOST_NODE_MARGIN_S: Final = 10.0
# A short pod may be over before the caller that launched it asks for the log. Unless the log is collected anyway, the
# pod is not deleted sooner than this after it was first tracked.
_KEEP_FOR_READERS_S: Final = 1.0


class Step(NamedTuple):
    """What follows on an input.

    Attributes:
        state: The next state; the same object if nothing changed.
        effects: What is to be done, in this order.
    """

    state: State
    effects: tuple[Effect, ...] = ()


def step(state: State, given: Input) -> Step:
    """Applies an input to a state and returns what follows.

    Raises:
        IllegalInputError: The input has no meaning in this state (:data:`TABLE`).
    """
    transition = TABLE[type(state)].get(type(given))
    if transition is None:
        raise IllegalInputError(f"{type(given).__name__} in state {type(state).__name__}")
    return transition.decide(state, given)


# An end that was seen


def wants_events(state: Enriching) -> bool:
    """Returns whether the pod's events may say more about its end than its status."""
    if state.termination is not None:
        return False
    asked_at = state.snapshot.deletion_asked_at
    return events_may_tell(state.snapshot.pod, state.provisional, asked_at=asked_at)


def with_events(state: Enriching, events: Iterable[Event]) -> Outcome:
    """Returns the outcome of a pod whose end was seen, given its events."""
    outcome = _outcome(state, state.snapshot, state.termination, gone=state.gone, events=events)
    return outcome or state.provisional


# Before there is a pod


def _submit(state: New, _: Submitted) -> Step:
    return Step(Queued(rules=state.rules))


def _start_launch(state: New | Queued, _: LaunchStarted) -> Step:
    return Step(Creating(rules=state.rules))


def _refuse(state: New | Queued | Creating, given: LaunchRefused) -> Step:
    return _end_launch(state, refused_by_api(given.error), error=given.error, is_reported=given.is_reported)


def _withdraw(state: New | Queued | Creating, given: LaunchCancelled) -> Step:
    outcome = Outcome(
        category=Category.CANCELLED,
        fault=Fault.CALLER,
        started=False,
        retryable=False,
        message="cancelled before there was a pod",
    )
    return _end_launch(state, outcome, error=None, is_reported=given.is_reported)


def _end_launch(
    state: New | Queued | Creating, outcome: Outcome, *, error: PodrunnerError | None, is_reported: bool
) -> Step:
    if is_reported:
        outcome = apply_failure_policy(state.rules.config.failure_policy, outcome, None)
    report = (Emit(EventKind.FINISHED, outcome),) if is_reported else ()
    finished = Finished(rules=state.rules, outcome=outcome, launch_error=error)
    return Step(finished, (Untrack(), NoteEnd(), *report))


def _begin(state: Creating, given: PodCreated) -> Step:
    snapshot = _snapshot(given.pod, first_seen_s=given.now_s)
    return _track(state, snapshot, Clocks(), EventKind.CREATED)


def _adopt(state: New | Queued | Creating, given: PodAdopted) -> Step:
    started_s = started_before(given.pod, given.now, main_container=state.rules.main_container)
    snapshot = _snapshot(given.pod, first_seen_s=given.now_s - age_s(given.pod, given.now))
    clocks = Clocks(started_s=None if started_s is None else given.now_s - started_s)
    return _track(state, snapshot, clocks, EventKind.ADOPTED)


def _track(state: New | Queued | Creating, snapshot: Snapshot, clocks: Clocks, kind: EventKind) -> Step:
    active = Active(rules=state.rules, snapshot=snapshot, clocks=clocks, has_deadline=False)
    return _judge(active, snapshot, effects=(ExpectInWatch(), Emit(kind), CollectLog()))


def _begin_relinquished(state: Relinquished, given: PodCreated) -> Step:
    if state.snapshot is not None:
        return Step(state)
    return Step(replace(state, snapshot=_snapshot(given.pod, first_seen_s=given.now_s)))


# A pod that is not over


def _observe_live(state: Live, given: PodObserved | PodGone) -> Step:
    snapshot, gone = _merge(state.snapshot, given.pod), isinstance(given, PodGone)
    if snapshot is state.snapshot and not gone:
        return Step(state)
    return _judge(state, snapshot, gone=gone, effects=_record_effects(state.snapshot, snapshot, gone=gone))


def _check_deadlines(state: Active, given: DeadlinesChecked) -> Step:
    pod, rules, now_s = state.snapshot.pod, state.rules, given.now_s
    clocks = advanced(state.clocks, pod, main_container=rules.main_container, now_s=now_s)
    verdict = exceeded(
        clocks,
        pod,
        config=rules.config,
        main_container=rules.main_container,
        first_seen_s=state.snapshot.first_seen_s,
        now_s=now_s,
    )
    if verdict is not None:
        outcome = verdict_outcome(pod, verdict, main_container=rules.main_container)
        forced = rules.config.force_delete_lost and _is_lost(outcome)
        return _terminate(state, Termination(verdict=outcome, grace_period_s=0 if forced else None))
    return Step(state if clocks == state.clocks else replace(state, clocks=clocks))


def _cancel(state: Active | AwaitingFinalStatus, given: TerminationRequested) -> Step:
    if isinstance(state, AwaitingFinalStatus) and state.termination is not None:
        return Step(state)
    return _terminate(state, Termination(grace_period_s=given.grace_period_s))


def _terminate(state: Active | AwaitingFinalStatus, termination: Termination) -> Step:
    delete = DeletePod(termination.grace_period_s)
    if isinstance(state, AwaitingFinalStatus):
        return Step(replace(state, termination=termination), (delete,))
    terminating = Terminating(
        rules=state.rules, snapshot=state.snapshot, clocks=state.clocks, termination=termination
    )
    return Step(terminating, (*_unwatch(state), delete))


def _answer_live(state: Terminating | AwaitingFinalStatus, given: DeletionAnswered) -> Step:
    if state.termination is None:
        return Step(state)
    answered = replace(
        state, termination=replace(state.termination, ended_first=_has_ended_first(state, given))
    )
    following = Step(answered)
    if given.pod is not None and _is_same(given.pod, state.snapshot):
        following = _observe_live(answered, PodObserved(given.pod))
    if not isinstance(following.state, Terminating | AwaitingFinalStatus):
        return following
    wait = AwaitDeletion(_deletion_timeout_s(following.state.snapshot, state.termination))
    return Step(following.state, (*following.effects, wait))


def _give_up_deletion(state: Terminating | AwaitingFinalStatus, _: DeletionOverdue) -> Step:
    termination = state.termination
    if termination is None:
        return Step(state)
    outcome = termination.verdict or classify(
        state.snapshot.pod, main_container=state.rules.main_container, vanished=True, cancelled=True
    )
    assert outcome is not None, "what vanished has an outcome"
    return _end(state, state.snapshot, outcome, termination, gone=False)


def _give_up_final_status(state: AwaitingFinalStatus, _: FinalStatusOverdue) -> Step:
    outcome = _outcome(state, state.snapshot, state.termination)
    if outcome is None:
        return _continue(state, state.snapshot)
    return _end(state, state.snapshot, outcome, state.termination, gone=False)


def _judge(state: Live, snapshot: Snapshot, *, gone: bool = False, effects: tuple[Effect, ...] = ()) -> Step:
    """Decides whether a record is the pod's end."""
    termination = _termination(state)
    outcome = _outcome(state, snapshot, termination, gone=gone, previous=state.snapshot.pod)
    if outcome is None:
        following = _continue(state, snapshot)
    elif not gone and awaits_final_status(snapshot.pod, outcome):
        following = _await_final_status(state, snapshot, termination)
    else:
        following = _end(state, snapshot, outcome, termination, gone=gone)
    return Step(following.state, (*effects, *following.effects))


def _continue(state: Live, snapshot: Snapshot) -> Step:
    """The pod is not over."""
    termination = _termination(state)
    if termination is not None:
        terminating = Terminating(
            rules=state.rules, snapshot=snapshot, clocks=state.clocks, termination=termination
        )
        return Step(terminating)
    before = isinstance(state, Active) and state.has_deadline
    after = has_deadline(snapshot.pod, state.rules.config)
    active = Active(rules=state.rules, snapshot=snapshot, clocks=state.clocks, has_deadline=after)
    if after == before:
        return Step(active)
    return Step(active, (WatchDeadlines() if after else UnwatchDeadlines(),))


def _await_final_status(state: Live, snapshot: Snapshot, termination: Termination | None) -> Step:
    if isinstance(state, AwaitingFinalStatus):
        return Step(replace(state, snapshot=snapshot))
    awaiting = AwaitingFinalStatus(
        rules=state.rules, snapshot=snapshot, clocks=state.clocks, termination=termination
    )
    return Step(awaiting, (*_unwatch(state), AwaitFinalStatus()))


def _end(
    state: Live, snapshot: Snapshot, outcome: Outcome, termination: Termination | None, *, gone: bool
) -> Step:
    """The pod is over."""
    enriching = Enriching(
        rules=state.rules, snapshot=snapshot, provisional=outcome, termination=termination, gone=gone
    )
    return Step(enriching, (*_unwatch(state), Enrich()))


def _unwatch(state: Live) -> tuple[Effect, ...]:
    return (UnwatchDeadlines(),) if isinstance(state, Active) and state.has_deadline else ()


def _termination(state: Live) -> Termination | None:
    return state.termination if isinstance(state, Terminating | AwaitingFinalStatus) else None


def _outcome(
    state: State,
    snapshot: Snapshot,
    termination: Termination | None,
    *,
    gone: bool = False,
    previous: Pod | None = None,
    events: Iterable[Event] = (),
) -> Outcome | None:
    """Returns what a record makes of a pod; None while it is not over."""
    outcome = classify(
        snapshot.pod,
        events=events,
        main_container=state.rules.main_container,
        vanished=gone,
        cancelled=termination is not None,
        previous=previous,
        ended_first=termination is not None and termination.ended_first,
        asked_at=snapshot.deletion_asked_at,
    )
    is_ours = outcome is not None and outcome.category is Category.CANCELLED
    return (termination.verdict or outcome) if is_ours and termination is not None else outcome


# From the end that was seen until nothing is left to do


def _observe_ended(state: Enriching | Settled, given: PodObserved | PodGone) -> Step:
    following, effects = _learn(state, state.snapshot, given.pod, gone=isinstance(given, PodGone))
    if following.gone and not state.gone and not isinstance(following, Enriching):
        effects = (*effects, Emit(EventKind.DELETED))
    return Step(following, effects)


def _observe_finished(state: Finished, given: PodObserved | PodGone) -> Step:
    if state.snapshot is None or state.gone:
        return Step(state)
    following, effects = _learn(state, state.snapshot, given.pod, gone=isinstance(given, PodGone))
    if following.gone:
        effects = (*effects, Emit(EventKind.DELETED), *_FORGET)
    return Step(following, effects)


def _answer_ended(state: Enriching | Reporting | Draining | Finished, given: DeletionAnswered) -> Step:
    if state.snapshot is None or state.gone or given.pod is None or not _is_same(given.pod, state.snapshot):
        return Step(state)
    following, effects = _learn(state, state.snapshot, given.pod)
    if isinstance(following, Enriching) and following.termination is not None:
        termination = replace(following.termination, ended_first=_has_ended_first(state, given))
        following = replace(following, termination=termination)
    return Step(following, effects)


def _learn(
    state: _Ended, known: Snapshot, pod: Pod | None, *, gone: bool = False
) -> tuple[_Ended, tuple[Effect, ...]]:
    """Returns the state with a record of a pod whose end was seen, and what follows on the record alone."""
    snapshot = _merge(known, pod)
    if snapshot is known and not gone:
        return state, ()
    effects = _record_effects(known, snapshot, gone=gone)
    return replace(state, snapshot=snapshot, gone=state.gone or gone), effects


def _settle(state: Enriching, given: OutcomeEnriched) -> Step:
    config, snapshot, gone = state.rules.config, state.snapshot, state.gone
    outcome = apply_failure_policy(config.failure_policy, given.outcome, snapshot.pod)
    settled: dict[str, Any] = {
        "rules": state.rules,
        "snapshot": snapshot,
        "outcome": outcome,
        "gone": gone,
    }
    report: tuple[Effect, ...] = (NoteEnd(), Emit(EventKind.FINISHED, outcome))
    if gone:
        return Step(Draining(**settled, delete=False), (*report, Emit(EventKind.DELETED), DrainLog()))
    if _is_to_be_deleted(state, outcome):
        drain = DrainLog(snapshot.first_seen_s + _KEEP_FOR_READERS_S)
        return Step(Draining(**settled, delete=True), (*report, drain))
    return Step(Reporting(**settled), (*report, MarkReported()))


def _drain(state: Reporting, _: ReportMarked) -> Step:
    draining = Draining(
        rules=state.rules, snapshot=state.snapshot, outcome=state.outcome, gone=state.gone, delete=False
    )
    return Step(draining, (DrainLog(),))


def _conclude(state: Draining, _: LogDrained) -> Step:
    if not state.delete or state.gone:
        return _finish(state)
    removing = Removing(rules=state.rules, snapshot=state.snapshot, outcome=state.outcome, gone=False)
    return Step(removing, (DeletePod(),))


def _answer_removing(state: Removing, given: DeletionAnswered) -> Step:
    if given.pod is None or state.gone or not _is_same(given.pod, state.snapshot):
        return _finish(state)
    following, effects = _learn(state, state.snapshot, given.pod)
    finished = _finish(following)
    return Step(finished.state, (*effects, *finished.effects))


def _finish(state: Settled) -> Step:
    finished = Finished(rules=state.rules, snapshot=state.snapshot, outcome=state.outcome, gone=state.gone)
    return Step(finished, _FORGET if state.gone else ())


def _remove(state: Settled | Finished, given: RemovalRequested) -> Step:
    exists = state.snapshot is not None and not state.gone
    return Step(state, (RemovePod(given.grace_period_s),) if exists else ())


# Pods of another runner


def _lose(state: New | Queued | Creating | Live | Enriching, given: LeaseLost) -> Step:
    return _relinquish(state, Emit(EventKind.LOST, message=f"this runner lost its lease: {given.why}"))


def _hand_over(state: Live | Enriching, _: TakenOver) -> Step:
    return _relinquish(state, Emit(EventKind.LOST, message="another runner took it over"))


def _relinquish(state: New | Queued | Creating | Live | Enriching, report: Emit) -> Step:
    return Step(_relinquished(state), (report, NoteEnd(), *_LEAVE))


def _leave(state: New | Queued | Creating | Live | Enriching, _: RunnerClosed) -> Step:
    return Step(_relinquished(state), (NoteEnd(),))


def _relinquished(state: New | Queued | Creating | Live | Enriching) -> Relinquished:
    return Relinquished(rules=state.rules, snapshot=snapshot_of(state), gone=is_gone(state))


def _hand_over_settled(state: Settled, _: TakenOver) -> Step:
    return Step(_finish(state).state, _LEAVE)


def _hand_over_finished(state: Finished, _: TakenOver) -> Step:
    return Step(state, _LEAVE)


def _ignore(state: State, _: Input) -> Step:
    return Step(state)


# Reading records


def _snapshot(pod: Pod, *, first_seen_s: float) -> Snapshot:
    return Snapshot(
        pod=pod,
        status=printer_status(pod),
        first_seen_s=first_seen_s,
        deletion_asked_at=deletion_asked_at(pod),
    )


def _merge(known: Snapshot, pod: Pod | None) -> Snapshot:
    """Returns what is known with one more record; the same if that is older, as the watch may be behind an answer."""
    if pod is None or is_older(pod, known.pod):
        return known
    asked_at = known.deletion_asked_at or deletion_asked_at(pod)
    return Snapshot(
        pod=pod,
        status=printer_status(pod),
        first_seen_s=known.first_seen_s,
        deletion_asked_at=asked_at,
    )


def _record_effects(before: Snapshot, after: Snapshot, *, gone: bool) -> tuple[Effect, ...]:
    status: tuple[Effect, ...] = (Emit(EventKind.STATUS_CHANGED),) if after.status != before.status else ()
    return (*((ConfirmDeletion(),) if gone else ()), *status, CollectLog())


def _is_same(pod: Pod, known: Snapshot | None) -> bool:
    return known is not None and pod.metadata.uid == known.pod.metadata.uid


def _has_ended_first(state: State, given: DeletionAnswered) -> bool:
    main = state.rules.main_container
    return given.pod is not None and given.is_first and ended_before_deletion(given.pod, main_container=main)


# The deletion policy


def _is_to_be_deleted(state: Enriching, outcome: Outcome) -> bool:
    if state.termination is not None:
        return False  # it is deleted already
    if goes_on(state.snapshot.pod):
        return True  # a sidecar, or a node that came back, would keep it running without an owner
    config = state.rules.config
    return config.delete_pods and (outcome.succeeded or config.delete_pods_on_failure)


def _is_lost(verdict: Outcome | None) -> bool:
    return verdict is not None and verdict.category is Category.NODE_LOST


def _deletion_timeout_s(known: Snapshot, termination: Termination) -> float:
    if _is_lost(termination.verdict):
        return _LOST_NODE_MARGIN_S
    marked = known.pod.metadata.deletion_grace_period_seconds
    graces = (termination.grace_period_s, marked, _DEFAULT_GRACE_S)
    return next(grace_s for grace_s in graces if grace_s is not None) + _DELETION_MARGIN_S


_LEAVE: Final = (ConfirmDeletion(), Untrack())
_FORGET: Final = (Untrack(), RemoveLogCursors())


# The table


class Transition(NamedTuple):
    """What an input does in a state.

    Attributes:
        decide: Returns what follows.
        to: The kinds of states that may follow; empty: the kind stays.
    """

    decide: Callable[[Any, Any], Step]
    to: tuple[type[State], ...] = ()


Row = Mapping[type[Input], Transition]

# An input that comes too late to matter.
_LATE: Final = Transition(_ignore)
_JUDGED: Final = (Active, AwaitingFinalStatus, Enriching)
_JUDGED_AGAIN: Final = (Terminating, AwaitingFinalStatus, Enriching)

_END_OF_LAUNCH: Final[Row] = {
    LaunchRefused: Transition(_refuse, (Finished,)),
    LaunchCancelled: Transition(_withdraw, (Finished,)),
}
# A pod that was adopted while its own create was under way: what the create says comes too late.
_ADOPTED_MEANWHILE: Final[Row] = {LaunchRefused: _LATE, LaunchCancelled: _LATE}
_GIVE_UP: Final[Row] = {
    LeaseLost: Transition(_lose, (Relinquished,)),
    RunnerClosed: Transition(_leave, (Relinquished,)),
}
_HAND_OVER: Final[Row] = {TakenOver: Transition(_hand_over, (Relinquished,)), **_GIVE_UP}
_WITH_OUTCOME: Final[Row] = {
    PodObserved: Transition(_observe_ended),
    PodGone: Transition(_observe_ended),
    DeletionAnswered: Transition(_answer_ended),
    RemovalRequested: Transition(_remove),
    TakenOver: Transition(_hand_over_settled, (Finished,)),
    TerminationRequested: _LATE,
    DeletionOverdue: _LATE,
    FinalStatusOverdue: _LATE,
    LeaseLost: _LATE,
    RunnerClosed: _LATE,
    **_ADOPTED_MEANWHILE,
}

TABLE: Final[Mapping[type[State], Row]] = MappingProxyType(
    {
        New: {
            Submitted: Transition(_submit, (Queued,)),
            LaunchStarted: Transition(_start_launch, (Creating,)),
            PodAdopted: Transition(_adopt, _JUDGED),
            **_END_OF_LAUNCH,
            **_GIVE_UP,
        },
        Queued: {
            LaunchStarted: Transition(_start_launch, (Creating,)),
            PodAdopted: Transition(_adopt, _JUDGED),
            **_END_OF_LAUNCH,
            **_GIVE_UP,
        },
        Creating: {
            PodCreated: Transition(_begin, _JUDGED),
            PodAdopted: Transition(_adopt, _JUDGED),
            **_END_OF_LAUNCH,
            **_GIVE_UP,
        },
        Active: {
            PodObserved: Transition(_observe_live, _JUDGED),
            PodGone: Transition(_observe_live, (Enriching,)),
            DeadlinesChecked: Transition(_check_deadlines, (Active, Terminating)),
            TerminationRequested: Transition(_cancel, (Terminating,)),
            FinalStatusOverdue: _LATE,
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        Terminating: {
            PodObserved: Transition(_observe_live, _JUDGED_AGAIN),
            PodGone: Transition(_observe_live, (Enriching,)),
            TerminationRequested: _LATE,
            DeletionAnswered: Transition(_answer_live, _JUDGED_AGAIN),
            DeletionOverdue: Transition(_give_up_deletion, (Enriching,)),
            FinalStatusOverdue: _LATE,
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        AwaitingFinalStatus: {
            PodObserved: Transition(_observe_live, (Active, *_JUDGED_AGAIN)),
            PodGone: Transition(_observe_live, (Enriching,)),
            TerminationRequested: Transition(_cancel),
            DeletionAnswered: Transition(_answer_live, _JUDGED_AGAIN),
            DeletionOverdue: Transition(_give_up_deletion, (AwaitingFinalStatus, Enriching)),
            FinalStatusOverdue: Transition(_give_up_final_status, (Active, Terminating, Enriching)),
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        Enriching: {
            PodObserved: Transition(_observe_ended),
            PodGone: Transition(_observe_ended),
            TerminationRequested: _LATE,
            DeletionAnswered: Transition(_answer_ended),
            DeletionOverdue: _LATE,
            FinalStatusOverdue: _LATE,
            OutcomeEnriched: Transition(_settle, (Reporting, Draining)),
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        Reporting: {**_WITH_OUTCOME, ReportMarked: Transition(_drain, (Draining,))},
        Draining: {**_WITH_OUTCOME, LogDrained: Transition(_conclude, (Removing, Finished))},
        Removing: {**_WITH_OUTCOME, DeletionAnswered: Transition(_answer_removing, (Finished,))},
        Finished: {
            **_WITH_OUTCOME,
            PodObserved: Transition(_observe_finished),
            PodGone: Transition(_observe_finished),
            TakenOver: Transition(_hand_over_finished),
            ReportMarked: _LATE,
            LogDrained: _LATE,
        },
        Relinquished: {
            PodCreated: Transition(_begin_relinquished),
            LaunchRefused: _LATE,
            LaunchCancelled: _LATE,
            PodObserved: _LATE,
            PodGone: _LATE,
            TerminationRequested: _LATE,
            RemovalRequested: _LATE,
            DeletionAnswered: _LATE,
            DeletionOverdue: _LATE,
            FinalStatusOverdue: _LATE,
            OutcomeEnriched: _LATE,
            TakenOver: _LATE,
            LeaseLost: _LATE,
            RunnerClosed: _LATE,
        },
    }
)
"""For each state, the inputs that are legal in it. ``docs/explanation/lifecycle.md`` shows it as a picture."""
