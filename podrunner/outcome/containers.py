"""Which container is which in a pod, and how far it got. No outcome is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.outcome.record import (
    ContainerSpec,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "UNSTARTED_REASONS",
    "all_statuses",
    "ended_for_good",
    "ever_started",
    "goes_on",
    "main_name",
    "main_status",
    "memory_limit_of",
    "native_sidecars",
    "never_ran",
    "unstarted_runs",
]

UNSTARTED_REASONS = frozenset(
    {
        "ContainerCannotRun",
        "ContainerStatusUnknown",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "StartError",
    }
)
"""Reasons of an ended container whose process need not have run: the runtime's (containerd, dockershim) for a start
that failed, and the kubelet's for a container that it did not find again."""

_NONE: frozenset[str] = frozenset()


def main_name(pod: Pod, main_container: str | None = None) -> str | None:
    """Name the container that decides: the one asked for if the pod has it, else the first; None if none is known."""
    containers = pod.spec.containers or pod.status.container_statuses
    if not containers:
        return main_container
    for container in containers if main_container is not None else ():
        if container.name == main_container:
            return main_container
    return containers[0].name


def main_status(pod: Pod, main_container: str | None = None) -> ContainerStatus | None:
    """Return the status of the container that decides, or None if the kubelet never reported it."""
    statuses = pod.status.container_statuses
    if not statuses:
        return None
    containers = pod.spec.containers
    if containers and containers[0].name == statuses[0].name == main_container:  # so it is nearly always
        return statuses[0]
    name = main_name(pod, main_container)
    for status in statuses:
        if status.name == name:
            return status
    return None


def native_sidecars(pod: Pod) -> frozenset[str]:
    """Name the init containers that run beside the main one (KEP-753)."""
    if not pod.spec.init_containers:
        return _NONE
    return frozenset(c.name for c in pod.spec.init_containers if c.restart_policy == "Always")


def all_statuses(pod: Pod) -> Sequence[ContainerStatus]:
    """Return the status of all containers, in the order in which they start."""
    init, others = pod.status.init_container_statuses, pod.status.container_statuses or ()
    return [*init, *others] if init else others


def ever_started(status: ContainerStatus | None, unstarted: int = 0) -> bool:
    """Whether a container's process may have run, now or before a restart.

    Args:
        status: Its status.
        unstarted: How many of its runs the records before showed not to have started (:func:`unstarted_runs`).
    """
    if status is None:
        return False
    if status.state.running is not None:
        return True
    unstarted = unstarted_runs(status, unstarted)
    if status.restart_count > unstarted:
        return True
    end, last = status.state.terminated, status.last_state.terminated
    if end is not None and end.reason not in UNSTARTED_REASONS:
        return True
    # When a pod ends, what is not known to have ended is called unknown, whether it was running or waiting: only the
    # state is written, so that a container which had been made keeps its ID (TerminatePod in
    # pkg/kubelet/status/status_manager.go).
    is_known_unstarted = unstarted > status.restart_count
    if end is not None and not never_ran(end) and status.container_id and not is_known_unstarted:
        return True
    # A kubelet that misses a container calls it unknown here only if it had run (convertToAPIContainerStatuses in
    # pkg/kubelet/kubelet_pods.go); what it never saw start, it calls unknown in the present state.
    return last is not None and not never_ran(last)


def never_ran(end: ContainerStateTerminated | None) -> bool:
    """Whether a container's run ended without its process having begun, as the runtime or the kubelet says."""
    return end is not None and end.reason in UNSTARTED_REASONS and end.reason != "ContainerStatusUnknown"


def unstarted_runs(status: ContainerStatus | None, known: int = 0) -> int:
    """Count the runs of a container that are known not to have started, from the first on without a hole.

    Args:
        status: Its status. ``restart_count`` is the number of the last run that was created, from 0 on; ``last_state``
            is of that run while the container waits, else of the run before.
        known: What the records before showed.
    """
    if status is None:
        return known
    state, run = status.state, status.restart_count
    waits = state.running is None and state.terminated is None
    last_run = run if waits else run - 1
    if never_ran(status.last_state.terminated) and known >= last_run:
        known = max(known, last_run + 1)
    if never_ran(state.terminated) and known >= run:
        known = max(known, run + 1)
    return known


def ended_for_good(pod: Pod, status: ContainerStatus | None) -> ContainerStateTerminated | None:
    """Return the end of a container that the kubelet will not restart; None if it runs, waits, or starts again."""
    end = None if status is None else status.state.terminated
    if status is None or end is None or _starts_again(pod, status.name, end):
        return None
    return end


def goes_on(pod: Pod) -> bool:
    """Whether a pod would run on although its main container ended.

    A kubelet reports the last container's end a moment before the pod's, and ends native sidecars itself.
    """
    if pod.status.phase in {"Succeeded", "Failed"}:
        return False
    statuses = pod.status.container_statuses or ()
    all_told = len(statuses) >= max(1, len(pod.spec.containers or ()))
    return not all_told or any(ended_for_good(pod, status) is None for status in statuses)


def may_restart_all(pod: Pod) -> bool:
    """Whether the exit of another container may start all again, also those that ended with 0 (KEP-5532)."""
    containers = (*(pod.spec.containers or ()), *(pod.spec.init_containers or ()))
    return any(
        rule.action == "RestartAllContainers"
        for container in containers
        for rule in container.restart_policy_rules or ()
    )


def memory_limit_of(pod: Pod, name: str) -> str | None:
    """Return a container's limit of memory, as the manifest has it; None: it has none, or it is not known."""
    specs = (*(pod.spec.containers or ()), *(pod.spec.init_containers or ()))
    return next((spec.memory_limit for spec in specs if spec.name == name), None)


def _starts_again(pod: Pod, name: str, end: ContainerStateTerminated) -> bool:
    if pod.status.phase in {"Succeeded", "Failed"} or pod.metadata.deletion_timestamp is not None:
        return False
    spec = next((c for c in pod.spec.containers or () if c.name == name), ContainerSpec())
    if spec.restart_policy_rules or may_restart_all(pod):
        return True  # only the kubelet applies the rules; the pod's phase shows the result
    policy = spec.restart_policy or pod.spec.restart_policy
    return policy == "Always" or (policy == "OnFailure" and end.exit_code != 0)
