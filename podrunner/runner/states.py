"""The words in which a pod's life is written: its states, the inputs that move it, and the effects that follow.

Frozen records, nothing else. A state holds only what is valid in it; an effect says what is to be done and does
nothing. What follows on what is the table in :mod:`podrunner.runner.lifecycle`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

if TYPE_CHECKING:
    import datetime as dt

    from podrunner.config import RunnerConfig
    from podrunner.errors import PodrunnerError
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod
    from podrunner.runner.deadlines import Clocks
    from podrunner.runner.events import EventKind

__all__ = [
    "Active",
    "AwaitDeletion",
    "AwaitFinalStatus",
    "AwaitingFinalStatus",
    "BaseState",
    "CollectLog",
    "ConfirmDeletion",
    "Creating",
    "DeadlinesChecked",
    "DeletePod",
    "DeletionAnswered",
    "DeletionOverdue",
    "DrainLog",
    "Draining",
    "Effect",
    "Emit",
    "Enrich",
    "Enriching",
    "ExpectInWatch",
    "FinalStatusOverdue",
    "Finished",
    "Input",
    "Job",
    "LaunchCancelled",
    "LaunchRefused",
    "LaunchStarted",
    "LeaseLost",
    "Live",
    "LiveState",
    "LogDrained",
    "MarkReported",
    "New",
    "NotCreatedState",
    "NoteEnd",
    "OutcomeEnriched",
    "PodAdopted",
    "PodCreated",
    "PodGone",
    "PodObserved",
    "Queued",
    "Relinquished",
    "RemovalRequested",
    "RemoveLogCursors",
    "RemovePod",
    "Removing",
    "ReportMarked",
    "Reporting",
    "Rules",
    "RunnerClosed",
    "Settled",
    "SettledState",
    "Snapshot",
    "State",
    "Submitted",
    "TakenOver",
    "Terminating",
    "Termination",
    "TerminationRequested",
    "TimedEffect",
    "Untrack",
    "UnwatchDeadlines",
    "WatchDeadlines",
    "is_gone",
    "outcome_of",
    "snapshot_of",
]


# What states are made of


class Rules(msgspec.Struct, frozen=True, gc=False):
    """What decisions about one pod depend on besides its state.

    Attributes:
        main_container: The container whose end is the pod's.
        config: The runner's configuration.
    """

    main_container: str
    config: RunnerConfig


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a pod that was created: its last record, and what only earlier records said.

    Attributes:
        pod: The newest record.
        status: It, as ``kubectl get pod`` prints it.
        first_seen_s: When the pod was first tracked, on the runner's clock. Of an adopted pod: when it was created.
        deletion_asked_at: When its deletion was asked for, by the server's clock; None: it was not, or no record said.
    """

    pod: Pod
    status: str
    first_seen_s: float
    deletion_asked_at: dt.datetime | None = None


class Termination(msgspec.Struct, frozen=True, kw_only=True):
    """That the runner itself ends a pod.

    Attributes:
        verdict: The outcome that the pod is given for it; None: the caller cancelled it.
        grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
        ended_first: Whether the answer to the deletion showed that the pod had ended before.
    """

    verdict: Outcome | None = None
    grace_period_s: int | None = None
    ended_first: bool = False


# The states


class BaseState(msgspec.Struct, frozen=True, kw_only=True):
    """A state of a pod's life.

    Attributes:
        rules: What decisions depend on besides the state.
        is_active: Whether such a pod takes one of the ``max_active_pods``.
        is_open: Whether such a pod exists and something is still to be done about it.
        is_ended: Whether its outcome is there, or will not come from here.
        is_done: Whether nothing more is done about it.
    """

    is_active: ClassVar[bool] = False
    is_open: ClassVar[bool] = False
    is_ended: ClassVar[bool] = False
    is_done: ClassVar[bool] = False

    rules: Rules


class NotCreatedState(BaseState, frozen=True):
    """Whether there is a pod is not known."""


class New(NotCreatedState, frozen=True):
    """Nothing was asked for yet."""


class Queued(NotCreatedState, frozen=True):
    """A submission that waits in the queue."""


class Creating(NotCreatedState, frozen=True):
    """The launch is under way; whether there is a pod is not known."""


class LiveState(BaseState, frozen=True):
    """A pod that exists and whose outcome is not decided."""

    is_active: ClassVar[bool] = True
    is_open: ClassVar[bool] = True

    snapshot: Snapshot
    clocks: Clocks


class Active(LiveState, frozen=True):
    """The pod exists and is not over.

    Attributes:
        has_deadline: Whether time alone may end it.
    """

    has_deadline: bool


class Terminating(LiveState, frozen=True):
    """The runner deletes a pod that is not over; its outcome comes when it is gone."""

    termination: Termination


class AwaitingFinalStatus(LiveState, frozen=True):
    """The pod's containers have ended; the kubelet has still to write why (decision 13).

    Attributes:
        termination: That the runner ends it; None: it does not.
    """

    termination: Termination | None


class Enriching(BaseState, frozen=True):
    """The end was seen; what else the cluster knows of it is gathered before the outcome is settled.

    Attributes:
        provisional: The outcome as the pod's status alone says it.
        termination: That the runner ended it; None: it did not.
        gone: Whether the pod is no longer there.
    """

    is_active: ClassVar[bool] = True
    is_open: ClassVar[bool] = True

    snapshot: Snapshot
    provisional: Outcome
    termination: Termination | None
    gone: bool


class SettledState(BaseState, frozen=True):
    """The pod has its one outcome.

    Attributes:
        outcome: It.
        gone: Whether the pod is no longer there.
    """

    is_open: ClassVar[bool] = True
    is_ended: ClassVar[bool] = True

    snapshot: Snapshot
    outcome: Outcome
    gone: bool


class Reporting(SettledState, frozen=True):
    """The pod is retained, and is being marked as reported."""


class Draining(SettledState, frozen=True):
    """The rest of its log is read.

    Attributes:
        delete: Whether the pod is deleted afterwards; else it is retained, or gone already.
    """

    delete: bool


class Removing(SettledState, frozen=True):
    """The pod is being deleted; its outcome is settled and its log is read."""


class Finished(BaseState, frozen=True):
    """Nothing more is done about the pod. It stays like this.

    Attributes:
        outcome: Its one outcome.
        snapshot: The last that was known of it; None: there never was a pod.
        gone: Whether the pod is no longer there.
        launch_error: Why it could not be created; None: it could, or the launch was cancelled.
    """

    is_ended: ClassVar[bool] = True
    is_done: ClassVar[bool] = True

    outcome: Outcome
    snapshot: Snapshot | None = None
    gone: bool = False
    launch_error: PodrunnerError | None = None


class Relinquished(BaseState, frozen=True):
    """The pod is another runner's, or left to one: no outcome comes from here. It stays like this.

    Attributes:
        snapshot: The last that was known of it; None: there was no pod yet.
        gone: Whether the pod was no longer there by then.
    """

    is_ended: ClassVar[bool] = True
    is_done: ClassVar[bool] = True

    snapshot: Snapshot | None = None
    gone: bool = False


State: TypeAlias = (
    New
    | Queued
    | Creating
    | Active
    | Terminating
    | AwaitingFinalStatus
    | Enriching
    | Reporting
    | Draining
    | Removing
    | Finished
    | Relinquished
)
Live: TypeAlias = Active | Terminating | AwaitingFinalStatus
Settled: TypeAlias = Reporting | Draining | Removing


# Reading a state


def outcome_of(state: State) -> Outcome | None:
    """Returns the settled outcome; None while there is none."""
    return state.outcome if isinstance(state, SettledState | Finished) else None


def snapshot_of(state: State) -> Snapshot | None:
    """Returns what is known of the pod; None before it exists."""
    return None if isinstance(state, NotCreatedState) else state.snapshot


def is_gone(state: State) -> bool:
    """Returns whether the pod existed and is no longer there."""
    return isinstance(state, Enriching | SettledState | Finished | Relinquished) and state.gone


# The inputs


class Submitted(msgspec.Struct, frozen=True):
    """The workload was put into the queue."""


class LaunchStarted(msgspec.Struct, frozen=True):
    """Its turn has come: the pod is being created."""


class LaunchRefused(msgspec.Struct, frozen=True):
    """The pod could not be created.

    Attributes:
        error: Why.
        is_reported: Whether an event reports it; else an exception does.
    """

    error: PodrunnerError
    is_reported: bool


class LaunchCancelled(msgspec.Struct, frozen=True):
    """The launch was cancelled before there was a pod.

    Attributes:
        is_reported: Whether an event reports it; else an exception does.
    """

    is_reported: bool


class PodCreated(msgspec.Struct, frozen=True):
    """The pod exists.

    Attributes:
        pod: Its record.
        now_s: The time on the runner's clock.
    """

    pod: Pod
    now_s: float


class PodAdopted(msgspec.Struct, frozen=True):
    """A pod of an earlier runner is this runner's now.

    Attributes:
        pod: Its record.
        now_s: The time on the runner's clock.
        now: The time of day, against which the record's times are read: a restart prolongs no deadline.
    """

    pod: Pod
    now_s: float
    now: dt.datetime


class PodObserved(msgspec.Struct, frozen=True):
    """The watch, or the answer to a request, showed a record of the pod.

    Attributes:
        pod: The record; perhaps older than the newest.
    """

    pod: Pod


class PodGone(msgspec.Struct, frozen=True):
    """The pod is no longer there.

    Attributes:
        pod: Its last record; None: the newest that is known.
    """

    pod: Pod | None = None


class DeadlinesChecked(msgspec.Struct, frozen=True):
    """Time has passed.

    Attributes:
        now_s: The time on the runner's clock.
    """

    now_s: float


class TerminationRequested(msgspec.Struct, frozen=True):
    """The caller cancels the pod.

    Attributes:
        grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
    """

    grace_period_s: int | None = None


class RemovalRequested(msgspec.Struct, frozen=True):
    """The caller deletes a pod that is over, whatever the policy says.

    Attributes:
        grace_period_s: Seconds that what still runs has to end; None: the configuration's, or the pod's own.
    """

    grace_period_s: int | None = None


class DeletionAnswered(msgspec.Struct, frozen=True):
    """The deletion needs no further request: it was accepted, or the pod is gone or not this runner's to delete.

    Attributes:
        pod: The pod as it was when the deletion was accepted; None: the answer did not show it.
        is_first: Whether no earlier request may have been accepted.
    """

    pod: Pod | None = None
    is_first: bool = False


class DeletionOverdue(msgspec.Struct, frozen=True):
    """The deleted pod is still there after its grace period and a margin."""


class FinalStatusOverdue(msgspec.Struct, frozen=True):
    """The time for the final status is over, and the pod was read once more."""


class OutcomeEnriched(msgspec.Struct, frozen=True):
    """What else the cluster knows of the end was gathered.

    Attributes:
        outcome: The outcome with it.
    """

    outcome: Outcome


class ReportMarked(msgspec.Struct, frozen=True):
    """The pod was marked as reported, or could not be."""


class LogDrained(msgspec.Struct, frozen=True):
    """The log was read to its end, or the time for it is over."""


class TakenOver(msgspec.Struct, frozen=True):
    """The pod bears another owner's name."""


class LeaseLost(msgspec.Struct, frozen=True):
    """The runner holds its Lease no more: it owns no pod.

    Attributes:
        why: In words.
    """

    why: str


class RunnerClosed(msgspec.Struct, frozen=True):
    """The runner is closed and leaves its pods to a successor."""


Input: TypeAlias = (
    Submitted
    | LaunchStarted
    | LaunchRefused
    | LaunchCancelled
    | PodCreated
    | PodAdopted
    | PodObserved
    | PodGone
    | DeadlinesChecked
    | TerminationRequested
    | RemovalRequested
    | DeletionAnswered
    | DeletionOverdue
    | FinalStatusOverdue
    | OutcomeEnriched
    | ReportMarked
    | LogDrained
    | TakenOver
    | LeaseLost
    | RunnerClosed
)


# The effects: done at once, in their order


class Emit(msgspec.Struct, frozen=True):
    """Give the readers of events an event.

    Attributes:
        kind: What happened.
        outcome: The outcome, with ``finished``.
        message: More in words, or "".
    """

    kind: EventKind
    outcome: Outcome | None = None
    message: str = ""


class ExpectInWatch(msgspec.Struct, frozen=True):
    """Ask for the pod by name if the watch does not show it soon."""


class WatchDeadlines(msgspec.Struct, frozen=True):
    """Check the pod's deadlines from time to time."""


class UnwatchDeadlines(msgspec.Struct, frozen=True):
    """Check them no more."""


class CollectLog(msgspec.Struct, frozen=True):
    """Begin to collect the log, if it is wanted and there is one."""


class NoteEnd(msgspec.Struct, frozen=True):
    """Wake the tasks that wait for the outcome: it is there, or none will come from here."""


class ConfirmDeletion(msgspec.Struct, frozen=True):
    """Wake the tasks that wait for the deletion: the pod is gone, or not this runner's any more."""


class Untrack(msgspec.Struct, frozen=True):
    """Forget the pod."""


class RemoveLogCursors(msgspec.Struct, frozen=True):
    """Remove what a successor would need to go on with the pod's log files."""


# The effects that take time: each ends with an input


class TimedEffect(msgspec.Struct, frozen=True):
    """An effect that takes time."""


class DeletePod(TimedEffect, frozen=True):
    """Delete the pod, until the server has accepted it: :class:`DeletionAnswered`.

    Attributes:
        grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
    """

    grace_period_s: int | None = None


class RemovePod(TimedEffect, frozen=True):
    """Read the rest of the log, then delete the pod: :class:`DeletionAnswered`.

    Attributes:
        grace_period_s: As for :class:`DeletePod`.
    """

    grace_period_s: int | None = None


class AwaitDeletion(TimedEffect, frozen=True):
    """Wait for the deleted pod to be gone: :class:`DeletionOverdue` when it is not.

    Attributes:
        timeout_s: Seconds to wait.
    """

    timeout_s: float


class AwaitFinalStatus(TimedEffect, frozen=True):
    """Wait for the kubelet's final status, then read the pod: :class:`FinalStatusOverdue`."""


class Enrich(TimedEffect, frozen=True):
    """Gather what else the cluster knows of the end: :class:`OutcomeEnriched`."""


class MarkReported(TimedEffect, frozen=True):
    """Mark the pod as reported: :class:`ReportMarked`."""


class DrainLog(TimedEffect, frozen=True):
    """Read the rest of the log: :class:`LogDrained`.

    Attributes:
        keep_until_s: How long, on the runner's clock, a pod whose log is not collected is kept for a reader that may
            still come; None: no time.
    """

    keep_until_s: float | None = None


Job: TypeAlias = DeletePod | RemovePod | AwaitDeletion | AwaitFinalStatus | Enrich | MarkReported | DrainLog
Effect: TypeAlias = (
    Emit
    | ExpectInWatch
    | WatchDeadlines
    | UnwatchDeadlines
    | CollectLog
    | NoteEnd
    | ConfirmDeletion
    | Untrack
    | RemoveLogCursors
    | Job
)
