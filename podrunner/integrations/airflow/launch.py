"""Converting what Airflow's scheduler hands to an executor into a workload of podrunner's.

What belongs here: the command, the key, and the labels and annotations by which Airflow's own commands find the pods.
Pure. Launching does not belong here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from podrunner import Workload, WorkloadKey
from podrunner.integrations.airflow.task_settings import image_of, settings_of_task

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AGAIN",
    "DISPATCH",
    "dispatch_id",
    "key_of_pod",
    "other_key_of_pod",
    "other_workload_of",
    "workload_of",
]

DISPATCH = "dispatch"
"""The part of a key that tells two dispatches of one try apart."""
AGAIN = "again"
"""The part of a key that counts the launches of one dispatch beside podrunner's own; the first one has none."""


def dispatch_id(task: Any) -> str:
    """Return the id of a dispatch: the one that the scheduler has assigned, else one made from the token.

    Each dispatch has a token of its own, which is not stored anywhere; so its hash gives nothing away.
    """
    instance = getattr(task, "ti", None)
    assigned = getattr(instance, "external_executor_id", None)
    return assigned or hashlib.sha256(task.token.encode()).hexdigest()[:32]


def workload_of(
    task: Any,
    *,
    dispatch: str,
    version: str,
    owner: str,
    extra: Mapping[str, Any] | None = None,
    again: int = 0,
) -> Workload:
    """Return the workload of a task instance's dispatch.

    Args:
        task: Airflow's ``ExecuteTask``.
        dispatch: Its dispatch's id.
        version: Airflow's version.
        owner: The scheduler job's id, for the label ``airflow-worker``.
        extra: What the coordinator of the task's queue declares; None: nothing.
        again: How often the dispatch was launched before.

    Raises:
        SpecError: ``executor_config`` has an unknown setting, or makes no pod.
    """
    made = Workload.airflow(
        task_workload=task,
        airflow_version=version,
        executor_config=settings_of_task(task.ti.executor_config, extra),
        worker_uuid=owner,
    )
    parts = {**made.key.parts, DISPATCH: dispatch, **({AGAIN: str(again)} if again else {})}
    key = WorkloadKey(parts, attempt=made.key.attempt)
    image = image_of(extra)
    return made.model_copy(update={"key": key, **({} if image is None else {"image": image})})


def other_workload_of(task: Any, *, dispatch: str) -> Workload:
    """Return the workload of a callback or of a connection test. A callback's pod bears its DAG's name."""
    kind = type(task).__name__
    path = getattr(task, "log_path", None)
    dag_id = getattr(getattr(task, "callback", None), "data", {}).get("dag_id")
    of_dag = {} if dag_id is None else {"dag_id": str(dag_id)}
    return Workload(
        key={"kind": kind, "id": str(task.key), DISPATCH: dispatch},
        name=kind.lower(),
        task_workload=task.model_dump_json(),
        env={"AIRFLOW_IS_K8S_EXECUTOR_POD": "True"},
        identity_labels={"kubernetes_executor": "True", **of_dag},
        identity_annotations=of_dag,
        **({} if path is None else {"log_path": path}),
    )


def other_key_of_pod(key: WorkloadKey) -> tuple[str, str] | None:
    """Return kind and id of the callback or connection test that a pod's key stands for; None: it is neither's."""
    parts = key.parts
    return (parts["kind"], parts["id"]) if {"kind", "id", DISPATCH} <= parts.keys() else None


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
