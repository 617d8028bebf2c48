"""What an outcome is decided from, gathered once from a pod's last records.

Reading and comparing only; which facts make which outcome is the table in ``podrunner.outcome.rules``.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from podrunner.outcome.containers import (
    ended_for_good,
    ever_started,
    main_name,
    main_status,
    native_sidecars,
)
from podrunner.outcome.messages import signal_of
from podrunner.outcome.result import later_by, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from podrunner.outcome.history import History
    from podrunner.outcome.record import (
        ContainerStateTerminated,
        ContainerStatus,
        Event,
        Pod,
        PodCondition,
    )

__all__ = [
    "TERMINATION_BY_KUBELET",
    "Facts",
    "condition",
    "container_of",
    "deletion_asked_at",
    "ended_before_deletion",
    "gather",
    "is_over",
    "is_past_deadline",
    "may_have_begun",
    "past_deadline",
]

_ENDED = frozenset({"Succeeded", "Failed"})
_BY_DEADLINE = "DeadlineExceeded"

TERMINATION_BY_KUBELET = "TerminationByKubelet"
"""Reason of a ``DisruptionTarget`` that the kubelet wrote. Its time is no cause's: the kubelet writes it with the final
phase, when all containers have ended (``mergePodStatus`` in pkg/kubelet/status/status_manager.go)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that a rule may look at.

    Attributes:
        pod: The last record of the pod.
        main: Status of the main container, from the last record that showed it and its end; None if none did.
        end: The main container's final end, or None.
        failed_init: The init container that stopped the pod, or None.
        disruption: The pod's ``DisruptionTarget`` condition (KEP-3329) if it is true, else None.
        interrupted: Whether a deletion or disruption came before the pod ended by itself.
        by_owner: Whether its owner deleted it.
        vanished: Whether the pod is no longer there.
        started: Whether the main container ever ran, or may have.
        is_unseen: Whether no record shows that it ran, nor that it did not (:func:`may_have_begun`).
        events: The pod's events, as far as they were fetched.
        main_name: Name of the main container, or "".
    """

    pod: Pod
    main: ContainerStatus | None
    end: ContainerStateTerminated | None
    failed_init: ContainerStatus | None
    disruption: PodCondition | None
    interrupted: bool
    by_owner: bool
    vanished: bool
    started: bool
    is_unseen: bool
    events: Sequence[Event]
    main_name: str

    @property
    def phase(self) -> str:
        """The phase of the last record."""
        return self.pod.status.phase

    @property
    def status_reason(self) -> str:
        """The pod's own reason, or ""."""
        return self.pod.status.reason or ""

    @property
    def being_deleted(self) -> bool:
        """Whether the last record is marked for deletion."""
        return self.pod.metadata.deletion_timestamp is not None


def condition(pod: Pod, kind: str) -> PodCondition | None:
    """Return the pod's condition of a type, or None."""
    for item in pod.status.conditions or ():
        if item.type == kind:
            return item
    return None


def is_over(pod: Pod, *, main_container: str | None = None, vanished: bool = False) -> bool:
    """Whether a pod's end is decided: gone, ended by phase, or its main container ended for good.

    Other containers that still run do not matter: a sidecar does not hide the end of the work.
    """
    if vanished or pod.status.phase in _ENDED:
        return True
    return ended_for_good(pod, main_status(pod, main_container)) is not None


def ended_before_deletion(answered: Pod, *, main_container: str | None = None) -> bool:
    """Whether the answer to a deletion shows that the pod had ended when the deletion was accepted.

    The status in it was written before. Where the phase is final and a grace period is left, an earlier deletion is
    pending (a pod that is over is given none), and may have been the cause.
    """
    pending = answered.status.phase in _ENDED and bool(answered.metadata.deletion_grace_period_seconds)
    return not pending and is_over(answered, main_container=main_container)


def gather(
    pod: Pod,
    *,
    events: Iterable[Event] = (),
    main_container: str | None = None,
    vanished: bool = False,
    by_owner: bool = False,
    by_deadline: bool = False,
    history: History,
    ended_first: bool = False,
) -> Facts:
    """Gather the facts about a pod that is over; its history fills in what the last record no longer shows."""
    events = tuple(events)
    if by_deadline and ended_first and is_past_deadline(pod):
        # The kubelet writes it to a pod that had ended too, as long as its status is not final.
        pod = replace(pod, status=replace(pod.status, reason=None, message=None))
    main = history.main or main_status(pod, main_container)
    end = ended_for_good(pod, main)
    failed_init = None if end is not None else _failed_init(pod)
    disruption = _disruption(pod, history)
    main_called = main_name(pod, main_container) or (main.name if main else "")
    deciding = _deciding_end(end, failed_init)
    interrupted = _disrupted_before(disruption, deciding) or (
        not ended_first
        and (
            (by_deadline and is_past_deadline(pod))
            or _deleted_before(
                pod, deciding, history.deletion_asked_at, killed=_kill_told(events, main_called)
            )
        )
    )
    has_started = history.started or ever_started(main, history.unstarted_runs)
    is_unseen = not has_started and may_have_begun(pod, end, is_last=not history.is_incomplete)
    return Facts(
        pod=pod,
        main=main,
        end=end,
        failed_init=failed_init,
        disruption=disruption,
        interrupted=interrupted,
        by_owner=by_owner,
        vanished=vanished,
        started=has_started or is_unseen,
        is_unseen=is_unseen,
        events=events,
        main_name=main_called,
    )


def may_have_begun(pod: Pod, end: ContainerStateTerminated | None, *, is_last: bool) -> bool:
    """Whether the work of a pod that is over may have begun without a record that shows it.

    A kubelet writes the final phase before it lets a pod go (``canBeDeleted`` in pkg/kubelet/status), and nothing of a
    pod without a node runs. Any other end says nothing of what ran since the last write: a deletion by force, a node
    that fell silent, whose pods controllers end.

    Args:
        pod: Its last record, which shows no start.
        end: The final end of its main container, if the record shows one.
        is_last: Whether the record is the pod's last one; else later ones may have been missed.
    """
    if end is not None:
        return False
    if pod.status.phase in _ENDED and not _ended_by_controller(pod):
        return False
    return not is_last or pod.spec.node_name is not None


def _ended_by_controller(pod: Pod) -> bool:
    """Whether a controller wrote the final phase for a node that is gone (pkg/controller/podgc), or is silent."""
    found = condition(pod, "DisruptionTarget")
    by_collector = found is not None and found.status == "True" and found.reason == "DeletionByPodGC"
    return by_collector or pod.status.reason == "NodeLost"


def _failed_init(pod: Pod) -> ContainerStatus | None:
    if pod.status.phase != "Failed":
        return None
    beside = native_sidecars(pod)
    failed = [s for s in pod.status.init_container_statuses or () if s.name not in beside and _failed(s)]
    # One whose exit code can be read comes before one of which only the end is known.
    return next((s for s in failed if _code(s) is not None), next(iter(failed), None))


def _failed(status: ContainerStatus) -> bool:
    return status.state.terminated is not None and _code(status) != 0


def _code(status: ContainerStatus) -> int | None:
    return None if status.state.terminated is None else status.state.terminated.exit_code


def _deciding_end(
    end: ContainerStateTerminated | None, failed_init: ContainerStatus | None
) -> ContainerStateTerminated | None:
    if end is None and failed_init is not None:
        return failed_init.state.terminated
    return end


def _disruption(pod: Pod, history: History) -> PodCondition | None:
    """Return the disruption that ended a pod; one that a controller wrote comes before the kubelet's."""
    found = condition(pod, "DisruptionTarget")
    now = found if found is not None and found.status == "True" else None
    return history.disruption or now


def _disrupted_before(disruption: PodCondition | None, end: ContainerStateTerminated | None) -> bool:
    if disruption is None or disruption.reason == TERMINATION_BY_KUBELET:
        return False
    return _not_before(end, parse_time(disruption.last_transition_time))


def _deleted_before(
    pod: Pod, end: ContainerStateTerminated | None, asked_at: datetime | None, *, killed: bool
) -> bool:
    marked = parse_time(pod.metadata.deletion_timestamp)
    if marked is None:
        return pod.metadata.deletion_timestamp is not None
    if asked_at is None and (asked_at := deletion_asked_at(pod)) is None:
        # Only its final status was seen. What was killed before that, without another reason, was killed by it.
        return _not_before(end, marked) or (not pod.status.reason and (killed or _is_killed(end)))
    return _not_before(end, asked_at)


def _not_before(end: ContainerStateTerminated | None, moment: datetime | None) -> bool:
    finished = parse_time(end.finished_at) if end is not None else None
    return finished is None or moment is None or finished >= moment


def _is_killed(end: ContainerStateTerminated | None) -> bool:
    """Whether it ended as a kubelet ends containers: by SIGTERM or SIGKILL, and not for its memory."""
    return (
        signal_of(end) in {signal.SIGTERM, signal.SIGKILL} and end is not None and end.reason != "OOMKilled"
    )


def _kill_told(events: Iterable[Event], container: str) -> bool:
    """Whether an event says that the kubelet stops the container because of the pod's end.

    ``killContainer`` in pkg/kubelet/kuberuntime; its events of failed probes and of restarts have other messages. The
    field path names the container where a later kubelet's message should not.
    """
    return any(
        event.reason == "Killing"
        and event.message.startswith("Stopping container")
        and (container_of(event) or event.message.rpartition(" ")[2]) == container
        for event in events
    )


def container_of(event: Event) -> str:
    """Return the name of the container that an event is about, by its field path; "" if it names none."""
    return (event.involved_object.field_path or "").rpartition("{")[2].removesuffix("}")


def is_past_deadline(pod: Pod) -> bool:
    """Whether the kubelet wrote that it ended the pod because its ``activeDeadlineSeconds`` were over."""
    return pod.status.reason == _BY_DEADLINE


def past_deadline(pod: Pod, finished_at: str | None) -> bool | None:
    """Whether an end came after the pod's ``activeDeadlineSeconds``; None where that is not known."""
    finished, began = parse_time(finished_at), parse_time(pod.status.start_time)
    limit_s = pod.spec.active_deadline_seconds
    if finished is None or began is None or limit_s is None:
        return None
    until = later_by(began, limit_s)
    return until is not None and finished >= until


def deletion_asked_at(pod: Pod) -> datetime | None:
    """When the deletion was asked for; None if it was not, or if the record does not show it.

    The server writes that moment plus the grace period. When the containers have ended, the kubelet writes the final
    phase and deletes the pod once more, without grace, and the server writes the time of that: likewise
    when any client deletes a pod that is over.
    """
    marked = parse_time(pod.metadata.deletion_timestamp)
    grace_s = pod.metadata.deletion_grace_period_seconds or 0
    if marked is None or (not grace_s and pod.status.phase in _ENDED):
        return None
    return later_by(marked, -grace_s)
