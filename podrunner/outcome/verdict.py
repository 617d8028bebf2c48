"""A verdict: the decision to give a pod up, and the outcome that it becomes once the pod is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from podrunner.outcome.category import USUAL_FAULT, Category, Fault
from podrunner.outcome.classify import timings_of
from podrunner.outcome.containers import ever_started, main_name, main_status
from podrunner.outcome.history import NO_HISTORY
from podrunner.outcome.messages import shorten
from podrunner.outcome.result import Evidence, Outcome

if TYPE_CHECKING:
    from podrunner.outcome.history import History
    from podrunner.outcome.record import Pod

__all__ = ["Verdict", "verdict_outcome"]


class Verdict(NamedTuple):
    """Why a pod is given up.

    Attributes:
        category: The category of the outcome.
        reason: The waiting reason or condition that lasted too long: ``ImagePullBackOff``, ``Unschedulable``.
        message: One sentence for people.
        fault: The party at fault, or None for the category's usual one.
        container: The container that waits, or None if the pod as a whole does.
        detail: What the cluster said, or "".
    """

    category: Category
    reason: str
    message: str
    fault: Fault | None = None
    container: str | None = None
    detail: str = ""


def verdict_outcome(
    pod: Pod, verdict: Verdict, *, main_container: str | None = None, history: History = NO_HISTORY
) -> Outcome:
    """Turn a verdict into the pod's outcome. The pod is to be deleted first: an outcome is final."""
    main = main_status(pod, main_container)
    fault = verdict.fault or USUAL_FAULT[verdict.category]
    return Outcome(
        category=verdict.category,
        fault=fault,
        started=history.started or ever_started(main, history.unstarted_runs),
        retryable=fault is Fault.INFRASTRUCTURE,
        container=verdict.container or main_name(pod, main_container),
        reason=verdict.reason,
        message=verdict.message,
        evidence=(
            Evidence(source="rule", name="given up", reason=verdict.reason, message=shorten(verdict.detail)),
        ),
        timings=timings_of(pod, main),
    )
