"""What the executor asks of Airflow's database, each in one query for many.

What belongs here: the queries. What follows from their answers does not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.executors.workloads.task import ExecuteTask
from airflow.jobs.job import Job
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.utils.session import create_session
from airflow.utils.state import JobState, State, TaskInstanceState
from sqlalchemy import or_, select

from podrunner.integrations.airflow.dispatches import TaskRow

if TYPE_CHECKING:
    from collections.abc import Collection


__all__ = [
    "Primary",
    "alive_schedulers",
    "dispatches_of_others",
    "key_of",
    "queued_workloads",
    "task_rows",
]

Primary: TypeAlias = tuple[str, str, str, int]
"""DAG, task, run and map index."""

_MOST_AT_ONCE = 500


def key_of(ti: TaskInstance) -> TaskInstanceKey:
    """Return the key of a task instance whose try is not read yet; its row is found without it."""
    return TaskInstanceKey(ti.dag_id, ti.task_id, ti.run_id, 0, ti.map_index)


def task_rows(keys: Collection[TaskInstanceKey]) -> dict[Primary, TaskRow]:
    """Return what the database says of task instances; those that are gone are left out.

    An own session is used: the scheduler's may hold locks, and what it has read may be out of date.
    """
    found: dict[Primary, TaskRow] = {}
    remaining = list(keys)
    with create_session(scoped=False) as session:
        while remaining:
            part, remaining = remaining[:_MOST_AT_ONCE], remaining[_MOST_AT_ONCE:]
            found |= _rows(part, session)
    return found


def _rows(keys: list[TaskInstanceKey], session: Any) -> dict[Primary, TaskRow]:
    these = TaskInstance.filter_for_tis(keys)
    if these is None:
        return {}
    columns = (
        TaskInstance.dag_id,
        TaskInstance.task_id,
        TaskInstance.run_id,
        TaskInstance.map_index,
        TaskInstance.state,
        TaskInstance.try_number,
        TaskInstance.external_executor_id,
        TaskInstance.queued_by_job_id,
    )
    return {
        (row.dag_id, row.task_id, row.run_id, row.map_index): TaskRow(
            None if row.state is None else str(row.state),
            row.try_number,
            row.external_executor_id,
            row.queued_by_job_id,
        )
        for row in session.execute(select(*columns).where(these))
    }


def alive_schedulers(threshold_s: float) -> set[int]:
    """Return the ids of the scheduler jobs that are running and whose heartbeat is not older than the threshold."""
    oldest = datetime.now(UTC) - timedelta(seconds=threshold_s)
    running = (Job.job_type == "SchedulerJob", Job.state == JobState.RUNNING, Job.latest_heartbeat >= oldest)
    with create_session(scoped=False) as session:
        return set(session.scalars(select(Job.id).where(*running)))


def dispatches_of_others(job: int) -> set[str]:
    """Return the dispatches under way that are not this scheduler job's: another one's, or a dead one's."""
    under_way = (
        TaskInstance.state.in_(State.adoptable_states),
        TaskInstance.external_executor_id.is_not(None),
        or_(TaskInstance.queued_by_job_id.is_(None), TaskInstance.queued_by_job_id != job),
    )
    with create_session(scoped=False) as session:
        return set(session.scalars(select(TaskInstance.external_executor_id).where(*under_way)))


def queued_workloads(keys: Collection[TaskInstanceKey], *, executor: Any) -> list[ExecuteTask]:
    """Return what the scheduler has queued, once more as it hands it to the executor: with a new token.

    Task instances that are no longer queued are left out.

    Args:
        keys: The task instances.
        executor: The executor, which signs the tokens.
    """
    these = TaskInstance.filter_for_tis(keys)
    if these is None:
        return []
    with create_session(scoped=False) as session:
        queued = select(TaskInstance).where(these, TaskInstance.state == TaskInstanceState.QUEUED)
        return [
            ExecuteTask.make(
                ti,
                generator=executor.jwt_generator,
                sentry_integration=str(getattr(executor, "sentry_integration", "")),
            )
            for ti in session.scalars(queued)
        ]
