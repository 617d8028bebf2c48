"""Deadlines of pods that do not start: what a pod waits for, and for how long it may.

Pure: the caller says what time it is, on its own clock, and deletes the pod when the verdict says so. The graces are
the configuration's (:class:`~podrunner.config.policies.PendingPolicy`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from podrunner.outcome.category import Category, Fault
from podrunner.outcome.containers import all_statuses, ended_for_good, main_name, never_ran
from podrunner.outcome.facts import condition
from podrunner.outcome.history import NO_HISTORY, History, is_bare, told_before
from podrunner.outcome.messages import describe_end, sentence
from podrunner.outcome.scheduling import fault_of_placement, parse_unschedulable
from podrunner.outcome.stages import PendingClock, Place, Stage, place_of
from podrunner.outcome.tables.causes import fault_of_creation, fault_of_image
from podrunner.outcome.tables.creation import CREATION_REASONS
from podrunner.outcome.tables.images import IMAGE_REASONS
from podrunner.outcome.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from podrunner.config.policies import PendingPolicy
    from podrunner.outcome.record import ContainerStateTerminated, ContainerStatus, Pod

__all__ = ["Cause", "gives_up_s", "pending_verdict", "waiting_for"]

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


def waiting_for(
    pod: Pod,
    *,
    fatal_reasons: tuple[str, ...] = (),
    main_container: str | None = None,
    history: History = NO_HISTORY,
) -> Cause | None:
    """Say what keeps a pod from starting, the gravest first; None if nothing is known to be wrong.

    Args:
        pod: The last record.
        fatal_reasons: Reasons that count whatever they are, and first.
        main_container: Name of the container that decides, or None for the first. Once it has run, the others are not
            needed for it.
        history: What earlier records showed.
    """
    statuses = all_statuses(pod)
    if not statuses:
        return _scheduling_cause(pod)
    main = main_name(pod, main_container)
    gravest: Cause | None = None
    for status in statuses:
        if history.started and status.name != main:
            continue
        cause = _container_cause(pod, status, fatal_reasons, main, history)
        if cause is not None and cause.reason in fatal_reasons:
            return cause
        gravest = gravest or cause
    return gravest or _scheduling_cause(pod)


def _container_cause(
    pod: Pod, status: ContainerStatus, fatal_reasons: tuple[str, ...], main: str | None, history: History
) -> Cause | None:
    waiting = status.state.waiting
    reason = "" if waiting is None else waiting.reason or ""
    category = _CATEGORIES.get(reason)
    if category is None and reason in fatal_reasons:
        category = Category.CONTAINER_CONFIG
    if category is not None:
        return Cause(category, reason, _telling_message(status, history), status.name)
    inits = pod.status.init_container_statuses
    is_init = inits is not None and any(each is status for each in inits)
    if reason == "CrashLoopBackOff":
        return _crash_cause(
            status, status.last_state.terminated, history, is_init=is_init, is_main=status.name == main
        )
    end = status.state.terminated
    if end is None or (not is_init and ended_for_good(pod, status) is not None):
        return None
    return _end_cause(status, end, is_init=is_init)


def _telling_message(status: ContainerStatus, history: History) -> str:
    """Return a waiting container's message; of a bare back-off, with the error before it, as kubelets since 1.32 do."""
    waiting = status.state.waiting
    message = "" if waiting is None else (waiting.message or "").strip()
    said = told_before(history, status.name)
    is_back_off = waiting is not None and waiting.reason == "ImagePullBackOff"
    if not is_back_off or said is None or not is_bare(message):
        return message
    return ": ".join(part for part in (message, said.reason, said.message) if part)


def _crash_cause(
    status: ContainerStatus,
    last: ContainerStateTerminated | None,
    history: History,
    *,
    is_init: bool,
    is_main: bool,
) -> Cause | None:
    """Say why a container is started again and again, if it is needed: its program cannot begin, or an init fails."""
    if last is not None:
        return _end_cause(status, last, is_init=is_init, reason="CrashLoopBackOff")
    said = told_before(history, status.name)
    if not (is_init or is_main):
        return None
    reason, message = ("CrashLoopBackOff", "") if said is None else (said.reason, said.message)
    return Cause(Category.CONTAINER_CONFIG, reason, message, status.name)


def _end_cause(
    status: ContainerStatus, end: ContainerStateTerminated, *, is_init: bool, reason: str | None = None
) -> Cause | None:
    if never_ran(end):
        return Cause(Category.CONTAINER_CONFIG, end.reason or "StartError", end.message or "", status.name)
    if is_init and end.exit_code != 0:
        said = describe_end(status.name, end)
        return Cause(Category.INIT_FAILED, reason or end.reason or "Error", said, status.name)
    return None


def _scheduling_cause(pod: Pod) -> Cause | None:
    scheduled = condition(pod, "PodScheduled")
    if scheduled is None or scheduled.status == "True" or scheduled.reason != "Unschedulable":
        return None
    return Cause(Category.UNSCHEDULABLE, "Unschedulable", scheduled.message or "", None)


class _Limit(NamedTuple):
    """A time at which a pod is given up, and for what."""

    at_s: float
    since_s: float
    place: Place
    cause: Cause | None
    is_startup: bool = False


def pending_verdict(
    pod: Pod,
    *,
    first_seen_s: float,
    now_s: float,
    policy: PendingPolicy,
    cause_since_s: float | None = None,
    stage_since_s: float | None = None,
    main_container: str | None = None,
    history: History = NO_HISTORY,
) -> Verdict | None:
    """Decide whether a pod that does not start is given up.

    Args:
        pod: Its last record.
        first_seen_s: Since when it may start, on the caller's clock: created, and no scheduling gate left.
        now_s: The time on the same clock.
        policy: The graces.
        cause_since_s: When the present cause was first seen (:attr:`PendingClock.category_since_s`); None: as long as
            the pod.
        stage_since_s: When its stage began (:attr:`PendingClock.stage_since_s`); None: as ``first_seen_s``.
        main_container: Name of the container that decides, or None for the first.
        history: What earlier records showed.

    Returns:
        None while no deadline is reached, while the main container runs, and for a pod that waits on purpose (a
        scheduling gate) or is already being deleted.
    """
    since = _Since(
        first_seen_s,
        first_seen_s if cause_since_s is None else cause_since_s,
        first_seen_s if stage_since_s is None else stage_since_s,
    )
    passed = (
        limit
        for limit in _limits(pod, since, policy, main_container=main_container, history=history)
        if now_s >= limit.at_s
    )
    limit = next(passed, None)
    if limit is None:
        return None
    waited_s = now_s - limit.since_s
    return _verdict(limit.cause, waited_s) if limit.cause is not None else _bare_verdict(pod, limit, waited_s)


def gives_up_s(
    pod: Pod,
    clock: PendingClock,
    *,
    policy: PendingPolicy,
    main_container: str | None = None,
    history: History = NO_HISTORY,
) -> float | None:
    """Return when a pod is given up if nothing changes, on the clock's time; None: never.

    Args:
        pod: Its last record.
        clock: Since when it waits.
        policy: The graces.
        main_container: Name of the container that decides, or None for the first.
        history: What earlier records showed.
    """
    since = _Since(clock.open_since_s, clock.category_since_s, clock.stage_since_s)
    limits = _limits(pod, since, policy, main_container=main_container, history=history)
    return min((limit.at_s for limit in limits), default=None)


class _Since(NamedTuple):
    """Since when a pod may start, shows its cause, and is in its stage."""

    open_s: float
    cause_s: float
    stage_s: float


def _limits(
    pod: Pod, since: _Since, policy: PendingPolicy, *, main_container: str | None, history: History
) -> Iterator[_Limit]:
    place = place_of(pod, history=history, main_container=main_container)
    if place is None or place.stage is Stage.GATED:
        return
    cause = waiting_for(
        pod, fatal_reasons=policy.fatal_reasons, main_container=main_container, history=history
    )
    grace_s = _grace_s(cause, place.stage, policy)
    if grace_s is not None:
        since_s = since.stage_s if cause is None else since.cause_s
        yield _Limit(since_s + grace_s, since_s, place, cause)
    if policy.startup_timeout_s is not None and place.stage is not Stage.RESTARTING:
        yield _Limit(since.open_s + policy.startup_timeout_s, since.open_s, place, cause, is_startup=True)


def _grace_s(cause: Cause | None, stage: Stage, policy: PendingPolicy) -> float | None:
    if cause is None:
        return {Stage.CREATING: policy.creating_grace_s, Stage.SCHEDULING: policy.unschedulable_grace_s}.get(
            stage
        )
    if cause.reason in policy.fatal_reasons:
        return 0.0
    graces = {
        Category.IMAGE: policy.image_grace_s,
        Category.CONTAINER_CONFIG: policy.config_grace_s,
        Category.INIT_FAILED: policy.crash_grace_s,
        Category.UNSCHEDULABLE: policy.unschedulable_grace_s,
    }
    return graces[cause.category]


def _bare_verdict(pod: Pod, limit: _Limit, waited_s: float) -> Verdict:
    """Give up a pod whose status does not say what it waits for."""
    if limit.is_startup:
        message = f"given up: its main container did not start within {limit.at_s - limit.since_s:.0f} s"
        return Verdict(Category.STARTUP_TIMEOUT, "StartupTimeout", message)
    if limit.place.stage is Stage.SCHEDULING:
        message = f"given up after {waited_s:.0f} s: no scheduler gave it a node, or said why not"
        return Verdict(Category.UNSCHEDULABLE, "Unscheduled", message)
    name = limit.place.container
    what = f"container {name}" if name else "its container"
    message = (
        f"given up after {waited_s:.0f} s: {what} was not created on node {pod.spec.node_name or '(none)'}"
    )
    return Verdict(Category.STARTUP_TIMEOUT, "ContainerCreating", message, container=name)


def _verdict(cause: Cause, waited_s: float) -> Verdict:
    said = cause.message
    if cause.category is Category.UNSCHEDULABLE:
        said = str(parse_unschedulable(cause.message))
    where = f" in container {cause.container}" if cause.container else ""
    return Verdict(
        cause.category,
        cause.reason,
        f"given up after {waited_s:.0f} s{where}: {sentence(cause.reason, said)}",
        fault=None if cause.category is Category.INIT_FAILED else _fault(cause),
        container=cause.container,
        detail=cause.message,
    )


def _fault(cause: Cause) -> Fault:
    if cause.category is Category.UNSCHEDULABLE:
        return fault_of_placement(parse_unschedulable(cause.message))
    if cause.category is Category.IMAGE:
        return fault_of_image(cause.reason, cause.message)
    return fault_of_creation(cause.reason, cause.message)
