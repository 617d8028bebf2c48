"""Deadlines of pods that do not start: what a pod waits for, and for how long it may.

Pure: the caller says what time it is, on its own clock, and deletes the pod when the verdict says so. The graces are
the configuration's (:class:`~podrunner.config.policies.PendingPolicy`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from podrunner.outcome.category import Category, Fault
from podrunner.outcome.containers import all_statuses, ever_started, main_status
from podrunner.outcome.facts import condition
from podrunner.outcome.messages import sentence
from podrunner.outcome.scheduling import fault_of_placement, parse_unschedulable
from podrunner.outcome.tables.causes import fault_of_creation, fault_of_image
from podrunner.outcome.tables.creation import CREATION_REASONS
from podrunner.outcome.tables.images import IMAGE_REASONS
from podrunner.outcome.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.config.policies import PendingPolicy
    from podrunner.outcome.record import Pod

__all__ = ["Cause", "Waiting", "pending_verdict", "waiting", "waiting_for"]

_CATEGORIES: Mapping[str, Category] = MappingProxyType(
    dict.fromkeys(IMAGE_REASONS, Category.IMAGE) | dict.fromkeys(CREATION_REASONS, Category.CONTAINER_CONFIG)
)


class Cause(NamedTuple):
    """What a pod waits for.

    Attributes:
        category: The category that giving up would have.
        reason: The cluster's reason.
        message: Its sentence, or "".
        container: The container that waits, or None.
    """

    category: Category
    reason: str
    message: str
    container: str | None


class Waiting(NamedTuple):
    """Since when a pod waits, on the caller's clock. Kept by the caller from one look to the next.

    Attributes:
        since_s: When the pod was first seen not started.
        category: The category of what it waits for now, or None if nothing is wrong.
        category_since_s: When that was first seen; image pull errors that alternate with back-off count as one.
    """

    since_s: float
    category: Category | None
    category_since_s: float


def waiting_for(pod: Pod, *, fatal_reasons: tuple[str, ...] = ()) -> Cause | None:
    """Say what keeps a pod from starting, the gravest first; None if nothing is known to be wrong."""
    causes = list(_container_causes(pod, fatal_reasons))
    fatal = next((cause for cause in causes if cause.reason in fatal_reasons), None)
    return fatal or next(iter(causes), None) or _scheduling_cause(pod)


def _container_causes(pod: Pod, fatal_reasons: tuple[str, ...]) -> list[Cause]:
    causes = []
    for status in all_statuses(pod):
        state = status.state.waiting
        reason = "" if state is None else state.reason or ""
        category = _CATEGORIES.get(reason)
        if category is None and reason in fatal_reasons:
            category = Category.CONTAINER_CONFIG
        if category is not None:
            message = "" if state is None else state.message or ""
            causes.append(Cause(category, reason, message, status.name))
    return causes


def _scheduling_cause(pod: Pod) -> Cause | None:
    scheduled = condition(pod, "PodScheduled")
    if scheduled is None or scheduled.status == "True" or scheduled.reason != "Unschedulable":
        return None
    return Cause(Category.UNSCHEDULABLE, "Unschedulable", scheduled.message or "", None)


def waiting(pod: Pod, *, now_s: float, before: Waiting | None = None) -> Waiting:
    """Note what a pod waits for now, keeping since when.

    Args:
        pod: The last record.
        now_s: Seconds on the caller's clock.
        before: What the last call returned.
    """
    cause = waiting_for(pod)
    category = None if cause is None else cause.category
    if before is None:
        return Waiting(now_s, category, now_s)
    if category == before.category:
        return before
    return Waiting(before.since_s, category, now_s)


def pending_verdict(
    pod: Pod,
    *,
    first_seen_s: float,
    now_s: float,
    policy: PendingPolicy,
    cause_since_s: float | None = None,
    main_container: str | None = None,
) -> Verdict | None:
    """Decide whether a pod that does not start is given up.

    Args:
        pod: Its last record.
        first_seen_s: When it was first seen (or created), on the caller's clock.
        now_s: The time on the same clock.
        policy: The graces.
        cause_since_s: When the present cause was first seen (:attr:`Waiting.category_since_s`); None: as long as the
            pod.
        main_container: Name of the container that decides, or None for the first.

    Returns:
        None while the deadline is not reached, once the main container started, and for a pod that waits on purpose (a
        scheduling gate) or is already being deleted.
    """
    if _no_longer_pending(pod, main_container) or _gated(pod):
        return None
    cause = waiting_for(pod, fatal_reasons=policy.fatal_reasons)
    waited_s = now_s - (first_seen_s if cause_since_s is None else cause_since_s)
    if cause is not None and _is_overdue(cause, waited_s, policy):
        return _verdict(cause, waited_s)
    return _startup_verdict(cause, now_s - first_seen_s, policy)


def _no_longer_pending(pod: Pod, main_container: str | None) -> bool:
    if pod.status.phase != "Pending" or pod.metadata.deletion_timestamp is not None:
        return True
    return ever_started(main_status(pod, main_container))


def _gated(pod: Pod) -> bool:
    scheduled = condition(pod, "PodScheduled")
    return scheduled is not None and scheduled.reason == "SchedulingGated"


def _is_overdue(cause: Cause, waited_s: float, policy: PendingPolicy) -> bool:
    if cause.reason in policy.fatal_reasons:
        return True
    graces = {
        Category.IMAGE: policy.image_grace_s,
        Category.CONTAINER_CONFIG: policy.config_grace_s,
        Category.UNSCHEDULABLE: policy.unschedulable_grace_s,
    }
    grace_s = graces[cause.category]
    return grace_s is not None and waited_s >= grace_s


def _verdict(cause: Cause, waited_s: float) -> Verdict:
    said = cause.message
    if cause.category is Category.UNSCHEDULABLE:
        said = str(parse_unschedulable(cause.message))
    where = f" in container {cause.container}" if cause.container else ""
    return Verdict(
        cause.category,
        cause.reason,
        f"given up after {waited_s:.0f} s{where}: {sentence(cause.reason, said)}",
        fault=_fault(cause),
        container=cause.container,
        detail=cause.message,
    )


def _fault(cause: Cause) -> Fault:
    if cause.category is Category.UNSCHEDULABLE:
        return fault_of_placement(parse_unschedulable(cause.message))
    if cause.category is Category.IMAGE:
        return fault_of_image(cause.reason, cause.message)
    return fault_of_creation(cause.reason, cause.message)


def _startup_verdict(cause: Cause | None, waited_s: float, policy: PendingPolicy) -> Verdict | None:
    limit_s = policy.startup_timeout_s
    if limit_s is None or waited_s < limit_s:
        return None
    if cause is not None:
        return _verdict(cause, waited_s)
    message = f"given up: its main container did not start within {limit_s:.0f} s"
    return Verdict(Category.STARTUP_TIMEOUT, "StartupTimeout", message)
