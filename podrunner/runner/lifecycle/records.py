"""Reading records: what is known of a pod with one record more, and what its deletion policy is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from podrunner.builder.labels import RESULT_PATH
from podrunner.outcome import (
    NO_HISTORY,
    Category,
    History,
    Outcome,
    Stage,
    ended_before_deletion,
    ever_started,
    goes_on,
    is_same_cause,
    main_status,
    printer_status,
    remember,
    why,
)
from podrunner.ownership import is_noted_as_started, opened_at
from podrunner.runner.effects import (
    CollectLog,
    ConfirmDeletion,
    Effect,
    Emit,
    RecordOpened,
    RecordStart,
    RemoveLogCursors,
    Untrack,
)
from podrunner.runner.events import EventKind
from podrunner.runner.states import Rules, Snapshot, Termination
from podrunner.watch.store import is_older

if TYPE_CHECKING:
    from podrunner.outcome.record import Pod
    from podrunner.runner.inputs import DeletionAnswered

__all__ = [
    "FORGET",
    "LEAVE",
    "as_incomplete",
    "deletion_timeout_s",
    "has_ended_first",
    "history_alone",
    "holds_result",
    "is_lost",
    "is_same",
    "is_to_be_deleted",
    "merge",
    "merge_settled",
    "new_snapshot",
    "record_effects",
    "says_the_same",
    "start_effects",
]

# What a deleted pod may take beyond its grace period before its outcome is given without it: the node that ought to
# confirm the deletion may be dead, and then the pod stays for ever.
_DELETION_MARGIN_S: Final = 60.0
# Kubernetes' default for terminationGracePeriodSeconds.
_DEFAULT_GRACE_S: Final = 30
# A node that is taken for lost had its time already.
_LOST_NODE_MARGIN_S: Final = 10.0


def history_alone(pod: Pod, *, main_container: str) -> History:
    """Returns the history of a pod of which one record is known, with what an earlier runner noted on it."""
    known = History(started=True) if is_noted_as_started(pod) else NO_HISTORY
    return remember(known, pod, main_container=main_container)


def new_snapshot(pod: Pod, *, main_container: str, first_seen_s: float) -> Snapshot:
    """Returns what one record says of a pod, with what an earlier runner noted on it."""
    history = history_alone(pod, main_container=main_container)
    return _snapshot(pod, history, main_container=main_container, first_seen_s=first_seen_s)


def _snapshot(pod: Pod, history: History, *, main_container: str, first_seen_s: float) -> Snapshot:
    return Snapshot(
        pod=pod,
        status=printer_status(pod),
        first_seen_s=first_seen_s,
        history=history,
        said=why(pod, history=history, main_container=main_container),
    )


def merge(known: Snapshot, pod: Pod | None, *, main_container: str, rewound: bool = False) -> Snapshot:
    """Returns what is known with one record more; the same if that is older, as the watch may be behind an answer.

    Args:
        known: What is known.
        pod: The record; None: there is none.
        main_container: Name of the container that decides.
        rewound: Whether the record is the pod as it is now, though it is older (the server's data went back) or has
            another UID (that one was changed on the way).
    """
    if pod is None or not (rewound or (is_same(pod, known) and not is_older(pod, known.pod))):
        return known
    if says_the_same(pod, known.pod):
        return replace(known, pod=pod)
    history = remember(known.history, pod, before=known.pod, main_container=main_container)
    return _snapshot(pod, history, main_container=main_container, first_seen_s=known.first_seen_s)


def merge_settled(known: Snapshot, pod: Pod | None) -> Snapshot:
    """Returns what is known of a pod that has its outcome, with one record more: its history decides nothing any more.

    Args: as for :func:`merge`.
    """
    if pod is None or not is_same(pod, known) or is_older(pod, known.pod):
        return known
    if says_the_same(pod, known.pod):
        return replace(known, pod=pod)
    return replace(known, pod=pod, status=printer_status(pod), said=None)


def says_the_same(pod: Pod, known: Pod) -> bool:
    """Whether two records of a pod differ in its labels, annotations and the like alone, so that no fact is new."""
    now, before = pod.metadata, known.metadata
    return (
        pod.status == known.status
        and pod.spec == known.spec
        and now.deletion_timestamp == before.deletion_timestamp
        and now.deletion_grace_period_seconds == before.deletion_grace_period_seconds
    )


def as_incomplete(known: Snapshot) -> Snapshot:
    """Returns what is known of a pod of which no record shows the end."""
    return replace(known, history=replace(known.history, is_incomplete=True))


def start_effects(rules: Rules, before: Snapshot, after: Snapshot) -> tuple[Effect, ...]:
    """Returns what follows if only this runner knows what a record no longer shows: it is noted on the pod.

    That is, that the main container had started; or that a scheduling gate had held the pod.
    """
    if _has_opened(before, after):
        return () if opened_at(after.pod) is not None else (RecordOpened(),)
    if not _only_remembered(rules, after) or _only_remembered(rules, before):
        return ()
    return () if is_noted_as_started(after.pod) else (RecordStart(),)


def _has_opened(before: Snapshot, after: Snapshot) -> bool:
    """Whether the last scheduling gate of a pod was opened, and it has no node yet: no later record shows when."""
    if before.said is None or after.said is None:
        return False
    return before.said.stage is Stage.GATED and after.said.stage is Stage.SCHEDULING


def _only_remembered(rules: Rules, known: Snapshot) -> bool:
    return known.history.started and not ever_started(main_status(known.pod, rules.main_container))


def record_effects(before: Snapshot, after: Snapshot, *, gone: bool) -> tuple[Effect, ...]:
    """Returns what follows on a new record alone."""
    report = _status_report(before, after)
    return (_CONFIRM_DELETION, *report, _COLLECT_LOG) if gone else (*report, _COLLECT_LOG)


def _status_report(before: Snapshot, after: Snapshot) -> tuple[Effect, ...]:
    """Returns the event that the status, or the cause, has changed; none while a pull fails and backs off."""
    is_same_status = before.status == after.status or (
        _BACK_OFF in before.status + after.status
        and before.status.replace(_BACK_OFF, _ERROR) == after.status.replace(_BACK_OFF, _ERROR)
    )
    if is_same_status and is_same_cause((before.said, before.history), (after.said, after.history)):
        return ()
    return (Emit(EventKind.STATUS_CHANGED, message="" if after.said is None else after.said.message),)


def is_same(pod: Pod, known: Snapshot | None) -> bool:
    """Whether a record is of the pod that is known."""
    return known is not None and pod.metadata.uid == known.pod.metadata.uid


def has_ended_first(rules: Rules, termination: Termination, given: DeletionAnswered) -> bool:
    """Whether an answer shows that the pod had ended before the runner ended it, by itself."""
    if given.pod is None or not given.is_first or termination.asked_before:
        return False
    if given.keeps_pod and given.pod.metadata.deletion_timestamp is not None:
        return False  # lowering a deadline marks no pod: another client had deleted it, and only a finalizer holds it
    return ended_before_deletion(given.pod, main_container=rules.main_container)


def is_to_be_deleted(rules: Rules, pod: Pod, outcome: Outcome) -> bool:
    """Whether a pod that is over is deleted, by the configuration."""
    if goes_on(pod):
        return True  # a sidecar, or a node that came back, would keep it running without an owner
    config = rules.config
    return config.delete_pods and (outcome.succeeded or config.delete_pods_on_failure)


def is_lost(verdict: Outcome | None) -> bool:
    """Whether a verdict says that the node is lost."""
    return verdict is not None and verdict.category is Category.NODE_LOST


def deletion_timeout_s(known: Snapshot, termination: Termination) -> float:
    """Returns how many seconds a pod that is ended may take to be over."""
    if is_lost(termination.verdict):
        return _LOST_NODE_MARGIN_S
    marked = known.pod.metadata.deletion_grace_period_seconds
    graces = (termination.grace_period_s, marked, _DEFAULT_GRACE_S)
    return next(grace_s for grace_s in graces if grace_s is not None) + _DELETION_MARGIN_S


_BACK_OFF: Final = "ImagePullBackOff"
_ERROR: Final = "ErrImagePull"
_CONFIRM_DELETION: Final = ConfirmDeletion()
_COLLECT_LOG: Final = CollectLog()
LEAVE: Final = (_CONFIRM_DELETION, Untrack())
FORGET: Final = (Untrack(), RemoveLogCursors())


def holds_result(pod: Pod, outcome: Outcome) -> bool:
    """Whether a container that goes on holds a result, which a successor would read again."""
    return outcome.succeeded and RESULT_PATH in (pod.metadata.annotations or {})
