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

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from podrunner.machine import IllegalInputError
from podrunner.runner.inputs import (
    AttemptLost,
    AttemptReplayed,
    DeadlinesChecked,
    DeletionAnswered,
    DeletionDeclined,
    DeletionOverdue,
    FinalStatusOverdue,
    Input,
    LaunchCancelled,
    LaunchDeferred,
    LaunchRefused,
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
    RetryCreated,
    RetryDropped,
    RetryPlanned,
    RunnerClosed,
    Submitted,
    TakenOver,
    TerminationRequested,
)
from podrunner.runner.lifecycle.conclusion import (
    answer_removal,
    conclude_drained,
    deliver,
    finish_removing,
    finish_reported,
    remove,
    remove_settled,
)
from podrunner.runner.lifecycle.ended import (
    answer_ended,
    decide,
    observe_ended,
    observe_finished,
    settle_recorded,
)
from podrunner.runner.lifecycle.handover import (
    hand_over,
    hand_over_finished,
    hand_over_settled,
    ignore,
    leave,
    leave_undelivered,
    lose,
)
from podrunner.runner.lifecycle.launch import (
    adopt,
    begin,
    begin_relinquished,
    defer,
    lose_attempt,
    refuse,
    replay,
    start_launch,
    submit,
    withdraw,
)
from podrunner.runner.lifecycle.live import (
    answer_live,
    cancel,
    check_deadlines,
    end_changed,
    give_up_deletion,
    give_up_final_status,
    observe_live,
)
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
    Removing,
    Reporting,
    State,
    Terminating,
    Undelivered,
)

if TYPE_CHECKING:
    from podrunner.runner.lifecycle.steps import Step

__all__ = ["TABLE", "Transition", "step"]


def step(state: State, given: Input) -> Step:
    """Applies an input to a state and returns what follows.

    Raises:
        IllegalInputError: The input has no meaning in this state (:data:`TABLE`).
    """
    transition = TABLE[type(state)].get(type(given))
    if transition is None:
        raise IllegalInputError(f"{type(given).__name__} in state {type(state).__name__}")
    return transition.decide(state, given)


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
_LATE: Final = Transition(ignore)
_JUDGED: Final = (Active, AwaitingFinalStatus, Enriching)
_ADOPTED: Final = (Active, Terminating, AwaitingFinalStatus, Enriching, Draining)
_JUDGED_AGAIN: Final = (Terminating, AwaitingFinalStatus, Enriching)

_END_OF_LAUNCH: Final[Row] = {
    LaunchRefused: Transition(refuse, (Finished,)),
    LaunchCancelled: Transition(withdraw, (Finished,)),
    AttemptLost: Transition(lose_attempt, (Relinquished,)),
    AttemptReplayed: Transition(replay, (Finished,)),
}
# A pod that was adopted while its own create was under way: what the create says comes too late.
_OF_DELIVERY: Final = (OutcomeTaken, RetryPlanned, RetryCreated, RetryDropped)
_ADOPTED_MEANWHILE: Final[Row] = {LaunchRefused: _LATE, LaunchCancelled: _LATE, AttemptLost: _LATE}
_GIVE_UP: Final[Row] = {
    LeaseLost: Transition(lose, (Relinquished,)),
    RunnerClosed: Transition(leave, (Relinquished,)),
}
_HAND_OVER: Final[Row] = {TakenOver: Transition(hand_over, (Relinquished,)), **_GIVE_UP}
_WITH_OUTCOME: Final[Row] = {
    PodObserved: Transition(observe_ended),
    PodGone: Transition(observe_ended),
    DeletionAnswered: Transition(answer_ended),
    RemovalRequested: Transition(remove_settled),
    PodRemoved: Transition(answer_removal),
    DeletionDeclined: _LATE,
    OutcomeRecorded: _LATE,
    TakenOver: Transition(hand_over_settled, (Finished,)),
    TerminationRequested: _LATE,
    DeletionOverdue: _LATE,
    FinalStatusOverdue: _LATE,
    LeaseLost: _LATE,
    RunnerClosed: _LATE,
    **dict.fromkeys(_OF_DELIVERY, _LATE),
    **_ADOPTED_MEANWHILE,
}
_UNDELIVERED: Final[Row] = {
    **_WITH_OUTCOME,
    **dict.fromkeys(_OF_DELIVERY, Transition(deliver)),
    LeaseLost: Transition(leave_undelivered, (Finished,)),
    RunnerClosed: Transition(leave_undelivered, (Finished,)),
}
_CONCLUDED: Final = (Removing, Reporting, Finished)

TABLE: Final[Mapping[type[State], Row]] = MappingProxyType(
    {
        New: {
            Submitted: Transition(submit, (Queued,)),
            LaunchStarted: Transition(start_launch, (Creating,)),
            PodAdopted: Transition(adopt, _ADOPTED),
            **_END_OF_LAUNCH,
            **_GIVE_UP,
        },
        Queued: {
            LaunchStarted: Transition(start_launch, (Creating,)),
            PodAdopted: Transition(adopt, _ADOPTED),
            **_END_OF_LAUNCH,
            **_GIVE_UP,
        },
        Creating: {
            LaunchDeferred: Transition(defer, (Queued,)),
            PodCreated: Transition(begin, _JUDGED),
            PodAdopted: Transition(adopt, _ADOPTED),
            **_END_OF_LAUNCH,
            **_GIVE_UP,
        },
        Active: {
            PodObserved: Transition(observe_live, _JUDGED),
            PodGone: Transition(observe_live, (Enriching,)),
            DeadlinesChecked: Transition(check_deadlines, (Active, Terminating)),
            TerminationRequested: Transition(cancel, (Terminating,)),
            FinalStatusOverdue: _LATE,
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        Terminating: {
            PodObserved: Transition(observe_live, _JUDGED_AGAIN),
            PodGone: Transition(observe_live, (Enriching,)),
            TerminationRequested: _LATE,
            DeletionAnswered: Transition(answer_live, _JUDGED_AGAIN),
            DeletionDeclined: Transition(end_changed, _JUDGED_AGAIN),
            DeletionOverdue: Transition(give_up_deletion, (Terminating, Enriching)),
            FinalStatusOverdue: _LATE,
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        AwaitingFinalStatus: {
            PodObserved: Transition(observe_live, (Active, *_JUDGED_AGAIN)),
            PodGone: Transition(observe_live, (Enriching,)),
            TerminationRequested: Transition(cancel),
            DeletionAnswered: Transition(answer_live, _JUDGED_AGAIN),
            DeletionDeclined: Transition(end_changed, _JUDGED_AGAIN),
            DeletionOverdue: Transition(give_up_deletion, (AwaitingFinalStatus, Enriching)),
            FinalStatusOverdue: Transition(give_up_final_status, (Active, Terminating, Enriching)),
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        Enriching: {
            PodObserved: Transition(observe_ended),
            PodGone: Transition(observe_ended),
            TerminationRequested: _LATE,
            DeletionAnswered: Transition(answer_ended),
            DeletionDeclined: _LATE,
            DeletionOverdue: _LATE,
            FinalStatusOverdue: _LATE,
            OutcomeEnriched: Transition(decide, (Recording, Draining)),
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        Recording: {
            PodObserved: Transition(observe_ended),
            PodGone: Transition(observe_ended),
            TerminationRequested: _LATE,
            DeletionAnswered: Transition(answer_ended),
            DeletionDeclined: _LATE,
            DeletionOverdue: _LATE,
            FinalStatusOverdue: _LATE,
            OutcomeRecorded: Transition(settle_recorded, (Draining,)),
            **_ADOPTED_MEANWHILE,
            **_HAND_OVER,
        },
        Draining: {
            **_UNDELIVERED,
            LogDrained: Transition(conclude_drained, (Undelivered, *_CONCLUDED)),
        },
        Undelivered: {
            **_UNDELIVERED,
            **dict.fromkeys(_OF_DELIVERY, Transition(deliver, (Undelivered, *_CONCLUDED))),
            RetryPlanned: Transition(deliver),
            RetryCreated: Transition(deliver, _CONCLUDED),
            RemovalRequested: Transition(remove_settled, (Removing, Finished)),
        },
        Reporting: {**_WITH_OUTCOME, ReportMarked: Transition(finish_reported, (Finished,))},
        Removing: {**_WITH_OUTCOME, PodRemoved: Transition(finish_removing, (Finished,))},
        Finished: {
            **_WITH_OUTCOME,
            PodObserved: Transition(observe_finished),
            PodGone: Transition(observe_finished),
            RemovalRequested: Transition(remove),
            TakenOver: Transition(hand_over_finished),
            ReportMarked: _LATE,
            LogDrained: _LATE,
        },
        Relinquished: {
            PodCreated: Transition(begin_relinquished),
            **_ADOPTED_MEANWHILE,
            PodObserved: _LATE,
            PodGone: _LATE,
            TerminationRequested: _LATE,
            RemovalRequested: _LATE,
            DeletionAnswered: _LATE,
            DeletionDeclined: _LATE,
            DeletionOverdue: _LATE,
            FinalStatusOverdue: _LATE,
            OutcomeEnriched: _LATE,
            OutcomeRecorded: _LATE,
            TakenOver: _LATE,
            LeaseLost: _LATE,
            RunnerClosed: _LATE,
        },
    }
)
"""For each state, the inputs that are legal in it. ``docs/explanation/lifecycle.md`` shows it as a picture."""
