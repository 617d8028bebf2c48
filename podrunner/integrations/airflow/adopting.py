"""The part of the executor that takes over pods of dead schedulers, and ends pods that are no longer wanted.

What belongs here: asking the database, and acting on Airflow's structures. What is sought and what follows is decided
in ``hand_overs.py`` and ``dispatches.py``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf as global_conf
from airflow.models.taskinstancekey import TaskInstanceKey

from podrunner.errors import PodrunnerError, UsageError
from podrunner.integrations.airflow.database import (
    alive_schedulers,
    dispatches_of_others,
    key_of,
    queued_workloads,
    task_rows,
)
from podrunner.integrations.airflow.dispatches import Dispatch, Dispatches, is_current
from podrunner.integrations.airflow.hand_overs import Fate, HandOvers
from podrunner.integrations.airflow.keys import airflow_key_of
from podrunner.integrations.airflow.session import RunnerSession, dead_owners, owner_of
from podrunner.integrations.airflow.settings import installation_of
from podrunner.integrations.airflow.unstarted import ConfiguredExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from airflow.models.taskinstance import TaskInstance

    from podrunner import PodRunner
    from podrunner.integrations.airflow.database import Primary
    from podrunner.integrations.airflow.dispatches import TaskRow

__all__ = ["AdoptingExecutor"]

_STALE_FOR_S = 60.0
"""So long a pod runs on whose dispatch is no longer current: its worker ends by itself, and stores its log before."""
_STALE_EVERY_S = 30.0
_SEARCH_WITHIN_S = 10.0
"""So long the scheduler waits for the pods of a dead one: half of its own time until it counts as dead is left."""


class AdoptingExecutor(ConfiguredExecutor):
    """An executor whose pods outlive it, and which takes over those of others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session: RunnerSession | None = None
        self._hand_overs: HandOvers | None = None
        self._dispatches = Dispatches()
        self._unlaunched: dict[str, Any] = {}
        self._next_stale_check = 0.0
        self._stale_every_s = _STALE_EVERY_S

    def _open(self, make: Callable[[str], PodRunner]) -> None:
        """Open the runner. The scheduler has set ``job_id`` just before.

        Raises:
            UsageError: There is no scheduler.
        """
        if self.job_id is None:
            raise UsageError(
                f"{type(self).__name__} works in a scheduler only, whose number its pods bear, and job_id is None: "
                "use `airflow dags test` without --use-executor"
            )
        every_s = float(global_conf.get("scheduler", "orphaned_tasks_check_interval"))
        job, team = int(self.job_id), self.team_name
        installation = installation_of(global_conf.get("database", "sql_alchemy_conn"))
        session = RunnerSession(make, lambda opened: owner_of(installation, job, team, opened=opened))
        session.open()
        self._session = session
        self._hand_overs = HandOvers(session, every_s=every_s)
        self._stale_every_s = min(every_s, _STALE_EVERY_S)

    def _opened(self) -> tuple[RunnerSession, HandOvers]:
        assert self._session is not None, "the scheduler calls start() first"
        assert self._hand_overs is not None, "made with the session"
        return self._session, self._hand_overs

    # --- what Airflow gives away ---------------------------------------------------------------------------------

    def try_adopt_task_instances(self, tis: Sequence[TaskInstance]) -> Sequence[TaskInstance]:
        """Take over the pods of schedulers that are dead.

        Returns:
            Task instances whose work had begun and whose pod is gone: Airflow runs them again, as another try. Those
            whose work has not begun are launched again once Airflow has made them this scheduler's.
        """
        rows = task_rows([key_of(ti) for ti in tis])
        _, hand_overs = self._opened()
        hand_overs.seek(
            {
                row.external_executor_id: TaskInstanceKey(*primary[:3], row.try_number, primary[3])
                for primary, row in rows.items()
                if row.external_executor_id is not None
            }
        )
        self._search({row.queued_by_job_id for row in rows.values()}, others=None)
        if not hand_overs.wait(_SEARCH_WITHIN_S):
            self.log.warning("The pods of dead schedulers are still being looked for; their tasks are kept")
        self._take_over()
        known = {dispatch.id for dispatch in self._dispatches}
        return [ti for ti in tis if not self._is_kept(rows.get(key_of(ti).primary), known)]

    def _is_kept(self, row: TaskRow | None, known: Collection[str]) -> bool:
        if row is None or row.external_executor_id is None:
            return False
        if row.external_executor_id in known:
            return True
        _, hand_overs = self._opened()
        if not hand_overs.is_unfound(row.external_executor_id) or row.state == "queued":
            return True
        hand_overs.forget(row.external_executor_id)
        return False

    def _search(self, dead_jobs: Collection[int | None], *, others: Collection[str] | None) -> None:
        """Begin to look for pods; Airflow's own verdict on schedulers counts, though they may live again."""
        session, hand_overs = self._opened()
        if session.runner is None:
            return  # it is being opened anew; what is sought stays so
        # The scheduler's own settings: a team's configuration has the default where the team sets nothing.
        threshold_s = global_conf.getint("scheduler", "scheduler_health_check_threshold")
        alive = alive_schedulers(threshold_s).difference(dead_jobs) | {int(self.job_id)}
        is_dead = dead_owners(alive=alive, team=self.team_name, current=session.runner.owner)
        hand_overs.begin(is_dead=is_dead, others=others)

    # --- in each heartbeat ---------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Launch what has no pod and has not begun, and look for more pods when it is time."""
        self._settle()
        _, hand_overs = self._opened()
        if hand_overs.is_due():
            self._search((), others=dispatches_of_others(int(self.job_id)))
        if time.monotonic() >= self._next_stale_check:
            self._next_stale_check = time.monotonic() + self._stale_every_s
            self._cancel_stale()

    def _take_over(self) -> None:
        for pod in self._opened()[1].collect():
            key = airflow_key_of(pod.key)
            if key is None:
                continue  # of another program of the scope
            dispatch = Dispatch(pod.key.parts["dispatch"], key, pod.key, handle=pod, is_adopted=True)
            self._unlaunched.pop(dispatch.id, None)
            self._dispatches.add(dispatch)
            self.running.add(dispatch.key)

    def _settle(self) -> None:
        _, hand_overs = self._opened()
        self._queue_unlaunched()
        keys = hand_overs.unfound().values()
        if not keys:
            return
        known = {dispatch.id for dispatch in self._dispatches}
        fates = hand_overs.settle(task_rows(list(keys)), job=int(self.job_id), known=known)
        again = [key for key, fate in fates if fate is Fate.LAUNCH]
        for workload in queued_workloads(again, executor=self) if again else ():
            self.log.info(
                "No pod is there, and the task has not begun: it is launched again: %s", workload.key
            )
            self.queue_workload(workload, None)
        for key in (key for key, fate in fates if fate is Fate.FAIL):
            self.explain(key, "its pod is gone: none was found after its scheduler or runner was lost")

    def _queue_unlaunched(self) -> None:
        """Queue callbacks and connection tests again that had no pod when the runner was lost, and have none now."""
        _, hand_overs = self._opened()
        for dispatch in self._unlaunched.keys() & hand_overs.unfound().keys():
            hand_overs.forget(dispatch)
            item = self._unlaunched.pop(dispatch)
            self.log.info("No pod is there: it is launched again: %s", item.key)
            self.queue_workload(item, None)

    def _forget_unlaunched(self, key: Any) -> None:
        for dispatch in [each for each, item in self._unlaunched.items() if item.key == key]:
            del self._unlaunched[dispatch]
            self._opened()[1].forget(dispatch)

    def _lose_pods(self, lost: Collection[Dispatch]) -> None:
        """Track dispatches no more whose pods this runner lost; those of tasks are sought, and what had no pod yet."""
        for dispatch in lost:
            if self._dispatches.remove(dispatch):
                self.running.discard(dispatch.key)
        wanted = [each for each in lost if not each.is_revoked]
        tasks = [each for each in wanted if isinstance(each.key, TaskInstanceKey)]
        others = [each for each in wanted if each.item is not None and not each.had_pod]
        self._unlaunched |= {each.id: each.item for each in others}
        self._opened()[1].seek({each.id: each.key for each in (*tasks, *others)})

    # --- pods that are no longer wanted --------------------------------------------------------------------------

    def revoke_task(self, *, ti: TaskInstance) -> None:
        """End the pods of a task instance's try; nothing is reported of them but why they wait, in its event log."""
        if self.queued_tasks.pop(ti.key, None) is not None:
            self.log_task_event(event="pod waits", extra="it is not created yet", ti_key=ti.key)
        for dispatch in self._dispatches.of_key(ti.key):
            if not dispatch.is_revoked:
                self._say_why_it_waits(dispatch)
                dispatch.is_revoked = True
                self._cancel(dispatch)
        self._opened()[1].forget(str(ti.external_executor_id))
        self.running.discard(ti.key)

    def _say_why_it_waits(self, dispatch: Dispatch) -> None:
        try:
            why = dispatch.why_it_waits()
        except PodrunnerError as error:
            why = str(error)
        if why:
            self.log.warning("%s: %s", dispatch.key, why)
            self.log_task_event(event="pod waits", extra=why, ti_key=dispatch.key)

    def _cancel(self, dispatch: Dispatch) -> None:
        try:
            dispatch.handle.cancel(wait=False)
        except PodrunnerError as error:
            self.log.warning("The pod of %s is not cancelled: %s", dispatch.key, error)

    def _cancel_stale(self) -> None:
        tasks = [each for each in self._dispatches if isinstance(each.key, TaskInstanceKey)]
        rows: Mapping[Primary, TaskRow] = task_rows([each.key for each in tasks])
        now = time.monotonic()
        for each in tasks:
            row = rows.get(each.key.primary)
            is_wanted = is_current(each, try_number=each.key.try_number, row=row)
            if each.is_stale(now, is_wanted=is_wanted, for_s=_STALE_FOR_S) and not each.is_cancelled:
                self.log.info(
                    "Its task instance has gone on without it, and so its pod is deleted: %s", each.key
                )
                each.is_cancelled = True
                each.is_revoked = each.is_revoked or row is None or row.state != "restarting"
                self._cancel(each)
