"""The executor that Airflow loads: a thin shell between the scheduler's loop and a blocking runner.

What belongs here: Airflow's interface. What is decided of a dispatch is in ``dispatches.py``, its workload in
``launch.py``, what needs no runner in ``unstarted.py``, the queries in ``database.py``, hand-overs in ``adopting.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from airflow import __version__ as airflow_version
from airflow import settings as airflow_settings
from airflow.executors.workloads.task import ExecuteTask
from airflow.models.taskinstancekey import TaskInstanceKey

from podrunner import EventKind, PodRunner, RetryPolicy
from podrunner.errors import OwnershipError, PodrunnerError, QueueFullError, RunnerClosedError, SpecError
from podrunner.integrations.airflow.adopting import AdoptingExecutor
from podrunner.integrations.airflow.database import queued_workloads, task_rows
from podrunner.integrations.airflow.dispatches import (
    Dispatch,
    Report,
    is_launchable,
    is_unheard,
    next_launch,
    report_of,
    report_of_other,
)
from podrunner.integrations.airflow.keys import is_callback
from podrunner.integrations.airflow.launch import dispatch_id, other_workload_of, workload_of
from podrunner.integrations.airflow.pod_hook import pod_hook_of
from podrunner.integrations.airflow.sentences import storable
from podrunner.integrations.airflow.task_settings import coordinator_extra

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from podrunner import LaunchBatch, Outcome, Run, RunnerEvent, Workload, WorkloadKey
    from podrunner.integrations.airflow.database import Primary
    from podrunner.integrations.airflow.dispatches import TaskRow

__all__ = ["LocalPodRunnerExecutor", "PodRunnerExecutor"]

_BEFORE_ALL_TASKS = (2**31, "")
"""Priority and group of callbacks and connection tests: Airflow takes them before any task too."""

_NOT_TAKEN = (QueueFullError, OwnershipError, RunnerClosedError)
"""Errors of the runner, not of the workload: it is full, or lost its Lease in the midst of the batch."""


class _ToActOn(NamedTuple):
    """An end that was reported, and on which the scheduler is to act.

    Attributes:
        key: The task's.
        dispatch: The dispatch's id.
        failure: Why it failed; None: it succeeded.
        event: The end of its pod; None: it had none.
    """

    key: TaskInstanceKey
    dispatch: str
    failure: str | None
    event: RunnerEvent | None


class PodRunnerExecutor(AdoptingExecutor):
    """Runs each task of Airflow 3 in a pod of its own.

    The API server constructs executors too, to read logs: nothing is opened before ``start``.
    """

    supports_ad_hoc_ti_run: bool = True
    supports_callbacks: bool = True
    supports_multi_team: bool = True
    supports_connection_test: bool = True
    serve_logs: bool = False
    pre_assigns_external_executor_id: ClassVar[bool] = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.team_name is not None:
            # The base has read the common one.
            self.parallelism: int = self.conf.getint("core", "parallelism")
        self._retry = RetryPolicy()
        self._reported: list[RunnerEvent] = []
        self._to_act_on: list[_ToActOn] = []
        self._held: list[RunnerEvent] = []

    # --- the scheduler's calls ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the runner. The scheduler has set ``job_id`` just before."""
        self._open(self._make_runner)

    def _make_runner(self, owner: str) -> PodRunner:
        config = self.config_for(owner)
        # Tries are Airflow's; a pod that is lost before its work begins is launched again, and costs none.
        self._retry = RetryPolicy.of(config.run_retry)
        return PodRunner(config, on_exit="detach", pod_hook=pod_hook_of(airflow_settings))

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        """Launch workloads in one batch; one whose task instance has gone on without it is left out."""
        runner = self._opened()[0].runner
        if runner is None:
            return  # they stay in the queue
        made = self._made(workload_items)
        try:
            batch = self._run(runner, made)
        except PodrunnerError as error:
            self.log.warning("Nothing is launched; the next heartbeat tries again: %s", error)
            return
        errors = {failure.index: failure.error for failure in batch.errors}
        for place, ((dispatch, item, _), run) in enumerate(zip(made, batch, strict=True)):
            self._take(dispatch, item, run, errors.get(place))

    def sync(self) -> None:
        """Take what has happened to the pods since the last heartbeat, and report the ends. It never waits for them."""
        self.forget_stored_rows()
        session, hand_overs = self._opened()
        if session.look():
            self._reported, self._held = [], []
            self._to_act_on = [each for each in self._to_act_on if each.event is None]
            hand_overs.lose()
            self._lose_pods(tuple(self._dispatches))
        runner = session.runner
        if runner is None:
            return
        # What was reported in the last heartbeat has been stored by now, unless a row was locked.
        self._report_unheard()
        runner.acknowledge(self._reported)
        self._reported = []
        self._take_over()
        new = runner.poll_events()
        self._report_running(new)
        events = [*self._held, *new]
        self._note_pods(events)
        lost = (self._dispatches.of_pod(event.key) for event in events if event.kind is EventKind.LOST)
        self._lose_pods([dispatch for dispatch in lost if dispatch is not None])
        ended = [event for event in events if event.outcome is not None]
        self._held = [event for event in ended if self._is_unknown_yet(event)]
        if known := [event for event in ended if not self._is_unknown_yet(event)]:
            self._report(known, runner)
        self._hand_over()

    def _is_unknown_yet(self, event: RunnerEvent) -> bool:
        """Return whether an end is of a pod that is being taken over just now."""
        return self._opened()[1].is_searching and self._dispatches.of_pod(event.key) is None

    def end(self) -> None:
        """Relinquish the pods to the next scheduler: they run on."""
        if self._session is not None:
            self._session.close()

    def terminate(self) -> None:
        """As ``end``: a scheduler that is stopped stops no task."""
        self.end()

    def fail_connection_test(self, key: Hashable) -> None:
        """End the pod of a connection test that has taken too long for Airflow."""
        for dispatch in self._dispatches.of_key(key):
            dispatch.is_revoked = True
            self._cancel(dispatch)
        self._forget_unlaunched(key)
        super().fail_connection_test(key)

    # --- launching ---------------------------------------------------------------------------------------------

    def _run(self, runner: PodRunner, made: Sequence[tuple[Dispatch, Any, Workload]]) -> LaunchBatch[Run]:
        weights = {
            workload.key: (item.ti.priority_weight, item.ti.dag_id)
            for _, item, workload in made
            if isinstance(item, ExecuteTask)
        }
        return runner.run_many(
            [workload for _, _, workload in made],
            retry=self._retry,
            priority=lambda workload: weights.get(workload.key, _BEFORE_ALL_TASKS)[0],
            group=lambda workload: weights.get(workload.key, _BEFORE_ALL_TASKS)[1],
        )

    def _made(self, items: Sequence[Any]) -> list[tuple[Dispatch, Any, Workload]]:
        """Return what is launched of the workloads; one that makes none has failed."""
        rows = task_rows([item.ti.key for item in items if isinstance(item, ExecuteTask)])
        made = []
        for item in items:
            try:
                workload = self._workload(item)
            except SpecError as error:
                self._refuse(item, error)
                continue
            dispatch = Dispatch(dispatch_id(item), item.key, workload.key)
            if self._is_wanted(dispatch, item, rows):
                made.append((dispatch, item, workload))
            else:
                self._forget_queued(item)
                self.log.info("Not launched, for its task instance has gone on without it: %s", item.key)
        return made

    def _workload(self, item: Any, *, again: int = 0) -> Workload:
        if isinstance(item, ExecuteTask):
            return workload_of(
                item,
                dispatch=dispatch_id(item),
                version=airflow_version,
                owner=str(self.job_id),
                extra=coordinator_extra(item.ti.queue),
                again=again,
            )
        return other_workload_of(item, dispatch=dispatch_id(item))

    def _is_wanted(self, dispatch: Dispatch, item: Any, rows: dict[Primary, TaskRow]) -> bool:
        if not isinstance(item, ExecuteTask):
            return True
        row = rows.get(item.ti.key.primary)
        return is_launchable(dispatch, try_number=item.ti.try_number, row=row, job=int(self.job_id))

    def _take(self, dispatch: Dispatch, item: Any, run: Any, error: PodrunnerError | None) -> None:
        """Note what became of one workload of a batch."""
        if isinstance(error, _NOT_TAKEN):
            return  # it stays in the queue
        if error is not None:
            self._refuse(item, error)
            return
        self._forget_queued(item)
        dispatch.handle = run
        dispatch.item = None if isinstance(item, ExecuteTask) else item
        self._dispatches.add(dispatch)
        self.running.add(dispatch.key)

    def _refuse(self, item: Any, error: PodrunnerError) -> None:
        """Report a workload that makes no pod."""
        self._forget_queued(item)
        self.explain(item.key, error)
        if isinstance(item, ExecuteTask):
            self._to_act_on.append(_ToActOn(item.key, dispatch_id(item), str(error), None))

    def _forget_queued(self, item: Any) -> None:
        for queued in (self.queued_tasks, self.queued_callbacks, self.queued_connection_tests):
            queued.pop(item.key, None)

    # --- reporting ---------------------------------------------------------------------------------------------

    def _report_running(self, events: list[RunnerEvent]) -> None:
        """Report the callbacks that run. Of tasks their workers report it, and of connection tests too."""
        for event in events:
            dispatch = self._dispatches.of_pod(event.key) if event.status == "Running" else None
            if dispatch is not None and is_callback(dispatch.key):
                self.running_state(dispatch.key)

    def _report(self, ended: list[RunnerEvent], runner: PodRunner) -> None:
        found = [(event, self._dispatches.of_pod(event.key)) for event in ended]
        rows = task_rows([each.key for _, each in found if each and isinstance(each.key, TaskInstanceKey)])
        for event, dispatch in found:
            outcome = event.outcome
            assert outcome is not None, "an end has one"
            is_again: bool | None = event.will_retry
            if dispatch is not None and not is_again:
                is_again = self._is_run_again(dispatch, event, rows, runner)
            if is_again is None:
                self._held.append(event)
                continue
            if dispatch is not None and is_again:
                lost = storable(str(outcome))
                self.log.warning("%s: lost before its work began, and launched again: %s", dispatch.key, lost)
                self.log_task_event(event="pod launched again", extra=lost, ti_key=dispatch.key)
                continue  # the next pod delivers this outcome
            if is_again:
                continue
            if dispatch is None or not self._report_one(dispatch, outcome, rows):
                self._reported.append(event)
            else:
                failure = None if outcome.succeeded else str(outcome)
                self._to_act_on.append(_ToActOn(dispatch.key, dispatch.id, failure, event))

    def _is_run_again(
        self, dispatch: Dispatch, event: RunnerEvent, rows: dict[Primary, TaskRow], runner: PodRunner
    ) -> bool | None:
        """Launch the next pod of one that was lost before its task began.

        Returns:
            Whether there is one; None: the runner takes none just now, and the next heartbeat is to ask again.
        """
        key, outcome = dispatch.key, event.outcome
        if not isinstance(key, TaskInstanceKey) or outcome is None:
            return False
        most = self._retry.infrastructure_retries
        again = next_launch(
            dispatch, outcome, try_number=key.try_number, row=rows.get(key.primary), most=most
        )
        if again is None:
            return False
        items = queued_workloads([key], executor=self)
        try:
            made = [(dispatch, item, self._workload(item, again=again)) for item in items]
            run = self._run_one(runner, made)
        except _NOT_TAKEN:
            return None
        except PodrunnerError as error:
            self.log.warning("No other pod is launched for %s: %s", key, error)
            return False
        if run is None:
            return False
        self._replace(dispatch, made[0][2].key, run, event)
        return True

    def _run_one(self, runner: PodRunner, made: Sequence[tuple[Dispatch, Any, Workload]]) -> Run | None:
        """Launch one workload, or none; return its run, unless that is over by what earlier runners left.

        Raises:
            PodrunnerError: The runner does not take it.
        """
        batch = self._run(runner, made)
        for failure in batch.errors:
            raise failure.error
        return next((run for run in batch if not run.done), None)

    def _replace(self, dispatch: Dispatch, pod_key: WorkloadKey, run: Run, event: RunnerEvent) -> None:
        """Go on with the next pod of a dispatch; the end of the one before is delivered once that exists."""
        if pod_key.identity == dispatch.pod_key.identity:
            dispatch.handle, dispatch.is_adopted = run, False  # podrunner delivers it
            return
        self._dispatches.remove(dispatch)
        if self._dispatches.of_pod(pod_key) is not None:
            self._reported.append(event)  # an earlier scheduler has launched it
            return
        following = Dispatch(dispatch.id, dispatch.key, pod_key, handle=run, replaced=event)
        self._dispatches.add(following)

    def _note_pods(self, events: list[RunnerEvent]) -> None:
        """Note which dispatches have pods.

        The end of a pod is delivered once its successor exists, is another runner's, or is over without a pod.
        """
        for event in events:
            dispatch = self._dispatches.of_pod(event.key)
            if dispatch is None:
                continue
            dispatch.had_pod |= bool(event.uid) or event.kind is EventKind.LOST
            is_over = event.kind in {EventKind.FINISHED, EventKind.LOST} and not event.will_retry
            if dispatch.replaced is not None and (event.uid or is_over):
                self._reported.append(dispatch.replaced)
                dispatch.replaced = None

    def _report_one(self, dispatch: Dispatch, outcome: Outcome, rows: dict[Primary, TaskRow]) -> bool:
        """Report an end; return whether the scheduler is to act on it, so that its row changes."""
        key = dispatch.key
        if self._dispatches.remove(dispatch):
            self.running.discard(key)
        self.note_killed_child(key, outcome)
        if isinstance(key, TaskInstanceKey):
            report = report_of(dispatch, outcome, try_number=key.try_number, row=rows.get(key.primary))
        else:
            report = report_of_other(dispatch, outcome)
        if report is Report.SUCCESS:
            self.success(key)
        elif report is Report.FAILURE:
            self.explain(key, outcome)
        return report is not Report.NOTHING and self._is_unheard(key, dispatch.id, rows)

    def _is_unheard(self, key: Any, dispatch: str, rows: dict[Primary, TaskRow]) -> bool:
        if not isinstance(key, TaskInstanceKey) or key in self.running or key in self.queued_tasks:
            return False  # Airflow passes over what the executor has again
        row = rows.get(key.primary)
        return is_unheard(dispatch, try_number=key.try_number, row=row, job=int(self.job_id))

    def _report_unheard(self) -> None:
        """Report once more on what the scheduler has not acted; all else that it was to act on is stored."""
        to_act_on, self._to_act_on = self._to_act_on, []
        if not to_act_on:
            return
        rows = task_rows([end.key for end in to_act_on])
        for end in to_act_on:
            if self._is_unheard(end.key, end.dispatch, rows):
                self._to_act_on.append(end)
                if end.failure is None:
                    self.success(end.key)
                else:
                    self.fail(end.key, info=storable(end.failure))
            elif end.event is not None:
                self._reported.append(end.event)


class LocalPodRunnerExecutor(PodRunnerExecutor):
    """The same on a LocalCluster: pods are processes of this machine."""

    is_local: bool = True
    cluster: ClassVar[str | None] = "local"
