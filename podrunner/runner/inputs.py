"""The inputs that move a pod through its life: what was seen, answered, asked or overdue.

Frozen records, nothing else. Which are legal in which state is the table in :mod:`podrunner.runner.lifecycle`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    import datetime as dt

    from podrunner.errors import PodrunnerError
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod

__all__ = [
    "AttemptLost",
    "AttemptReplayed",
    "DeadlinesChecked",
    "DeletionAnswered",
    "DeletionDeclined",
    "DeletionOverdue",
    "DeliveryInput",
    "FinalStatusOverdue",
    "Input",
    "LaunchCancelled",
    "LaunchDeferred",
    "LaunchRefused",
    "LaunchStarted",
    "LeaseLost",
    "LogDrained",
    "OutcomeEnriched",
    "OutcomeRecorded",
    "OutcomeTaken",
    "PodAdopted",
    "PodCreated",
    "PodGone",
    "PodObserved",
    "PodRemoved",
    "RemovalRequested",
    "ReportMarked",
    "RetryCreated",
    "RetryDropped",
    "RetryPlanned",
    "RunnerClosed",
    "Submitted",
    "TakenOver",
    "TerminationRequested",
]


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


class LaunchDeferred(msgspec.Struct, frozen=True):
    """The launch waits until the pod that has its name may be had, or is gone."""


class AttemptLost(msgspec.Struct, frozen=True):
    """The attempt's pod is there, and is not this runner's to report.

    Attributes:
        error: Why.
        is_reported: Whether an event reports it; else an exception does.
    """

    error: PodrunnerError
    is_reported: bool


class AttemptReplayed(msgspec.Struct, frozen=True):
    """The attempt's pod is there, is over, and its outcome was reported: it is given again.

    Attributes:
        pod: Its record.
        now_s: The time on the runner's clock.
        outcome: Its outcome.
    """

    pod: Pod
    now_s: float
    outcome: Outcome


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
        outcome: The outcome that the earlier runner settled and wrote to it; None: it wrote none.
        verdict: The outcome that the earlier runner gave it before it ended it; None: it did not.
    """

    pod: Pod
    now_s: float
    now: dt.datetime
    outcome: Outcome | None = None
    verdict: Outcome | None = None


class PodObserved(msgspec.Struct, frozen=True):
    """The watch, or the answer to a request, showed a record of the pod.

    Attributes:
        pod: The record; perhaps older than the newest.
        rewound: Whether the server's data went back, as after a restore: then it counts though it is older.
    """

    pod: Pod
    rewound: bool = False


class PodGone(msgspec.Struct, frozen=True):
    """The pod is no longer there.

    Attributes:
        pod: Its last record; None: the newest that is known.
        is_last: Whether that record is as the pod was when it was deleted; else later ones may have been missed.
    """

    pod: Pod | None = None
    is_last: bool = False


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
        keeps_pod: Whether the pod was given a deadline instead, so that the object stays.
    """

    pod: Pod | None = None
    is_first: bool = False
    keeps_pod: bool = False


class DeletionDeclined(msgspec.Struct, frozen=True):
    """The pod was not deleted: it had changed since the deletion was decided.

    Attributes:
        pod: The pod as it is now.
    """

    pod: Pod


class PodRemoved(msgspec.Struct, frozen=True):
    """The pod that is over needs no further request: as :class:`DeletionAnswered`.

    Attributes:
        pod: The pod as it was when the deletion was accepted; None: the answer did not show it.
    """

    pod: Pod | None = None


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


class OutcomeRecorded(msgspec.Struct, frozen=True):
    """The outcome was written to the pod, or could not be."""


class OutcomeTaken(msgspec.Struct, frozen=True):
    """A reader took the outcome, or acknowledged it: the configuration's ``outcome_delivery`` says which counts."""


class RetryPlanned(msgspec.Struct, frozen=True):
    """The pod's run has another try: the outcome is delivered by that."""


class RetryCreated(msgspec.Struct, frozen=True):
    """The pod of the next try exists."""


class RetryDropped(msgspec.Struct, frozen=True):
    """There is no next try after all: the outcome needs a reader."""


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


DeliveryInput: TypeAlias = OutcomeTaken | RetryPlanned | RetryCreated | RetryDropped
Input: TypeAlias = (
    Submitted
    | LaunchStarted
    | LaunchRefused
    | LaunchCancelled
    | LaunchDeferred
    | AttemptLost
    | AttemptReplayed
    | PodCreated
    | PodAdopted
    | PodObserved
    | PodGone
    | DeadlinesChecked
    | TerminationRequested
    | RemovalRequested
    | DeletionAnswered
    | DeletionDeclined
    | PodRemoved
    | DeletionOverdue
    | FinalStatusOverdue
    | OutcomeEnriched
    | OutcomeRecorded
    | LogDrained
    | OutcomeTaken
    | RetryPlanned
    | RetryCreated
    | RetryDropped
    | ReportMarked
    | TakenOver
    | LeaseLost
    | RunnerClosed
)
