"""The log of a task that runs, for Airflow's page: its pod's output, as it is now.

Airflow's API server asks for it. It has no runner, and no scheduler need be alive: the pod is found by the dispatch
that the database names.

What belongs here: finding the pod and what is shown of its log. Reading it is :func:`podrunner.read_log`.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from podrunner import Workload, WorkloadKey, read_log
from podrunner.errors import SpecError
from podrunner.integrations.airflow.launch import AGAIN, DISPATCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from podrunner import LogDocument, RunnerConfig

__all__ = ["LINES", "TIMEOUT_S", "Shown", "pod_of_task", "shown_log"]

Shown: TypeAlias = tuple[list[str], list[str]]
"""What Airflow shows: messages about where the log is from, and logs, each one text. Airflow asks the worker's own log
server, which no pod has, if there is no message."""
TIMEOUT_S = 5.0
"""So long a reader of the page may wait for a cluster that does not answer."""
LINES = 10_000
"""So many lines are read at most, the last ones."""
_MOST_FOLLOWING = 10
"""So many pods of one dispatch are looked for after its first, however many may follow: each costs a request."""
_log = logging.getLogger(__name__)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def pod_of_task(ti: Any, try_number: int) -> Workload:
    """Return a workload with the key and namespace of the pod that runs a task instance's present dispatch.

    Args:
        ti: Airflow's task instance, or one of its history.
        try_number: Which try.

    Raises:
        SpecError: The task instance has no dispatch, or its ``pod_override`` is malformed.
    """
    if not ti.external_executor_id:
        raise SpecError("the database names no dispatch of this try (external_executor_id)")
    override = (ti.executor_config or {}).get("pod_override")
    made = Workload.airflow(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        try_number=try_number,
        map_index=ti.map_index,
        executor_config={} if override is None else {"pod_override": override},
    )
    key = WorkloadKey({**made.key.parts, DISPATCH: ti.external_executor_id}, attempt=try_number)
    return made.model_copy(update={"key": key})


def _launches(first: Workload, *, most: int) -> list[Workload]:
    """Return the pods of a dispatch in their order: a lost one is followed by one with a key of its own."""
    keys = (
        WorkloadKey({**first.key.parts, AGAIN: str(again)}, attempt=first.key.attempt)
        for again in range(1, min(most, _MOST_FOLLOWING) + 1)
    )
    return [first, *(first.model_copy(update={"key": key}) for key in keys)]


def shown_log(
    ti: Any,
    try_number: int,
    *,
    config: Callable[[], RunnerConfig],
    file: Callable[[Any, int], Path],
    read: Callable[..., LogDocument] = read_log,
) -> Shown:
    """Return what Airflow shows of a running task's log, besides the log folder: within ``TIMEOUT_S``, and no error.

    Args:
        ti: Airflow's task instance, or one of its history.
        try_number: Which try.
        config: Returns how to reach the cluster.
        file: Returns where this process finds the task's log if the log folder is shared with the workers.
        read: Reads a pod's log.
    """
    try:
        path = file(ti, try_number)
        if path.exists():
            return [f"The pod's output is left out: the log folder is shared with the worker ({path})"], [""]
        settings = config()
        pods = _launches(pod_of_task(ti, try_number), most=settings.run_retry.infrastructure_retries)
        found = read(settings, pods, tail=LINES, timeout_s=TIMEOUT_S)
    except Exception as error:  # noqa: BLE001 - whatever it is, the page shows it beside what else it has
        _log.warning("The log of the pod of %s is not read", ti, exc_info=True)
        return [f"Reading the log of the pod failed: {error}"], [""]
    messages = [found.header.removeprefix("*** ")]
    if len(found.lines) >= LINES:
        messages.append(f"Only the last {LINES} lines are shown")
    return messages, ["\n".join(_ESCAPES.sub("", line) for line in found.lines)]
