"""How long the runner waits for a pod before it ends it. Pure: every time is handed in.

What belongs here: the clocks of a pod that is not over, and which of its deadlines has passed. The rules for one
deadline each are in ``podrunner.outcome``; acting on them is a transition of :mod:`podrunner.runner.lifecycle`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from podrunner.outcome import (
    Category,
    PendingClock,
    Verdict,
    Waiting,
    advance,
    began_at,
    condition,
    gives_up_s,
    lost_verdict,
    main_status,
    pending_verdict,
    place_of,
    run_verdict,
    suspicion,
    timings_of,
    waiting,
    waiting_for,
    was_never_gated,
)
from podrunner.outcome.result import parse_time
from podrunner.ownership import noted_wait, opened_at

if TYPE_CHECKING:
    import datetime as dt

    from podrunner.config import RunnerConfig
    from podrunner.outcome.record import Pod
    from podrunner.runner.states import Snapshot

__all__ = [
    "Clocks",
    "adopted",
    "advanced",
    "age_s",
    "due_s",
    "exceeded",
    "has_deadline",
    "is_to_be_noted",
    "pending_clock",
    "startable_s",
    "started_before",
    "to_note",
    "waits_for",
]

_NOTED_AFTER_S: Final = 60.0
"""A cause that lasted for so long is noted on the pod, for a successor: most pass sooner, and cost no request."""
_WITHOUT_TIME: Final = frozenset({Category.IMAGE, Category.CONTAINER_CONFIG, Category.INIT_FAILED})
"""Categories of causes that are shown by the states of containers, which have no time."""

NODE_LOST_GRACE_S: Final = 300.0
"""Kubernetes' own default for an unreachable node (the default toleration of ``node.kubernetes.io/unreachable``)."""


class Clocks(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Since when a pod is in the conditions that have a deadline, in seconds on the runner's clock.

    Attributes:
        started_s: When its main container was first seen to have started; None: it has not.
        pending: Since when it waits; None: it was not seen to, or runs.
        suspect_since_s: Since when its node is suspect; None: it is not.
        noted: The category of the cause whose beginning was noted on the pod; None: none was.
    """

    started_s: float | None = None
    pending: PendingClock | None = None
    suspect_since_s: float | None = None
    noted: Category | None = None


def has_deadline(known: Snapshot, config: RunnerConfig) -> bool:
    """Returns whether time is to be measured for this pod: it waits, its run is limited, or its node is suspect."""
    if suspicion(known.pod) is not None or config.run_timeout_s is not None:
        return True
    return known.said is not None


def advanced(
    clocks: Clocks, known: Snapshot, config: RunnerConfig, *, main_container: str, now_s: float
) -> Clocks:
    """Returns the clocks at a time: those whose condition holds run, the others are reset or stand.

    Args:
        clocks: As they were.
        known: What is known of the pod.
        config: The reasons that count as a cause.
        main_container: Name of the container that decides.
        now_s: The time on the runner's clock.
    """
    is_suspect = suspicion(known.pod) is not None
    has_started = clocks.started_s is None and known.history.started
    return Clocks(
        started_s=now_s if has_started else clocks.started_s,
        pending=pending_clock(clocks, known, config, main_container=main_container, now_s=now_s),
        suspect_since_s=(now_s if clocks.suspect_since_s is None else clocks.suspect_since_s)
        if is_suspect
        else None,
        noted=clocks.noted,
    )


def pending_clock(
    clocks: Clocks, known: Snapshot, config: RunnerConfig, *, main_container: str, now_s: float
) -> PendingClock | None:
    """Returns since when a pod waits; None: it does not.

    Args: as for :func:`advanced`.
    """
    place = place_of(known.pod, history=known.history, main_container=main_container)
    if place is None:
        return None
    cause = waiting_for(
        known.pod,
        fatal_reasons=config.pending.fatal_reasons,
        main_container=main_container,
        history=known.history,
    )
    category = None if cause is None else cause.category
    return advance(clocks.pending, place, category, now_s=now_s, first_seen_s=known.first_seen_s)


def waits_for(
    clocks: Clocks,
    known: Snapshot,
    config: RunnerConfig,
    *,
    main_container: str,
    now_s: float,
    now: dt.datetime,
) -> Waiting | None:
    """Returns why a pod waits, since when, and until when; None: it does not.

    Args:
        clocks: As they were when it was last looked at.
        known: What is known of the pod.
        config: The deadlines.
        main_container: Name of the container that decides.
        now_s: The time on the runner's clock.
        now: The same time, with a date.
    """
    clock = pending_clock(clocks, known, config, main_container=main_container, now_s=now_s)
    if clock is None:
        return None
    return waiting(
        known.pod,
        clock,
        history=known.history,
        policy=config.pending,
        main_container=main_container,
        now_s=now_s,
        now=now,
    )


def exceeded(
    clocks: Clocks, known: Snapshot, config: RunnerConfig, *, main_container: str, now_s: float
) -> Verdict | None:
    """Returns the verdict of the first deadline that has passed: for starting, running or a lost node; None: none has.

    Args:
        clocks: As :func:`advanced` returned them for this time.
        known: What is known of the pod.
        config: The deadlines.
        main_container: Name of the container that decides.
        now_s: The time on the runner's clock.
    """
    return (
        _pending(clocks, known, config, main_container, now_s=now_s)
        or _running(clocks, known, config, main_container, now_s=now_s)
        or _lost(clocks, known.pod, config, now_s=now_s)
    )


def _pending(
    clocks: Clocks, known: Snapshot, config: RunnerConfig, main: str, *, now_s: float
) -> Verdict | None:
    clock = clocks.pending
    if clock is None:
        return None
    return pending_verdict(
        known.pod,
        first_seen_s=clock.open_since_s,
        now_s=now_s,
        policy=config.pending,
        cause_since_s=clock.category_since_s,
        stage_since_s=clock.stage_since_s,
        main_container=main,
        history=known.history,
    )


def _running(
    clocks: Clocks, known: Snapshot, config: RunnerConfig, main: str, *, now_s: float
) -> Verdict | None:
    if clocks.started_s is None:
        return None
    return run_verdict(
        known.pod,
        started_s=clocks.started_s,
        now_s=now_s,
        limit_s=config.run_timeout_s,
        main_container=main,
        history=known.history,
    )


def due_s(clocks: Clocks, known: Snapshot, config: RunnerConfig, *, main_container: str) -> float:
    """Returns the time before which :func:`exceeded` finds nothing as long as no other record comes.

    Args: as for :func:`exceeded`.
    """
    if clocks.suspect_since_s is not None:
        return 0.0
    limits_s = [math.inf]
    if (noted := to_note(clocks)) is not None:
        limits_s.append(noted.category_since_s + _NOTED_AFTER_S)
    if clocks.pending is not None:
        pending_s = gives_up_s(
            known.pod,
            clocks.pending,
            policy=config.pending,
            main_container=main_container,
            history=known.history,
        )
        limits_s.append(math.inf if pending_s is None else pending_s)
    if clocks.started_s is not None and config.run_timeout_s is not None:
        limits_s.append(clocks.started_s + config.run_timeout_s)
    return min(limits_s)


def _lost(clocks: Clocks, pod: Pod, config: RunnerConfig, *, now_s: float) -> Verdict | None:
    if clocks.suspect_since_s is None:
        return None
    grace_s = NODE_LOST_GRACE_S if config.node_lost_grace_s is None else config.node_lost_grace_s
    return lost_verdict(pod, since_s=clocks.suspect_since_s, now_s=now_s, grace_s=grace_s)


def age_s(pod: Pod, now: dt.datetime) -> float:
    """Returns how many seconds ago the server created a pod; 0 if its record does not say."""
    return _seconds_since(pod.metadata.creation_timestamp, now)


def startable_s(pod: Pod, now: dt.datetime) -> float:
    """Returns for how many seconds a pod may start, as far as its record shows.

    That is its age; or the time since a runner saw its last scheduling gate open, or since it has a node: a gate may
    have held it until shortly before. One whose spec was changed, and that has no node, may just have been opened.
    """
    scheduled, opened = timings_of(pod, None).scheduled, opened_at(pod)
    if scheduled is None and opened is None and pod.metadata.generation > 1 and pod.spec.node_name is None:
        return 0.0
    known = [age_s(pod, now)]
    if scheduled is not None:
        known.append(_seconds_since(scheduled, now))
    if opened is not None:
        known.append(max(0.0, (now - opened).total_seconds()))
    return min(known)


def adopted(
    known: Snapshot, config: RunnerConfig, *, main_container: str, now_s: float, now: dt.datetime
) -> Clocks:
    """Returns the clocks of a pod that an earlier runner created: what the pod shows, and what was noted on it.

    Args:
        known: What is known of the pod.
        config: The reasons that count as a cause.
        main_container: Name of the container that decides.
        now_s: The time on the runner's clock.
        now: The same time, with a date.
    """
    started_s = started_before(known.pod, now, main_container=main_container)
    clocks = Clocks(started_s=None if started_s is None else now_s - started_s)
    begun = pending_clock(clocks, known, config, main_container=main_container, now_s=now_s)
    place = place_of(known.pod, history=known.history, main_container=main_container)
    if begun is None or place is None:
        return clocks
    noted = noted_wait(known.pod)
    stage, cause = began_at(known.pod, place), _cause_began(known.pod, begun.category, now)
    begun = replace(
        begun,
        stage_since_s=_on_clock(stage or opened_at(known.pod), now, now_s),
        category_since_s=_on_clock(cause, now, now_s),
    )
    return replace(clocks, pending=begun, noted=None if noted is None else noted.category)


def _cause_began(pod: Pod, category: Category | None, now: dt.datetime) -> dt.datetime | None:
    """Returns when the present cause was first seen, by what was noted on the pod, or by its condition."""
    noted = noted_wait(pod)
    if noted is not None and noted.category is category:
        return noted.since
    if category is not Category.UNSCHEDULABLE:
        return None
    found = condition(pod, "PodScheduled")
    said = parse_time(found.last_transition_time) if found is not None and was_never_gated(pod) else None
    return opened_at(pod) if said is None or said.tzinfo is None or said > now else said


def _on_clock(moment: dt.datetime | None, now: dt.datetime, now_s: float) -> float:
    """Returns a moment on the runner's clock; now if it is not known."""
    return now_s if moment is None else now_s - max(0.0, (now - moment).total_seconds())


def to_note(clocks: Clocks) -> PendingClock | None:
    """Returns the clock of a cause whose beginning only this runner knows; None: there is none, or it is noted."""
    pending = clocks.pending
    if pending is None or pending.category is clocks.noted or pending.absent_since_s is not None:
        return None
    return pending if pending.category in _WITHOUT_TIME else None


def is_to_be_noted(clocks: Clocks, now_s: float) -> bool:
    """Whether a cause has lasted for so long that its beginning is noted on the pod."""
    noted = to_note(clocks)
    return noted is not None and now_s >= noted.category_since_s + _NOTED_AFTER_S


def started_before(pod: Pod, now: dt.datetime, *, main_container: str) -> float | None:
    """Returns how many seconds ago its main container started; None if its record shows no start."""
    started = timings_of(pod, main_status(pod, main_container)).started
    return None if started is None else _seconds_since(started, now)


def _seconds_since(moment: str | None, now: dt.datetime) -> float:
    time = parse_time(moment)
    return max(0.0, (now - time).total_seconds()) if time is not None and time.tzinfo is not None else 0.0
