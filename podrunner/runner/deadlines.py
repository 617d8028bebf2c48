"""How long the runner waits for a pod before it ends it. Pure: every time is handed in.

What belongs here: the clocks of a pod that is not over, and which of its deadlines has passed. The rules for one
deadline each are in ``podrunner.outcome``; acting on them is a transition of :mod:`podrunner.runner.lifecycle`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from podrunner.outcome import (
    PendingClock,
    Verdict,
    Waiting,
    advance,
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
)
from podrunner.outcome.result import parse_time

if TYPE_CHECKING:
    import datetime as dt

    from podrunner.config import RunnerConfig
    from podrunner.outcome.record import Pod
    from podrunner.runner.states import Snapshot

__all__ = [
    "Clocks",
    "advanced",
    "age_s",
    "due_s",
    "exceeded",
    "has_deadline",
    "pending_clock",
    "startable_s",
    "started_before",
    "waits_for",
]

NODE_LOST_GRACE_S: Final = 300.0
"""Kubernetes' own default for an unreachable node (the default toleration of ``node.kubernetes.io/unreachable``)."""


class Clocks(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Since when a pod is in the conditions that have a deadline, in seconds on the runner's clock.

    Attributes:
        started_s: When its main container was first seen to have started; None: it has not.
        pending: Since when it waits; None: it was not seen to, or runs.
        suspect_since_s: Since when its node is suspect; None: it is not.
    """

    started_s: float | None = None
    pending: PendingClock | None = None
    suspect_since_s: float | None = None


def has_deadline(known: Snapshot, config: RunnerConfig, *, main_container: str) -> bool:
    """Returns whether time is to be measured for this pod: it waits, its run is limited, or its node is suspect."""
    if suspicion(known.pod) is not None or config.run_timeout_s is not None:
        return True
    return place_of(known.pod, history=known.history, main_container=main_container) is not None


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

    That is its age, or the time since it has a node: a scheduling gate may have held it until shortly before, which no
    later record shows.
    """
    scheduled = timings_of(pod, None).scheduled
    age = age_s(pod, now)
    return age if scheduled is None else min(age, _seconds_since(scheduled, now))


def started_before(pod: Pod, now: dt.datetime, *, main_container: str) -> float | None:
    """Returns how many seconds ago its main container started; None if its record shows no start."""
    started = timings_of(pod, main_status(pod, main_container)).started
    return None if started is None else _seconds_since(started, now)


def _seconds_since(moment: str | None, now: dt.datetime) -> float:
    time = parse_time(moment)
    return max(0.0, (now - time).total_seconds()) if time is not None and time.tzinfo is not None else 0.0
