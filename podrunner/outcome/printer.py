"""The STATUS column of ``kubectl get pods``.

It follows the API server's table printer (``printPod`` in pkg/printers/internalversion), which people know by heart.
What a pod's end *means* is not decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.outcome.containers import native_sidecars
from podrunner.outcome.facts import condition

if TYPE_CHECKING:
    from podrunner.outcome.record import ContainerStateTerminated, ContainerStatus, Pod

__all__ = ["printer_status", "ready_column", "restarts_of"]


def printer_status(pod: Pod, *, classic: bool = False) -> str:
    """Return a pod's status as kubectl prints it: ``ContainerCreating``, ``Completed``, ``Init:0/1``, ….

    Args:
        pod: The pod's last record.
        classic: True prints as servers before 1.31 do: ``Terminating`` for a deleted pod also after it ended.
    """
    if pod.metadata.deletion_timestamp is not None:
        if pod.status.reason == "NodeLost":
            return "Unknown"
        if classic or pod.status.phase not in {"Succeeded", "Failed"}:
            return "Terminating"
    initializing = _init_reason(pod)
    if initializing is not None and not _is_true(pod, "Initialized"):
        return initializing
    return _containers_reason(pod, initializing)


def ready_column(pod: Pod) -> str:
    """Return the READY column: containers that are ready, of all that should be (native sidecars count)."""
    beside = native_sidecars(pod)
    total = len(pod.spec.containers or ()) + len(beside)
    ready = sum(s.ready and s.state.running is not None for s in pod.status.container_statuses or ())
    ready += sum(s.ready and s.name in beside for s in pod.status.init_container_statuses or ())
    return f"{ready}/{total}"


def restarts_of(pod: Pod) -> int:
    """Return the RESTARTS column: of the init containers while they run, then of the rest and the native sidecars."""
    inits = pod.status.init_container_statuses or ()
    if _init_reason(pod) is not None and not _is_true(pod, "Initialized"):
        return sum(status.restart_count for status in inits)
    beside = native_sidecars(pod)
    return sum(s.restart_count for s in pod.status.container_statuses or ()) + sum(
        s.restart_count for s in inits if s.name in beside
    )


def _pod_reason(pod: Pod) -> str:
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.reason == "SchedulingGated":
        return "SchedulingGated"
    return pod.status.reason or pod.status.phase


def _is_true(pod: Pod, kind: str) -> bool:
    found = condition(pod, kind)
    return found is not None and found.status == "True"


def _init_reason(pod: Pod) -> str | None:
    """Return what the first init container that is not done says, or None if all are done."""
    if not pod.status.init_container_statuses:
        return None
    beside = native_sidecars(pod)
    total = len(pod.spec.init_containers or ())
    for done, status in enumerate(pod.status.init_container_statuses):
        end = status.state.terminated
        if (end is not None and end.exit_code == 0) or (status.name in beside and status.started):
            continue
        return _of_init(status, f"{done}/{total}")
    return None


def _of_init(status: ContainerStatus, progress: str) -> str:
    if status.state.terminated is not None:
        return "Init:" + _end_reason(status.state.terminated)
    waiting = status.state.waiting
    if waiting is not None and waiting.reason and waiting.reason != "PodInitializing":
        return "Init:" + waiting.reason
    return "Init:" + progress


def _end_reason(end: ContainerStateTerminated) -> str:
    code = "?" if end.exit_code is None else end.exit_code
    return end.reason or (f"Signal:{end.signal}" if end.signal else f"ExitCode:{code}")


def _containers_reason(pod: Pod, reason: str | None) -> str:
    """Return what the containers say; if none says anything, the reason, or the pod's own where that is None."""
    running = False
    for status in reversed(pod.status.container_statuses or ()):
        state = status.state
        if state.waiting is not None and state.waiting.reason:
            reason = state.waiting.reason
        elif state.terminated is not None:
            reason = _end_reason(state.terminated)
        elif status.ready and state.running is not None:
            running = True
    if reason is None:
        reason = _pod_reason(pod)
    if reason == "Completed" and running:
        return "Running" if _is_true(pod, "Ready") else "NotReady"
    return reason
