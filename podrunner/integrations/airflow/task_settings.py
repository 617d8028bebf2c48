"""What a task says of its pod, besides what runs in it: ``executor_config``, and the coordinator of its queue.

A coordinator (``[sdk] coordinators``, ``queue_to_coordinator``) runs the tasks of some queues in another language.
Its ``extra`` may name the pod template and the image that such tasks need, as for Airflow's KubernetesExecutor.

What belongs here: reading both, and which one wins. Building the pod does not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from podrunner.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["coordinator_extra", "image_of", "settings_of_task"]

_log = logging.getLogger(__name__)
_KNOWN = ("pod_override", "pod_template_file")


def settings_of_task(
    executor_config: Mapping[str, Any] | None, extra: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a task's ``executor_config`` as podrunner reads it: the coordinator's template wins over the task's.

    Args:
        executor_config: The task's.
        extra: What the queue's coordinator declares; None: nothing.

    Raises:
        SpecError: ``executor_config`` has the form of Airflow 1.10, or a setting that no Airflow 3 reads.
    """
    given = {name: value for name, value in (executor_config or {}).items() if value not in (None, {})}
    unknown = [name for name in given if name not in _KNOWN]
    if unknown:
        problem = (
            "is none of Airflow 3: describe the pod by pod_override, a kubernetes.client.models.V1Pod"
            if unknown[0] == "KubernetesExecutor"
            else f"is none of Airflow 3 for pods: {' and '.join(_KNOWN)} are"
        )
        raise SpecError(problem, field=f"executor_config[{unknown[0]!r}]")
    template = (extra or {}).get("pod_template_file")
    return given if template is None else {**given, "pod_template_file": template}


def image_of(extra: Mapping[str, Any] | None) -> str | None:
    """Return the image that a coordinator's ``extra`` names by repository and tag; None: not both are there."""
    named = extra or {}
    repository, tag = named.get("worker_container_repository"), named.get("worker_container_tag")
    return f"{repository}:{tag}" if repository and tag else None


def coordinator_extra(queue: str | None) -> Mapping[str, Any] | None:
    """Return what the coordinator of a queue declares for others; None: nothing, or the queue has none.

    A malformed section ``[sdk]`` is passed over with a warning, as in Airflow: tasks of other queues are not hindered.
    """
    if not queue:
        return None
    try:
        from airflow.sdk.exceptions import AirflowConfigException
        from airflow.sdk.execution_time.coordinator import get_coordinator_manager
    except ImportError:
        return None  # before Airflow 3.3 there are none
    try:
        extra: Mapping[str, Any] | None = get_coordinator_manager().extra_for_queue(queue)
    except (AirflowConfigException, ValueError) as error:
        _log.warning("The coordinator of queue %s is passed over, for [sdk] is malformed: %s", queue, error)
        return None
    return extra
