"""Records of a runner's pods, from what it has in memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from podrunner.gantt.records import PodRecord, record_of
from podrunner.runner.pod_changes import tracked_pods, waiting_of

if TYPE_CHECKING:
    from podrunner.runner import AsyncPodRunner
    from podrunner.runner.tracked import TrackedPod

__all__ = ["record_of_tracked", "records_of_runner"]


def record_of_tracked(
    pod: TrackedPod, runner: AsyncPodRunner, *, seen_s: float, gone_s: float | None = None
) -> PodRecord:
    """Returns the record of a pod that a runner tracks.

    Args:
        pod: The pod.
        runner: Its runner.
        seen_s: The present time, in seconds since 1970.
        gone_s: When it was seen to be gone; None: it is not, or that was not seen.
    """
    waiting = None if pod.outcome is not None else waiting_of(runner, pod)
    return record_of(
        pod.pod,
        seen_s=seen_s,
        key=pod.key,
        outcome=pod.outcome,
        main_container=pod.main_container,
        submitted_s=pod.submitted_at_s,
        gone_s=gone_s,
        waits_for="" if waiting is None else str(waiting),
        name=pod.name,
        namespace=pod.namespace,
    )


def records_of_runner(runner: AsyncPodRunner) -> list[PodRecord]:
    """Returns the records of all pods that a runner has in memory. Not of those that are deleted and delivered.

    Raises:
        RunnerClosedError: The runner was never open.
    """
    seen_s = time.time()
    return [record_of_tracked(pod, runner, seen_s=seen_s) for pod in tracked_pods(runner)]
