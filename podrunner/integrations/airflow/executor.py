"""The executor that Airflow loads: a thin shell between the scheduler's loop and a blocking runner.

What belongs here: Airflow's interface. What is decided of a dispatch is in ``dispatches.py``, its workload in
``launch.py``, the configuration in ``settings.py``, the queries in ``database.py``.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, ClassVar

from airflow import __version__ as airflow_version
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.workloads.task import ExecuteTask
from airflow.models import Log
from airflow.models.taskinstancekey import TaskInstanceKey

from podrunner import PodRunner, RetryPolicy
from podrunner.errors import PodrunnerError, SpecError
from podrunner.integrations.airflow.database import task_rows
from podrunner.integrations.airflow.dispatches import Dispatch, Dispatches, Report, is_current, report_of
from podrunner.integrations.airflow.launch import dispatch_id, key_of_pod, other_workload_of, workload_of
from podrunner.integrations.airflow.settings import config_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from airflow.models.taskinstance import TaskInstance

    from podrunner import Outcome, RunnerEvent, Workload
    from podrunner.integrations.airflow.database import Primary
    from podrunner.integrations.airflow.dispatches import TaskRow

__all__ = ["LocalPodRunnerExecutor", "PodRunnerExecutor"]


class PodRunnerExecutor(BaseExecutor):
    """Runs each task of Airflow 3 in a pod of its own.

    The API server constructs executors too, to read logs: nothing is opened before ``start``.
    """

    supports_ad_hoc_ti_run: bool = True
    supports_callbacks: bool = True
    supports_multi_team: bool = True
    supports_connection_test: bool = True
    serve_logs: bool = False
    pre_assigns_external_executor_id: ClassVar[bool] = True

    cluster: ClassVar[str | None] = None
    """The setting ``cluster`` for all executors of this class; None: the configuration's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runner: PodRunner | None = None
        self._dispatches = Dispatches()
        self._reported: list[RunnerEvent] = []
        self._recent_logs: list[Log] = []
        self._next_check = 0.0

    # --- the scheduler's calls ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the runner. The scheduler has set ``job_id`` just before."""
        config = config_of(
            self.conf,
            version=airflow_version,
            owner=f"airflow-scheduler-{self.job_id}",
            team=self.team_name,
            cluster=self.cluster,
            environ=os.environ,
        )
        self._check_every_s = self.conf.getint("scheduler", "orphaned_tasks_check_interval")
        self._runner = PodRunner(config, on_exit="detach")
        self._runner.__enter__()

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        """Launch workloads, those of the same call in one batch; a stale one is left out."""
        self._forget_queued(workload_items)
        tasks = [item for item in workload_items if isinstance(item, ExecuteTask)]
        rows = task_rows([task.ti.key for task in tasks])
        for item in workload_items:
            dispatch = self._dispatch_of(item)
            if isinstance(item, ExecuteTask) and not is_current(
                dispatch, try_number=item.ti.try_number, row=rows.get(item.ti.key.primary)
            ):
                self.log.info("Not launched, for the task instance has gone on without it: %s", item.ti.key)
                continue
            self.running.add(dispatch.key)
            self._launch(dispatch, item)

    def sync(self) -> None:
        """Take what has happened to the pods since the last heartbeat, and report the ends."""
        runner = self._opened()
        # What was reported in the last heartbeat has been stored by now.
        runner.acknowledge(self._reported)
        self._reported = []
        ended = [event for event in runner.poll_events() if event.outcome is not None and not event.will_retry]
        if ended:
            self._report(ended)
        if time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + self._check_every_s
            self._cancel_stale()

    def revoke_task(self, *, ti: TaskInstance) -> None:
        """End the pods of a task instance's try; nothing is reported of them."""
        self.queued_tasks.pop(ti.key, None)
        for dispatch in self._dispatches.of_key(ti.key):
            self._revoke(dispatch)
        self.running.discard(ti.key)

    def try_adopt_task_instances(self, tis: Sequence[TaskInstance]) -> Sequence[TaskInstance]:
        """Take over the pods of schedulers that are dead; return the task instances that have none."""
        runner = self._opened()
        wanted = {ti.external_executor_id: ti for ti in tis if ti.external_executor_id}
        for pod in runner.adopt():
            ti = wanted.pop(pod.key.parts.get("dispatch"), None)
            key = TaskInstanceKey(**key_of_pod(pod.key)) if ti is None else ti.key
            dispatch = Dispatch(pod.key.parts.get("dispatch", ""), key, pod.key, handle=pod)
            self._dispatches.add(dispatch)
            self.running.add(key)
        not_adopted = {id(ti) for ti in tis} & ({id(ti) for ti in wanted.values()} | {id(ti) for ti in tis if not ti.external_executor_id})
        return [ti for ti in tis if id(ti) in not_adopted]

    def get_task_log(self, ti: TaskInstance, try_number: int) -> tuple[list[str], list[str]]:
        """Return the last lines of a running task's pod."""
        return [], []

    def end(self) -> None:
        """Relinquish the pods to the next scheduler: they run on."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            runner.__exit__(None, None, None)

    def terminate(self) -> None:
        """As ``end``: a scheduler that is stopped stops no task."""
        self.end()

    def log_task_event(self, *, event: str, extra: str, ti_key: Hashable) -> None:
        """Add a row to the task instance's event log."""
        if not isinstance(ti_key, TaskInstanceKey):
            return
        # The scheduler hands a generator to SQLAlchemy, which knows its rows by weak references only.
        row = Log(event=event, task_instance=ti_key, extra=extra)
        self._recent_logs = [*self._recent_logs[-1000:], row]
        self._task_event_logs.append(row)

    # --- launching ---------------------------------------------------------------------------------------------

    def _opened(self) -> PodRunner:
        assert self._runner is not None, "the scheduler calls start() first"
        return self._runner

    def _forget_queued(self, items: Iterable[Any]) -> None:
        for item in items:
            for queued in (self.queued_tasks, self.queued_callbacks, self.queued_connection_tests):
                queued.pop(item.key, None)

    def _dispatch_of(self, item: Any) -> Dispatch:
        identity = dispatch_id(item)
        workload = self._workload(item, identity, check=False)
        return Dispatch(identity, item.key, workload.key)

    def _workload(self, item: Any, dispatch: str, *, check: bool = True) -> Workload:
        if isinstance(item, ExecuteTask):
            return workload_of(item, dispatch=dispatch, version=airflow_version, owner=str(self.job_id))
        return other_workload_of(item, dispatch=dispatch)

    def _launch(self, dispatch: Dispatch, item: Any) -> None:
        try:
            workload = self._workload(item, dispatch.id)
            ti = getattr(item, "ti", None)
            dispatch.handle = self._opened().run(
                workload,
                retry=RetryPolicy(attempts=1),
                priority=ti.priority_weight if ti else 0,
                group=ti.dag_id if ti else "",
            )
        except SpecError as error:
            self.fail(dispatch.key, info=str(error))
            return
        self._dispatches.add(dispatch)

    # --- reporting ---------------------------------------------------------------------------------------------

    def _report(self, ended: list[RunnerEvent]) -> None:
        found = [(event, self._dispatches.of_pod(event.key)) for event in ended]
        keys = [each.key for _, each in found if each and isinstance(each.key, TaskInstanceKey)]
        rows = task_rows(keys)
        for event, dispatch in found:
            self._reported.append(event)
            if dispatch is not None and event.outcome is not None:
                self._report_one(dispatch, event.outcome, rows)

    def _report_one(self, dispatch: Dispatch, outcome: Outcome, rows: dict[Primary, TaskRow]) -> None:
        key = dispatch.key
        if self._dispatches.remove(dispatch):
            self.running.discard(key)
        if isinstance(key, TaskInstanceKey):
            report = report_of(dispatch, outcome, try_number=key.try_number, row=rows.get(key.primary))
        else:
            report = Report.SUCCESS if outcome.succeeded else Report.FAILURE
        if report is Report.SUCCESS:
            self.success(key)
        elif report is Report.FAILURE:
            self.log.warning("%s: %s", key, outcome)
            self.log_task_event(event="pod failed", extra=str(outcome), ti_key=key)
            self.fail(key, info=str(outcome))

    # --- what is no longer wanted ------------------------------------------------------------------------------

    def _revoke(self, dispatch: Dispatch) -> None:
        dispatch.is_revoked = True
        try:
            dispatch.handle.cancel()
        except PodrunnerError as error:
            self.log.warning("The pod of %s is not cancelled: %s", dispatch.key, error)

    def _cancel_stale(self) -> None:
        tasks = [each for each in self._dispatches if isinstance(each.key, TaskInstanceKey)]
        rows = task_rows([each.key for each in tasks])
        for dispatch in tasks:
            if not is_current(dispatch, try_number=dispatch.key.try_number, row=rows.get(dispatch.key.primary)):
                self._revoke(dispatch)


class LocalPodRunnerExecutor(PodRunnerExecutor):
    """The same on a LocalCluster: pods are processes of this machine."""

    is_local: bool = True
    cluster: ClassVar[str | None] = "local"
