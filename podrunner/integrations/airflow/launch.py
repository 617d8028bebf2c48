"""Converting what Airflow's scheduler hands to an executor into a workload of podrunner's.

What belongs here: the command, the key, and the labels and annotations by which Airflow's own commands find the pods.
Pure. Launching does not belong here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from podrunner import Workload, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DISPATCH", "dispatch_id", "key_of_pod", "other_workload_of", "workload_of"]

DISPATCH = "dispatch"
"""The part of a key that tells two dispatches of one try apart."""
_COMMAND = ("python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string")


def dispatch_id(task: Any) -> str:
    """Return the id of a dispatch: the one that the scheduler has assigned, else one made from the token.

    Each dispatch has a token of its own, which is not stored anywhere; so its hash gives nothing away.
    """
    instance = getattr(task, "ti", None)
    assigned = getattr(instance, "external_executor_id", None)
    return assigned or hashlib.sha256(task.token.encode()).hexdigest()[:32]


def workload_of(task: Any, *, dispatch: str, version: str, owner: str) -> Workload:
    """Return the workload of a task instance's dispatch.

    Args:
        task: Airflow's ``ExecuteTask``.
        dispatch: Its dispatch's id.
        version: Airflow's version.
        owner: The scheduler job's id, for the label ``airflow-worker``.

    Raises:
        SpecError: ``executor_config`` has an unknown setting, or makes no pod.
    """
    made = Workload.airflow(
        task_workload=task,
        airflow_version=version,
        executor_config=task.ti.executor_config or {},
        worker_uuid=owner,
    )
    key = WorkloadKey({**made.key.parts, DISPATCH: dispatch}, attempt=made.key.attempt)
    return made.model_copy(update={"key": key})


def other_workload_of(task: Any, *, dispatch: str) -> Workload:
    """Return the workload of a callback or of a connection test."""
    kind = type(task).__name__
    return Workload(
        key={"kind": kind, DISPATCH: dispatch},
        name=kind.lower(),
        args=(*_COMMAND, task.model_dump_json()),
        env={"AIRFLOW_IS_K8S_EXECUTOR_POD": "True"},
        identity_labels={"kubernetes_executor": "True"},
    )


def key_of_pod(key: WorkloadKey) -> Mapping[str, Any] | None:
    """Return the arguments of the ``TaskInstanceKey`` that a pod's key stands for; None: it is not a task's pod."""
    parts = key.parts
    if "dag_id" not in parts or DISPATCH not in parts:
        return None
    return {
        "dag_id": parts["dag_id"],
        "task_id": parts["task_id"],
        "run_id": parts["run_id"],
        "map_index": int(parts.get("map_index", "-1")),
        "try_number": key.attempt,
    }
