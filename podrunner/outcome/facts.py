"""What an outcome is decided from, gathered once from a pod's last records.

Reading and comparing only; which facts make which outcome is the table in ``podrunner.outcome.rules``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from podrunner.outcome.containers import (
    ended_for_good,
    ever_started,
    main_name,
    main_status,
    native_sidecars,
)
from podrunner.outcome.result import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from podrunner.outcome.record import (
        ContainerStateTerminated,
        ContainerStatus,
        Event,
        Pod,
        PodCondition,
    )

__all__ = ["Facts", "condition", "gather", "is_over"]

_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that a rule may look at.

    Attributes:
        pod: The last record of the pod.
        main: Status of the main container, from the last record that told of it; None if none did.
        end: The main container's final end, or None.
        failed_init: The init container that stopped the pod, or None.
        disruption: The pod's ``DisruptionTarget`` condition (KEP-3329) if it is true, else None.
        interrupted: Whether a deletion or disruption came before the pod ended by itself.
        by_owner: Whether its owner deleted it.
        vanished: Whether the pod is no longer there.
        started: Whether the main container ever ran.
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
    return next((item for item in pod.status.conditions or () if item.type == kind), None)


def is_over(pod: Pod, *, main_container: str | None = None, vanished: bool = False) -> bool:
    """Tell whether a pod's end is decided: gone, ended by phase, or its main container ended for good.

    Other containers that still run do not matter: a sidecar does not hide the end of the work.
    """
    if vanished or pod.status.phase in _ENDED:
        return True
    return ended_for_good(pod, main_status(pod, main_container)) is not None


def gather(
    pod: Pod,
    *,
    events: Iterable[Event] = (),
    main_container: str | None = None,
    vanished: bool = False,
    by_owner: bool = False,
    previous: Pod | None = None,
) -> Facts:
    """Gather the facts about a pod that is over; an earlier record fills what the last one no longer tells."""
    before = previous if previous is not None and previous.metadata.uid == pod.metadata.uid else None
    main = main_status(pod, main_container)
    main_before = main_status(before, main_container) if before is not None else None
    main = main or main_before
    end = ended_for_good(pod, main)
    failed_init = None if end is not None else _failed_init(pod)
    disruption = _disruption(pod)
    return Facts(
        pod=pod,
        main=main,
        end=end,
        failed_init=failed_init,
        disruption=disruption,
        interrupted=_interrupted(pod, disruption, _deciding_end(end, failed_init)),
        by_owner=by_owner,
        vanished=vanished,
        started=ever_started(main) or ever_started(main_before),
        events=tuple(events),
        main_name=main_name(pod, main_container) or (main.name if main else ""),
    )


def _failed_init(pod: Pod) -> ContainerStatus | None:
    if pod.status.phase != "Failed":
        return None
    beside = native_sidecars(pod)
    statuses = pod.status.init_container_statuses or ()
    return next((s for s in statuses if s.name not in beside and _failed(s)), None)


def _failed(status: ContainerStatus) -> bool:
    return status.state.terminated is not None and status.state.terminated.exit_code != 0


def _deciding_end(
    end: ContainerStateTerminated | None, failed_init: ContainerStatus | None
) -> ContainerStateTerminated | None:
    if end is None and failed_init is not None:
        return failed_init.state.terminated
    return end


def _disruption(pod: Pod) -> PodCondition | None:
    found = condition(pod, "DisruptionTarget")
    return found if found is not None and found.status == "True" else None


def _interrupted(pod: Pod, disruption: PodCondition | None, end: ContainerStateTerminated | None) -> bool:
    times = [_deletion_asked_at(pod)] if pod.metadata.deletion_timestamp else []
    if disruption is not None:
        times.append(parse_time(disruption.last_transition_time))
    if not times:
        return False
    finished = parse_time(end.finished_at) if end is not None else None
    known = [time for time in times if time is not None]
    return finished is None or len(known) < len(times) or finished >= min(known)


def _deletion_asked_at(pod: Pod) -> datetime | None:
    """When the deletion was asked for: the server writes that moment plus the grace period."""
    marked = parse_time(pod.metadata.deletion_timestamp)
    grace_s = pod.metadata.deletion_grace_period_seconds or 0
    return None if marked is None else marked - timedelta(seconds=grace_s)
