"""What ``run --detach`` leaves behind: a pod without a runner, in a scope of its own. Pure.

No runner of another scope adopts such a pod, so none ends, reports or deletes it. It goes on until it ends, and stays
until ``podrunner delete``.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final

from podrunner.builder.labels import SCOPE
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.outcome.record import Pod
    from podrunner.workload import Workload

__all__ = ["DETACHED", "detached_settings", "detached_workload", "is_detached"]

DETACHED: Final = "podrunner-run-detached"
"""The scope of pods that were left to themselves."""


def is_detached(pod: Pod) -> bool:
    """Whether a pod was left to itself."""
    return (pod.metadata.annotations or {}).get(SCOPE) == DETACHED


def detached_settings(settings: RunnerConfig) -> RunnerConfig:
    """Return the configuration of a runner that creates a pod and leaves it.

    No finalizer holds the pod, as no runner would remove it, and its log stays with the node.

    Raises:
        UsageError: The cluster ends with the command.
    """
    if settings.cluster == "local":
        raise UsageError("--detach leaves the pod running, and the cluster of --local ends with the command")
    logs = settings.logs.model_copy(update={"folder": None, "follow": "off"})
    changes: dict[str, Any] = {
        "scope": DETACHED,
        "outcome_finalizer": False,
        "logs": logs,
        "run_timeout_s": None,
    }
    return settings.with_changes(**changes)


def detached_workload(workload: Workload, *, timeout_s: float | None) -> Workload:
    """Return a workload that needs no runner: its kubelet ends it after its time.

    Raises:
        UsageError: A runner would have to read its result.
    """
    if workload.result_path is not None:
        raise UsageError(
            "--detach leaves the pod to itself, and the workload's result_path needs a runner that reads it"
        )
    if timeout_s is None:
        return workload
    limits = [ceil(timeout_s), *([workload.active_deadline_s] if workload.active_deadline_s else [])]
    return workload.model_copy(update={"active_deadline_s": min(limits)})
