"""How long the runner is patient with a pod. Pure: the time is handed in; ``podrunner.outcome`` has the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podrunner.outcome import (
    Verdict,
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
from podrunner.runner.tracked import Intent, TrackedPod

if TYPE_CHECKING:
    import datetime as dt

    from podrunner.config import RunnerConfig
    from podrunner.outcome.record import Pod

__all__ = ["backdate", "needs_attention", "next_verdict"]

NODE_LOST_GRACE_S: Final = 300.0
"""Kubernetes' own patience with an unreachable node (the default toleration of ``node.kubernetes.io/unreachable``)."""


def needs_attention(tracked: TrackedPod, config: RunnerConfig) -> bool:
    """Whether time alone may bring about a verdict on this pod."""
    pod = tracked.pod
    if pod is None:
        return False
    if suspicion(pod) is not None or config.run_timeout_s is not None:
        return True
    if pod.status.phase != "Pending":
        return False
    policy = config.pending
    return policy.startup_timeout_s is not None or bool(waiting_for(pod, fatal_reasons=policy.fatal_reasons))


def next_verdict(tracked: TrackedPod, config: RunnerConfig, *, now_s: float) -> tuple[Intent, Verdict] | None:
    """Decides whether patience is over; keeps in ``tracked`` since when it is tried."""
    if (verdict := _pending(tracked, config, now_s)) is not None:
        return Intent.GIVE_UP, verdict
    if (verdict := _running(tracked, config, now_s)) is not None:
        return Intent.RUN_TIMEOUT, verdict
    if (verdict := _lost(tracked, config, now_s)) is not None:
        return Intent.GIVE_UP, verdict
    return None


def _pending(tracked: TrackedPod, config: RunnerConfig, now_s: float) -> Verdict | None:
    pod = tracked.pod
    if pod is None or pod.status.phase != "Pending":
        return None
    tracked.waiting = waiting(pod, now_s=now_s, before=tracked.waiting)
    return pending_verdict(
        pod,
        first_seen_s=tracked.seen_at,
        now_s=now_s,
        policy=config.pending,
        cause_since_s=tracked.waiting.category_since_s,
        main_container=tracked.main_container,
    )


def _running(tracked: TrackedPod, config: RunnerConfig, now_s: float) -> Verdict | None:
    pod = tracked.pod
    if pod is None or not ever_started(main_status(pod, tracked.main_container)):
        return None
    if tracked.started_at is None:
        tracked.started_at = now_s
    return run_verdict(
        pod,
        started_s=tracked.started_at,
        now_s=now_s,
        limit_s=config.run_timeout_s,
        main_container=tracked.main_container,
    )


def _lost(tracked: TrackedPod, config: RunnerConfig, now_s: float) -> Verdict | None:
    pod = tracked.pod
    if pod is None or suspicion(pod) is None:
        tracked.suspect_since = None
        return None
    if tracked.suspect_since is None:
        tracked.suspect_since = now_s
    grace_s = NODE_LOST_GRACE_S if config.node_lost_grace_s is None else config.node_lost_grace_s
    return lost_verdict(pod, since_s=tracked.suspect_since, now_s=now_s, grace_s=grace_s)


def backdate(tracked: TrackedPod, pod: Pod, *, now_s: float, now: dt.datetime) -> None:
    """Lets the deadlines of an adopted pod count from its own beginnings: a restart does not prolong them.

    Args:
        tracked: The adopted pod.
        pod: Its record. Its times are the cluster's, which is all that is known of the time before.
        now_s: The present time on the runner's clock.
        now: The time of day.
    """
    times = timings_of(pod, main_status(pod, tracked.main_container))
    tracked.seen_at = min(tracked.seen_at, now_s - _age_s(times.created, now))
    if times.started is not None and tracked.started_at is None:
        tracked.started_at = now_s - _age_s(times.started, now)


def _age_s(moment: str | None, now: dt.datetime) -> float:
    time = parse_time(moment)
    return max(0.0, (now - time).total_seconds()) if time is not None and time.tzinfo is not None else 0.0
