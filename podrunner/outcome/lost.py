"""Deadlines of pods that started and do not end: a silent node, a deletion that hangs, a run without end.

Pure, like ``podrunner.outcome.pending``: the caller keeps the times, on its own clock, and acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.outcome.category import Category
from podrunner.outcome.containers import ever_started, main_status
from podrunner.outcome.history import NO_HISTORY
from podrunner.outcome.verdict import Verdict

if TYPE_CHECKING:
    from podrunner.outcome.history import History
    from podrunner.outcome.record import Pod

__all__ = ["lost_verdict", "run_verdict", "suspicion"]


def suspicion(pod: Pod) -> str | None:
    """Say what makes a pod's node suspect: ``NodeLost``, ``Unknown`` or ``Terminating``; None for nothing.

    ``Terminating`` alone is normal for the grace period; it becomes suspect by lasting longer.
    """
    if pod.status.reason == "NodeLost":
        return "NodeLost"
    if pod.status.phase == "Unknown":
        return "Unknown"
    if pod.metadata.deletion_timestamp is not None and pod.status.phase not in {"Succeeded", "Failed"}:
        return "Terminating"
    return None


def lost_verdict(pod: Pod, *, since_s: float, now_s: float, grace_s: float) -> Verdict | None:
    """Decide whether a suspect pod is taken for lost with its node.

    Args:
        pod: Its last record.
        since_s: When :func:`suspicion` first said so, on the caller's clock.
        now_s: The time on the same clock.
        grace_s: Seconds to wait, beyond the pod's own grace period if it is being deleted.
    """
    why = suspicion(pod)
    if why is None:
        return None
    patience_s = grace_s + (pod.metadata.deletion_grace_period_seconds or 0)
    if now_s - since_s < patience_s:
        return None
    message = f"taken for lost after {now_s - since_s:.0f} s: {why} on node {pod.spec.node_name or '(none)'}"
    return Verdict(Category.NODE_LOST, why, message, detail=pod.status.message or "")


def run_verdict(
    pod: Pod,
    *,
    started_s: float,
    now_s: float,
    limit_s: float | None,
    main_container: str | None = None,
    history: History = NO_HISTORY,
) -> Verdict | None:
    """Decide whether a pod ran too long.

    Args:
        pod: Its last record.
        started_s: When its main container was first seen running, on the caller's clock.
        now_s: The time on the same clock.
        limit_s: Seconds that it may run; None: no limit.
        main_container: Name of the container that decides, or None for the first.
        history: What earlier records showed.
    """
    main = main_status(pod, main_container)
    has_started = history.started or ever_started(main, history.unstarted_runs)
    if limit_s is None or not has_started or now_s - started_s < limit_s:
        return None
    message = f"ended by podrunner: it ran longer than {limit_s:.0f} s"
    return Verdict(Category.DEADLINE, "RunTimeout", message, container=None if main is None else main.name)
