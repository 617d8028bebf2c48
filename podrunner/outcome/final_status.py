"""Whether the kubelet is still to write the final status of a pod whose containers have ended. Pure.

A kubelet that ends a pod for a reason of its own (pressure, a deadline, a critical pod, its node's shutdown) kills the
containers, writes their exit codes while the phase stays what it was, and only with the next write the phase, the
reason and the ``DisruptionTarget`` condition (``mergePodStatus`` in kubernetes' pkg/kubelet/status/status_manager.go).
Between the two writes a kill looks like an end of the container's own. How long to wait for the second one does
not belong here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.outcome.category import Category, Fault
from podrunner.outcome.containers import goes_on, native_sidecars
from podrunner.outcome.facts import past_deadline

if TYPE_CHECKING:
    from podrunner.outcome.record import Pod
    from podrunner.outcome.result import Outcome

__all__ = ["awaits_final_status"]


def awaits_final_status(pod: Pod, outcome: Outcome) -> bool:
    """Whether a pod's final status is still to be written, and may change its outcome.

    Args:
        pod: Its last record; the pod is not deleted.
        outcome: The outcome by that record. A success stays one whatever the final status is, but for a deadline.
    """
    if pod.status.phase in {"Succeeded", "Failed"}:
        return False
    if pod.metadata.deletion_timestamp is not None and outcome.fault is not Fault.WORKLOAD:
        return False  # the deletion is the cause, whatever comes
    if outcome.category is Category.SUCCEEDED and not past_deadline(pod, outcome.timings.finished):
        return False
    return not goes_on(pod) and not _sidecar_runs(pod)


def _sidecar_runs(pod: Pod) -> bool:
    """Whether a native sidecar has not ended: then the main container ended first, and by itself."""
    beside = native_sidecars(pod)
    statuses = pod.status.init_container_statuses or ()
    return any(status.name in beside and status.state.terminated is None for status in statuses)
