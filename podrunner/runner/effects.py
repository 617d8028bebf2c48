"""The effects of a step of a pod's life: what is to be done. An effect does nothing itself.

Frozen records, nothing else. :class:`podrunner.runner.supervisor.Supervisor` carries them out; one that takes time ends
with an input (:mod:`podrunner.runner.inputs`), which its docstring names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from podrunner.outcome import Category, Outcome
    from podrunner.runner.events import EventKind

__all__ = [
    "AwaitDeletion",
    "AwaitFinalStatus",
    "CollectLog",
    "ConfirmDeletion",
    "DeletePod",
    "DrainLog",
    "Effect",
    "Emit",
    "EndPod",
    "Enrich",
    "ExpectInWatch",
    "Job",
    "MarkReported",
    "Note",
    "NoteEnd",
    "RecordOpened",
    "RecordOutcome",
    "RecordStart",
    "RecordWaiting",
    "ReleaseInEndingNamespace",
    "RemoveLogCursors",
    "RemovePod",
    "TimedEffect",
    "Untrack",
    "UnwatchDeadlines",
    "WatchDeadlines",
]


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
    """Delete the pod, until the server has accepted it: :class:`DeletionAnswered`, :class:`DeletionDeclined`.

    Attributes:
        grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
        resource_version: Only as long as the pod is at this version; None: whatever became of it.
        verdict: The outcome that the runner gives the pod, which is written to it first, as the object stays for some
            time; None: none is.
    """

    grace_period_s: int | None = None
    resource_version: str | None = None
    verdict: Outcome | None = None


class RemovePod(TimedEffect, frozen=True):
    """Read the rest of the log of a pod that is over, then delete it: :class:`PodRemoved`.

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


class EndPod(TimedEffect, frozen=True):
    """Write the outcome of a pod to it and end it, in one request if it can stay.

    It ends with :class:`DeletionAnswered` or :class:`DeletionDeclined`; of a settled outcome, :class:`OutcomeRecorded`.

    Attributes:
        outcome: What the runner makes of the pod. Of a pod that is not over: the verdict.
        is_settled: Whether it is the settled outcome; else it is a verdict.
        grace_period_s: As for :class:`DeletePod`, where the pod is deleted.
        keeps_pod: Whether the pod is ended by its deadline, so that the object stays; else it is deleted.
        resource_version: Only as long as the pod is at this version: what is over keeps its own outcome, also if the
            answer is lost. None: whatever became of it.
    """

    outcome: Outcome
    is_settled: bool
    grace_period_s: int | None
    keeps_pod: bool
    resource_version: str | None = None


class ReleaseInEndingNamespace(TimedEffect, frozen=True):
    """Free the pod from its finalizer if its namespace is being deleted; no input follows."""


class RecordStart(TimedEffect, frozen=True):
    """Note on the pod that its work may have begun, which its status no longer shows; no input follows."""


class RecordOpened(TimedEffect, frozen=True):
    """Note on the pod that its last scheduling gate has opened; no input follows."""


class RecordWaiting(TimedEffect, frozen=True):
    """Note on the pod since when it waits for what; no input follows.

    Attributes:
        category: The category that giving it up would have.
        since_s: When that was first seen, on the runner's clock.
    """

    category: Category
    since_s: float


class RecordOutcome(TimedEffect, frozen=True):
    """Write the outcome to the pod: :class:`OutcomeRecorded`."""

    outcome: Outcome


class MarkReported(TimedEffect, frozen=True):
    """Mark the pod as reported: :class:`ReportMarked`."""


class DrainLog(TimedEffect, frozen=True):
    """Read the rest of the log: :class:`LogDrained`.

    Attributes:
        keep_until_s: How long, on the runner's clock, a pod whose log is not collected is kept for a reader that may
            still come; None: no time.
    """

    keep_until_s: float | None = None


Note: TypeAlias = RecordOpened | RecordStart | RecordWaiting
"""What only this runner knows of a pod that is not over, and notes on it for a successor."""
Job: TypeAlias = (
    DeletePod
    | EndPod
    | RemovePod
    | AwaitDeletion
    | AwaitFinalStatus
    | Enrich
    | RecordOutcome
    | Note
    | ReleaseInEndingNamespace
    | DrainLog
    | MarkReported
)
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
