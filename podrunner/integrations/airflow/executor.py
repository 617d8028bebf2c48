"""The executor that Airflow loads: a thin shell between the scheduler's loop and a blocking runner.

What belongs here: Airflow's interface. What is decided of a dispatch is in ``dispatches.py``, its workload in
``launch.py``, the configuration in ``settings.py``, the queries in ``database.py``.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from airflow import __version__ as airflow_version
from airflow.executors.workloads.task import ExecuteTask
from airflow.models.taskinstancekey import TaskInstanceKey

from podrunner import PodRunner, RetryPolicy, RunnerConfig
from podrunner.errors import PodrunnerError, QueueFullError, SpecError
from podrunner.integrations.airflow.causes import ExplainingExecutor
from podrunner.integrations.airflow.database import alive_schedulers, key_of, task_rows
from podrunner.integrations.airflow.dispatches import Dispatch, Dispatches, Report, is_current, report_of
from podrunner.integrations.airflow.launch import dispatch_id, key_of_pod, other_workload_of, workload_of
from podrunner.integrations.airflow.session import RunnerSession, dead_owners, owner_of
from podrunner.integrations.airflow.settings import config_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.models.taskinstance import TaskInstance

    from podrunner import Outcome, RunnerEvent, Workload
    from podrunner.integrations.airflow.database import Primary
    from podrunner.integrations.airflow.dispatches import TaskRow

__all__ = ["LocalPodRunnerExecutor", "PodRunnerExecutor"]

_STALE_FOR_S = 60.0
"""So long a pod runs on whose dispatch is no longer current: its worker ends by itself, and stores its log before."""


class PodRunnerExecutor(ExplainingExecutor):
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
        self._session: RunnerSession | None = None
        self._dispatches = Dispatches()
        self._reported: list[RunnerEvent] = []
        self._check_every_s = 0.0
        self._next_check = 0.0

    # --- the scheduler's calls ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the runner. The scheduler has set ``job_id`` just before."""
        self._check_every_s = self.conf.getint("scheduler", "orphaned_tasks_check_interval")
        self._session = RunnerSession(
            lambda owner: PodRunner(self._config(owner), on_exit="detach"),
            owner_of(self.job_id, self.team_name),
        )
        self._session.open()

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        """Launch workloads in one batch; one whose task instance has gone on without it is left out."""
        runner = self._opened().runner
        if runner is None:
            return  # they stay in the queue
        made = self._made(workload_items)
        weights = {
            workload.key: (item.ti.priority_weight, item.ti.dag_id)
            for _, item, workload in made
            if isinstance(item, ExecuteTask)
        }
        try:
            batch = runner.run_many(
                [workload for _, _, workload in made],
                retry=RetryPolicy(attempts=1),
                priority=lambda workload: weights.get(workload.key, (0, ""))[0],
                group=lambda workload: weights.get(workload.key, (0, ""))[1],
            )
        except PodrunnerError as error:
            self.log.warning("Nothing is launched; the next heartbeat tries again: %s", error)
            return
        errors = {failure.index: failure.error for failure in batch.errors}
        for place, ((dispatch, item, _), run) in enumerate(zip(made, batch, strict=True)):
            self._take(dispatch, item, run, errors.get(place))

    def sync(self) -> None:
        """Take what has happened to the pods since the last heartbeat, and report the ends."""
        session = self._opened()
        if session.is_lost() and not self._reopened(session):
            return
        runner = session.runner
        assert runner is not None, "an open session has a runner"
        # What was reported in the last heartbeat has been stored by now.
        runner.acknowledge(self._reported)
        self._reported = []
        ended = [
            event for event in runner.poll_events() if event.outcome is not None and not event.will_retry
        ]
        if ended:
            self._report(ended)
        if time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + self._check_every_s
            self._check()

    def revoke_task(self, *, ti: TaskInstance) -> None:
        """End the pods of a task instance's try; nothing is reported of them."""
        self.queued_tasks.pop(ti.key, None)
        for dispatch in self._dispatches.of_key(ti.key):
            self._revoke(dispatch)
        self.running.discard(ti.key)

    def try_adopt_task_instances(self, tis: Sequence[TaskInstance]) -> Sequence[TaskInstance]:
        """Take over the pods of schedulers that are dead; return the task instances that have none."""
        jobs = [row.queued_by_job_id for row in task_rows([key_of(ti) for ti in tis]).values()]
        dead = dead_owners(jobs, alive=self._alive() | {int(self.job_id)}, team=self.team_name)
        if not self._adopt(dead):
            return []  # they keep their try: the next check adopts their pods
        found = {dispatch.id for dispatch in self._dispatches}
        return [ti for ti in tis if ti.external_executor_id not in found]

    def end(self) -> None:
        """Relinquish the pods to the next scheduler: they run on."""
        if self._session is not None:
            self._session.close()

    def terminate(self) -> None:
        """As ``end``: a scheduler that is stopped stops no task."""
        self.end()

    @staticmethod
    def get_cli_commands() -> list[Any]:
        """Return the commands of Airflow's provider for Kubernetes, if it is installed: they find the pods too."""
        with suppress(ImportError):
            from airflow.providers.cncf.kubernetes.cli.definition import get_kubernetes_cli_commands

            return list(get_kubernetes_cli_commands())
        return []

    # --- launching ---------------------------------------------------------------------------------------------

    def _config(self, owner: str) -> RunnerConfig:
        return config_of(
            self.conf,
            version=airflow_version,
            owner=owner,
            team=self.team_name,
            cluster=self.cluster,
            environ=os.environ,
        )

    def _opened(self) -> RunnerSession:
        assert self._session is not None, "the scheduler calls start() first"
        return self._session

    def _made(self, items: Sequence[Any]) -> list[tuple[Dispatch, Any, Workload]]:
        """Return what is launched of the workloads; one that makes none has failed."""
        rows = task_rows([item.ti.key for item in items if isinstance(item, ExecuteTask)])
        made = []
        for item in items:
            try:
                workload = self._workload(item)
            except SpecError as error:
                self._forget_queued(item)
                self.explain(item.key, error)
                continue
            dispatch = Dispatch(dispatch_id(item), item.key, workload.key)
            if self._is_wanted(dispatch, item, rows):
                made.append((dispatch, item, workload))
            else:
                self._forget_queued(item)
                self.log.info("Not launched, for its task instance has gone on without it: %s", item.key)
        return made

    def _workload(self, item: Any) -> Workload:
        if isinstance(item, ExecuteTask):
            return workload_of(
                item, dispatch=dispatch_id(item), version=airflow_version, owner=str(self.job_id)
            )
        return other_workload_of(item, dispatch=dispatch_id(item))

    @staticmethod
    def _is_wanted(dispatch: Dispatch, item: Any, rows: dict[Primary, TaskRow]) -> bool:
        if not isinstance(item, ExecuteTask):
            return True
        return is_current(dispatch, try_number=item.ti.try_number, row=rows.get(item.ti.key.primary))

    def _take(self, dispatch: Dispatch, item: Any, run: Any, error: PodrunnerError | None) -> None:
        """Note what became of one workload of a batch."""
        if isinstance(error, QueueFullError):
            return  # it stays in the queue
        self._forget_queued(item)
        if error is not None:
            self.explain(dispatch.key, error)
            return
        dispatch.handle = run
        self._dispatches.add(dispatch)
        self.running.add(dispatch.key)

    def _forget_queued(self, item: Any) -> None:
        for queued in (self.queued_tasks, self.queued_callbacks, self.queued_connection_tests):
            queued.pop(item.key, None)

    # --- reporting ---------------------------------------------------------------------------------------------

    def _report(self, ended: list[RunnerEvent]) -> None:
        found = [(event, self._dispatches.of_pod(event.key)) for event in ended]
        rows = task_rows([each.key for _, each in found if each and isinstance(each.key, TaskInstanceKey)])
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
            self.explain(key, outcome)

    # --- pods of others, and pods that are no longer wanted ------------------------------------------------------

    def _reopened(self, session: RunnerSession) -> bool:
        """Open the runner anew; its own pods are taken over as those of a dead scheduler."""
        for dispatch in self._dispatches:
            self._dispatches.remove(dispatch)
            self.running.discard(dispatch.key)
        self._reported = []
        return session.reopen() and self._adopt(set())

    def _check(self) -> None:
        """Take over pods that Airflow says nothing of, such as of finished tasks; cancel those no longer wanted.

        Of several schedulers none takes over pods by itself: Airflow may give their task instances to another one.
        """
        if self._alive() <= {int(self.job_id)}:
            self._adopt(set())
        self._cancel_stale()

    def _alive(self) -> set[int]:
        return alive_schedulers(self.conf.getint("scheduler", "scheduler_health_check_threshold"))

    def _adopt(self, dead: set[str]) -> bool:
        pods = self._opened().adopt(dead)
        for pod in pods or ():
            parts = key_of_pod(pod.key)
            if parts is None:
                continue  # a callback's or connection test's: its end is reported by its own process
            dispatch = Dispatch(pod.key.parts["dispatch"], TaskInstanceKey(**parts), pod.key, handle=pod)
            self._dispatches.add(dispatch)
            self.running.add(dispatch.key)
        return pods is not None

    def _revoke(self, dispatch: Dispatch) -> None:
        dispatch.is_revoked = True
        try:
            dispatch.handle.cancel(wait=False)
        except PodrunnerError as error:
            self.log.warning("The pod of %s is not cancelled: %s", dispatch.key, error)

    def _cancel_stale(self) -> None:
        tasks = [each for each in self._dispatches if isinstance(each.key, TaskInstanceKey)]
        rows = task_rows([each.key for each in tasks])
        now = time.monotonic()
        for each in tasks:
            wanted = is_current(each, try_number=each.key.try_number, row=rows.get(each.key.primary))
            if each.is_stale(now, is_wanted=wanted, for_s=_STALE_FOR_S) and not each.is_revoked:
                self.log.info(
                    "Its task instance has gone on without it, and so its pod is deleted: %s", each.key
                )
                self._revoke(each)


class LocalPodRunnerExecutor(PodRunnerExecutor):
    """The same on a LocalCluster: pods are processes of this machine."""

    is_local: bool = True
    cluster: ClassVar[str | None] = "local"
