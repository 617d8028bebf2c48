"""How long the runner waits for a pod before it ends it. Pure: every time is handed in.

What belongs here: the clocks of a pod that is not over, and which of its deadlines has passed. The rules for one
deadline each are in ``podrunner.outcome``; acting on them is a transition of :mod:`podrunner.runner.lifecycle`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from podrunner.outcome import (
    Verdict,
    Waiting,
    ever_started,
    lost_verdict,
    main_status,
    pending_verdict,
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

__all__ = ["Clocks", "advanced", "age_s", "exceeded", "has_deadline", "started_before"]

NODE_LOST_GRACE_S: Final = 300.0
"""Kubernetes' own default for an unreachable node (the default toleration of ``node.kubernetes.io/unreachable``)."""


class Clocks(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Since when a pod is in the conditions that have a deadline, in seconds on the runner's clock.

    Attributes:
        started_s: When its main container was first seen to have started; None: it has not.
        waiting: What it waits for, and since when; None: it was not seen to wait.
        suspect_since_s: Since when its node is suspect; None: it is not.
    """

    started_s: float | None = None
    waiting: Waiting | None = None
    suspect_since_s: float | None = None


def has_deadline(pod: Pod, config: RunnerConfig) -> bool:
    """Returns whether the passing of time alone may end this pod."""
    if suspicion(pod) is not None or config.run_timeout_s is not None:
        return True
    if pod.status.phase != "Pending":
        return False
    policy = config.pending
    return policy.startup_timeout_s is not None or bool(waiting_for(pod, fatal_reasons=policy.fatal_reasons))


def advanced(clocks: Clocks, pod: Pod, *, main_container: str, now_s: float) -> Clocks:
    """Returns the clocks at a time: those whose condition holds run, the others are reset or stand.

    Args:
        clocks: As they were.
        pod: The last record.
        main_container: Name of the container that decides.
        now_s: The time on the runner's clock.
    """
    is_pending = pod.status.phase == "Pending"
    is_suspect = suspicion(pod) is not None
    has_started = clocks.started_s is None and ever_started(main_status(pod, main_container))
    return Clocks(
        started_s=now_s if has_started else clocks.started_s,
        waiting=waiting(pod, now_s=now_s, before=clocks.waiting) if is_pending else clocks.waiting,
        suspect_since_s=(now_s if clocks.suspect_since_s is None else clocks.suspect_since_s)
        if is_suspect
        else None,
    )


def exceeded(
    clocks: Clocks,
    pod: Pod,
    *,
    config: RunnerConfig,
    main_container: str,
    first_seen_s: float,
    now_s: float,
) -> Verdict | None:
    """Returns the verdict of the first deadline that has passed: for starting, running or a lost node; None: none has.

    Args:
        clocks: As :func:`advanced` returned them for this time.
        pod: The last record.
        config: The deadlines.
        main_container: Name of the container that decides.
        first_seen_s: When the pod was first tracked, on the runner's clock.
        now_s: The time on the same clock.
    """
    return (
        _pending(clocks, pod, config, main_container, first_seen_s=first_seen_s, now_s=now_s)
        or _running(clocks, pod, config, main_container, now_s=now_s)
        or _lost(clocks, pod, config, now_s=now_s)
    )


def _pending(
    clocks: Clocks, pod: Pod, config: RunnerConfig, main: str, *, first_seen_s: float, now_s: float
) -> Verdict | None:
    if pod.status.phase != "Pending" or clocks.waiting is None:
        return None
    return pending_verdict(
        pod,
        first_seen_s=first_seen_s,
        now_s=now_s,
        policy=config.pending,
        cause_since_s=clocks.waiting.category_since_s,
        main_container=main,
    )


def _running(clocks: Clocks, pod: Pod, config: RunnerConfig, main: str, *, now_s: float) -> Verdict | None:
    if clocks.started_s is None:
        return None
    limit_s = config.run_timeout_s
    return run_verdict(pod, started_s=clocks.started_s, now_s=now_s, limit_s=limit_s, main_container=main)


def _lost(clocks: Clocks, pod: Pod, config: RunnerConfig, *, now_s: float) -> Verdict | None:
    if clocks.suspect_since_s is None:
        return None
    grace_s = NODE_LOST_GRACE_S if config.node_lost_grace_s is None else config.node_lost_grace_s
    return lost_verdict(pod, since_s=clocks.suspect_since_s, now_s=now_s, grace_s=grace_s)


def age_s(pod: Pod, now: dt.datetime) -> float:
    """Returns how many seconds ago the server created a pod; 0 if its record does not say."""
    return _seconds_since(pod.metadata.creation_timestamp, now)


def started_before(pod: Pod, now: dt.datetime, *, main_container: str) -> float | None:
    """Returns how many seconds ago its main container started; None if its record shows no start."""
    started = timings_of(pod, main_status(pod, main_container)).started
    return None if started is None else _seconds_since(started, now)


def _seconds_since(moment: str | None, now: dt.datetime) -> float:
    time = parse_time(moment)
    return max(0.0, (now - time).total_seconds()) if time is not None and time.tzinfo is not None else 0.0
