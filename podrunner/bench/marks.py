"""When each pod passed which point, and the percentiles of the stages between them. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["STAGES", "Marks", "Percentiles", "percentiles", "samples_of"]


class Marks(msgspec.Struct):
    """When one pod passed which point, in seconds of the monotonic clock; None: it did not, or it is not known.

    Attributes:
        submitted: The workload was handed to the runner.
        create_sent: The create request was sent.
        created: It was answered.
        scheduled: The server bound the pod to a node (the server's clock).
        running: The runner's event that the pod runs was read.
        ended: The server's event that the pod is over was sent; on a cluster, was seen by the runner.
        delivered: The event with the outcome was read.
        log_complete: The pod's log was read to its end.
        deleted: The event that the pod is gone was read.
        created_stamp_s: The server's stamp of the creation, in whole seconds since the epoch.
        scheduled_stamp_s: The server's stamp of the binding.
    """

    submitted: float | None = None
    create_sent: float | None = None
    created: float | None = None
    scheduled: float | None = None
    running: float | None = None
    ended: float | None = None
    delivered: float | None = None
    log_complete: float | None = None
    deleted: float | None = None
    created_stamp_s: float | None = None
    scheduled_stamp_s: float | None = None


STAGES: Final[Mapping[str, tuple[str, str, str]]] = {
    "queue": ("submitted", "create_sent", "handed to the runner, until the create request is sent"),
    "create": ("create_sent", "created", "the create request, until its answer"),
    "scheduled": ("create_sent", "scheduled", "the create request, until the pod has a node"),
    "running": ("created", "running", "the create's answer, until the event that the pod runs"),
    "done": ("running", "delivered", "that event, until the outcome (the pod's own run time is in it)"),
    "outcome delivered": ("ended", "delivered", "the pod's end, until its outcome is in the caller's hands"),
    "log complete": ("ended", "log_complete", "the pod's end, until the last line of its log is read"),
    "deleted": ("delivered", "deleted", "the outcome, until the event that the pod is gone"),
}
"""The stages: between which two points each lies, and what it is."""


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles of one stage, in seconds.

    Attributes:
        count: How many pods it was measured of.
        p50: Median.
        p90: 90 % of them took no longer.
        p99: 99 % of them took no longer.
        max: The longest.
    """

    count: int
    p50: float
    p90: float
    p99: float
    max: float


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """Return percentiles by nearest rank: each is a value that was measured. None: there is no value."""
    ordered = sorted(values)
    if not ordered:
        return None
    p50, p90, p99 = (_nearest_rank(ordered, share) for share in (50, 90, 99))
    return Percentiles(len(ordered), p50, p90, p99, ordered[-1])


def _nearest_rank(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def samples_of(marks: Iterable[Marks]) -> dict[str, list[float]]:
    """Return the seconds that each stage took, of the pods that passed both its ends; never negative: clocks tick."""
    listed = list(marks)
    found = {
        stage: [
            max(0.0, end - begin)
            for each in listed
            if (begin := getattr(each, first)) is not None and (end := getattr(each, last)) is not None
        ]
        for stage, (first, last, _) in STAGES.items()
    }
    if not found["scheduled"]:
        found["scheduled"] = [
            each.scheduled_stamp_s - each.created_stamp_s
            for each in listed
            if each.scheduled_stamp_s is not None and each.created_stamp_s is not None
        ]
    return found
