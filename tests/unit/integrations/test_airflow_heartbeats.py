"""What the executor does in a heartbeat with the ends, losses and finds of pods, beside a stand-in for Airflow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from podrunner import EventKind, FailedLaunch, Fault, Workload, WorkloadKey
from podrunner.errors import (
    OwnershipError,
    PodrunnerError,
    QueueFullError,
    RunnerClosedError,
    SpecError,
    TransportError,
)
from podrunner.integrations.airflow.dispatches import TaskRow
from podrunner.integrations.airflow.hand_overs import HandOvers
from tests.unit.integrations.airflow_stand_ins import (
    ExecuteTask,
    TaskInstance,
    TaskInstanceKey,
    executor_module,
)

JOB = 7
KEY = TaskInstanceKey("dag", "task", "run")
OTHER = TaskInstanceKey("dag", "other", "run")
FAILED = SimpleNamespace(reason=None, succeeded=False, started=True, fault=Fault.WORKLOAD)
LOST = SimpleNamespace(reason=None, succeeded=False, started=False, fault=Fault.INFRASTRUCTURE)
BEGUN = SimpleNamespace(reason=None, succeeded=False, started=True, fault=Fault.INFRASTRUCTURE)


def pod_key(dispatch: str, key: TaskInstanceKey = KEY, **more: str) -> WorkloadKey:
    parts = {"dag_id": key.dag_id, "task_id": key.task_id, "run_id": key.run_id, "dispatch": dispatch}
    return WorkloadKey({**parts, **more}, attempt=key.try_number)


class Handle:
    """A run or a pod."""

    def __init__(self, key: WorkloadKey) -> None:
        self.key, self.name, self.uid, self.done = key, "pod-1", "uid", False
        self.waiting: str | None = None
        self.cancelled: list[bool] = []
        self.fails: PodrunnerError | None = None

    def cancel(self, *, wait: bool) -> None:
        self.cancelled.append(wait)
        if self.fails is not None:
            raise self.fails


class Batch(list[Any]):
    errors: tuple[Any, ...] = ()


class Runner:
    """Launches nothing, and gives the events that the test has put into it."""

    owner = f"airflow-0a1b2c3d-scheduler-{JOB}"

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.acknowledged: list[Any] = []
        self.launched: list[Handle] = []
        self.fails: PodrunnerError | None = None
        self.refuses: PodrunnerError | None = None
        self.are_done = False

    def run_many(self, workloads: list[Workload], **_: Any) -> Batch:
        if self.fails is not None:
            raise self.fails
        batch = Batch(Handle(workload.key) for workload in workloads)
        batch.errors = tuple(
            FailedLaunch(index, workload, self.refuses)
            for index, workload in enumerate(workloads)
            if self.refuses is not None
        )
        for run in batch:
            run.done = self.are_done
        self.launched += batch
        return batch

    def acknowledge(self, events: list[Any]) -> None:
        self.acknowledged += events

    def poll_events(self) -> list[Any]:
        events, self.events = self.events, []
        return events


class Session:
    """Its searches end when the test says so."""

    def __init__(self) -> None:
        self.runner: Runner | None = Runner()
        self.is_lost = False
        self.searches: list[tuple[Future[Any], Any, Any]] = []

    def look(self) -> bool:
        lost, self.is_lost = self.is_lost, False
        return lost

    def adopt(self, *, owners: Any, which: Any) -> Future[Any]:
        self.searches.append((Future(), owners, which))
        return self.searches[-1][0]

    def find(self, *handles: Handle) -> None:
        self.searches.pop(0)[0].set_result(list(handles))


class Airflow:
    """An executor with its rows."""

    def __init__(self, module: Any, patch: pytest.MonkeyPatch) -> None:
        adopting = sys.modules["podrunner.integrations.airflow.adopting"]
        self.rows: dict[Any, TaskRow] = {}
        self.others: set[str] = set()
        self.alive = {JOB}
        for place in (module, adopting):
            patch.setattr(place, "task_rows", self.rows_of)
            patch.setattr(place, "queued_workloads", self.queued)
        patch.setattr(adopting, "alive_schedulers", lambda _: set(self.alive))
        patch.setattr(adopting, "dispatches_of_others", lambda _: self.others)
        patch.setattr(adopting, "_SEARCH_WITHIN_S", 0.0)
        patch.setattr(module, "workload_of", self.workload_of)
        conf = SimpleNamespace(getint=lambda *_: 30, get=lambda *_: "300.0")
        self.executor = module.PodRunnerExecutor(job_id=JOB, conf=conf)
        self.session = Session()
        self.executor._session = self.session
        self.executor._hand_overs = HandOvers(self.session, every_s=300.0)  # type: ignore[arg-type]

    @property
    def runner(self) -> Runner:
        assert self.session.runner is not None
        return self.session.runner

    def rows_of(self, keys: Any) -> dict[Any, TaskRow]:
        return {key.primary: self.rows[key.primary] for key in keys if key.primary in self.rows}

    def queued(self, keys: Any, *, executor: Any) -> list[ExecuteTask]:
        del executor
        rows = self.rows_of(keys)
        return [
            ExecuteTask(TaskInstance(key, rows[key.primary].external_executor_id))
            for key in keys
            if rows[key.primary].state == "queued"
        ]

    def workload_of(self, item: Any, *, dispatch: str, again: int = 0, **_: Any) -> Workload:
        key = pod_key(dispatch, item.key, **({"again": str(again)} if again else {}))
        return Workload(key=key, command=["true"])

    def is_row(
        self, state: str | None, dispatch: str | None = "d1", *, key: TaskInstanceKey = KEY, job: int = JOB
    ) -> None:
        self.rows[key.primary] = TaskRow(state, key.try_number, dispatch, job)

    def launch(self, dispatch: str = "d1", key: TaskInstanceKey = KEY) -> Handle:
        """Launch a dispatch, whose row is then ``queued``."""
        self.is_row("queued", dispatch, key=key)
        self.executor._process_workloads([ExecuteTask(TaskInstance(key, dispatch))])
        return self.runner.launched[-1]

    def adopt(self, *handles: Handle) -> None:
        """Let the search that is under way find pods."""
        self.executor.sync()
        self.session.find(*handles)
        self.executor.sync()

    def happens(self, kind: str, key: WorkloadKey, **facts: Any) -> Any:
        """Let an event come in the next heartbeat, which is now."""
        event = SimpleNamespace(
            **{
                "kind": EventKind(kind),
                "key": key,
                "uid": "uid",
                "status": "",
                "outcome": None,
                "will_retry": False,
                **facts,
            }
        )
        self.runner.events.append(event)
        self.executor.sync()
        return event

    @property
    def logged(self) -> list[str]:
        """The events of the task's event log."""
        return [row.event for row in self.executor._task_event_logs]

    @property
    def reported(self) -> dict[Any, str]:
        return {key: state for key, (state, _) in self.executor.event_buffer.items()}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    with executor_module() as module:
        yield Airflow(module, monkeypatch)


# --- launching -----------------------------------------------------------------------------------------------------


def test_a_dispatch_is_launched_once(airflow: Airflow) -> None:
    run = airflow.launch()
    assert run.key == pod_key("d1")
    assert airflow.executor.running == {KEY}


@pytest.mark.parametrize(
    ("state", "dispatch", "job"), [("queued", "d1", 8), ("running", "d1", JOB), ("queued", "d2", JOB)]
)
def test_what_is_not_this_schedulers_any_more_is_not_launched(
    airflow: Airflow, state: str, dispatch: str, job: int
) -> None:
    """It was stopped meanwhile, and another one has the task."""
    airflow.is_row(state, dispatch, job=job)
    airflow.executor.queued_tasks[KEY] = item = ExecuteTask(TaskInstance(KEY, "d1"))
    airflow.executor._process_workloads([item])
    assert airflow.runner.launched == []
    assert (airflow.executor.queued_tasks, airflow.executor.running) == ({}, set())


def test_workloads_wait_while_there_is_no_runner(airflow: Airflow) -> None:
    airflow.session.runner = None
    airflow.executor.queued_tasks[KEY] = item = ExecuteTask(TaskInstance(KEY, "d1"))
    airflow.executor._process_workloads([item])
    airflow.executor.sync()
    assert KEY in airflow.executor.queued_tasks


@pytest.mark.parametrize(
    "refusal",
    [
        QueueFullError("10 wait already", limit=10),
        OwnershipError("this runner lost its lease", namespace="", name=""),
        RunnerClosedError("the runner is closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_runner_does_not_take_stays_queued(airflow: Airflow, refusal: PodrunnerError) -> None:
    """A process that stands still within a batch loses its Lease there: no fault of the rest of the batch."""
    airflow.runner.refuses = refusal
    airflow.executor.queued_tasks[KEY] = ExecuteTask(TaskInstance(KEY, "d1"))
    airflow.launch()
    assert (list(airflow.executor.queued_tasks), airflow.reported) == ([KEY], {})
    assert (airflow.executor.running, len(airflow.executor._dispatches)) == (set(), 0)


def test_a_workload_that_makes_no_pod_fails_its_task(airflow: Airflow) -> None:
    airflow.runner.refuses = SpecError("no image")
    airflow.launch()
    assert airflow.reported == {KEY: "failed"}


def unbuildable(item: Any, **_: Any) -> Workload:
    raise SpecError(f"no pod can be made of {item.key}")


@pytest.mark.parametrize("where", ["by the runner", "before it"])
def test_a_refusal_that_the_scheduler_passed_over_is_reported_again(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """There is no pod whose end would be reported later, and Airflow's time-out names no cause."""
    if where == "by the runner":
        airflow.runner.refuses = SpecError("no image")
    else:
        monkeypatch.setattr(sys.modules[type(airflow.executor).__module__], "workload_of", unbuildable)
    airflow.is_row("queued")
    airflow.executor._process_workloads([ExecuteTask(TaskInstance(KEY, "d1"))])
    for heartbeat in range(3):
        airflow.session.is_lost = heartbeat == 1
        airflow.executor.sync()
        assert airflow.reported == {KEY: "failed"}
        airflow.executor.event_buffer.clear()
    assert (airflow.logged, airflow.runner.acknowledged) == (["pod failed"], [])
    airflow.is_row("up_for_retry")
    airflow.executor.sync()
    airflow.executor.sync()
    assert airflow.reported == {}


# --- ends ----------------------------------------------------------------------------------------------------------


def test_an_end_is_acknowledged_in_the_next_heartbeat_and_no_sooner(airflow: Airflow) -> None:
    run = airflow.launch()
    airflow.is_row("running")
    event = airflow.happens("finished", run.key, outcome=FAILED)
    assert (airflow.reported, airflow.runner.acknowledged) == ({KEY: "failed"}, [])
    airflow.is_row("up_for_retry")
    airflow.executor.sync()
    airflow.executor.sync()
    assert airflow.runner.acknowledged == [event]
    assert airflow.executor.running == set()


@pytest.mark.parametrize("state", ["queued", "running", "restarting"])
def test_an_end_that_the_scheduler_passed_over_is_reported_again(airflow: Airflow, state: str) -> None:
    """It skips a task instance whose row is locked, such as by its worker's heartbeat, and forgets the event."""
    run = airflow.launch()
    airflow.is_row(state)
    event = airflow.happens("finished", run.key, outcome=FAILED)
    for _ in range(2):
        assert airflow.reported == {KEY: "failed"}
        airflow.executor.event_buffer.clear()
        airflow.executor.sync()
    assert (airflow.reported, airflow.runner.acknowledged) == ({KEY: "failed"}, [])
    assert airflow.logged == ["pod failed"]
    airflow.executor.event_buffer.clear()
    airflow.is_row("failed")
    airflow.executor.sync()
    assert (airflow.reported, airflow.runner.acknowledged) == ({}, [event])


def test_an_end_is_not_reported_again_once_the_task_is_anothers_or_dispatched_anew(airflow: Airflow) -> None:
    for dispatch, key in (("d1", KEY), ("d2", OTHER)):
        airflow.launch(dispatch, key)
        airflow.is_row("running", dispatch, key=key)
        airflow.happens("finished", pod_key(dispatch, key), outcome=FAILED)
    airflow.executor.event_buffer.clear()
    airflow.is_row("running", job=8)
    airflow.is_row("queued", "d3", key=OTHER)
    airflow.executor.sync()
    assert airflow.reported == {}
    assert [event.key for event in airflow.runner.acknowledged] == [pod_key("d1"), pod_key("d2", OTHER)]


def test_a_pod_that_podrunner_launches_again_is_no_end(airflow: Airflow) -> None:
    run = airflow.launch()
    airflow.happens("finished", run.key, outcome=LOST, will_retry=True)
    airflow.executor.sync()
    assert (airflow.reported, airflow.runner.acknowledged) == ({}, [])
    assert airflow.logged == ["pod launched again"]
    assert airflow.executor.running == {KEY}


def test_a_retry_of_an_unknown_pod_says_nothing(airflow: Airflow) -> None:
    airflow.happens("finished", pod_key("d9"), outcome=LOST, will_retry=True)
    airflow.executor.sync()
    assert (airflow.runner.acknowledged, airflow.logged) == ([], [])


def test_an_adopted_pod_that_was_lost_before_it_started_goes_on_as_a_run(airflow: Airflow) -> None:
    airflow.is_row("queued")
    airflow.adopt(Handle(pod_key("d1")))
    airflow.happens("finished", pod_key("d1"), outcome=LOST)
    airflow.executor.sync()
    (run,) = airflow.runner.launched
    assert run.key == pod_key("d1")
    assert (airflow.reported, airflow.runner.acknowledged) == ({}, [])
    (dispatch,) = airflow.executor._dispatches
    assert (dispatch.handle, dispatch.is_adopted) == (run, False)


def test_an_adopted_pod_whose_run_is_over_is_reported(airflow: Airflow) -> None:
    """podrunner's number of such pods is used up."""
    airflow.is_row("queued")
    airflow.adopt(Handle(pod_key("d1")))
    airflow.runner.are_done = True
    airflow.happens("finished", pod_key("d1"), outcome=LOST)
    assert airflow.reported == {KEY: "failed"}


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("outcome", [LOST, BEGUN])
def test_a_pod_that_cannot_follow_just_now_follows_in_the_next_heartbeat(
    airflow: Airflow, outcome: Any, *, raises: bool
) -> None:
    """The runner is full, or has lost its Lease, which the next heartbeat finds out: the task keeps its try."""
    airflow.is_row("queued")
    airflow.adopt(Handle(pod_key("d1")))
    if raises:
        airflow.runner.fails = OwnershipError("this runner lost its lease", namespace="", name="")
    else:
        airflow.runner.refuses = QueueFullError("10 wait already", limit=10)
    airflow.happens("finished", pod_key("d1"), outcome=outcome)
    airflow.executor.sync()
    assert (airflow.reported, airflow.runner.acknowledged, airflow.logged) == ({}, [], [])
    assert airflow.executor.running == {KEY}
    airflow.runner.fails = airflow.runner.refuses = None
    airflow.executor.sync()
    assert (airflow.reported, airflow.logged) == ({}, ["pod launched again"])
    assert airflow.executor.running == {KEY}


def test_a_launch_that_fails_is_reported(airflow: Airflow) -> None:
    airflow.is_row("queued")
    airflow.adopt(Handle(pod_key("d1")))
    airflow.runner.fails = TransportError("not now")
    airflow.happens("finished", pod_key("d1"), outcome=LOST)
    assert airflow.reported == {KEY: "failed"}


def test_the_end_of_a_replaced_pod_is_delivered_when_its_successor_exists(airflow: Airflow) -> None:
    first = airflow.launch()
    end = airflow.happens("finished", first.key, outcome=BEGUN)
    second = airflow.runner.launched[-1]
    assert second.key == pod_key("d1", again="1")
    assert (airflow.reported, airflow.executor.running) == ({}, {KEY})
    airflow.happens("status-changed", second.key, uid="")
    airflow.executor.sync()
    assert airflow.runner.acknowledged == []
    airflow.happens("created", second.key)
    airflow.executor.sync()
    assert airflow.runner.acknowledged == [end]


@pytest.mark.parametrize("kind", ["finished", "lost"])
def test_the_end_of_a_replaced_pod_is_delivered_when_its_successor_never_has_a_pod(
    airflow: Airflow, kind: str
) -> None:
    """The API server refuses it, or it is another runner's: else the pod before would stay for good."""
    first = airflow.launch()
    end = airflow.happens("finished", first.key, outcome=BEGUN)
    second = airflow.runner.launched[-1]
    airflow.is_row("failed")
    airflow.happens(kind, second.key, uid="", outcome=FAILED if kind == "finished" else None)
    airflow.executor.sync()
    assert end in airflow.runner.acknowledged


def test_a_successor_that_is_to_be_launched_again_has_no_pod_yet(airflow: Airflow) -> None:
    first = airflow.launch()
    airflow.happens("finished", first.key, outcome=BEGUN)
    second = airflow.runner.launched[-1]
    airflow.happens("finished", second.key, uid="", outcome=LOST, will_retry=True)
    airflow.executor.sync()
    assert airflow.runner.acknowledged == []


def test_a_successor_that_an_earlier_scheduler_launched_is_not_launched_anew(airflow: Airflow) -> None:
    airflow.is_row("queued")
    airflow.adopt(Handle(pod_key("d1")), Handle(pod_key("d1", again="1")))
    end = airflow.happens("finished", pod_key("d1"), outcome=BEGUN)
    (only,) = airflow.executor._dispatches
    assert (only.again, airflow.reported) == (1, {})
    airflow.executor.sync()
    assert airflow.runner.acknowledged == [end]


def test_an_end_that_comes_before_its_pod_is_collected_waits_for_it(airflow: Airflow) -> None:
    """The runner takes pods over in a thread: their ends may be read first."""
    airflow.is_row("running")
    airflow.executor.sync()
    event = airflow.happens("finished", pod_key("d1"), outcome=FAILED)
    airflow.executor.sync()
    assert (airflow.reported, airflow.runner.acknowledged) == ({}, [])
    airflow.session.find(Handle(pod_key("d1")))
    airflow.executor.sync()
    airflow.is_row("failed")
    airflow.executor.sync()
    assert (airflow.reported, airflow.runner.acknowledged) == ({KEY: "failed"}, [event])


# --- losses and finds ------------------------------------------------------------------------------------------------


def test_a_lost_runner_leaves_its_dispatches_to_be_sought(airflow: Airflow) -> None:
    airflow.launch()
    airflow.launch("d2", OTHER)
    airflow.session.is_lost = True
    airflow.session.runner, lost = None, airflow.session.runner
    airflow.executor.sync()
    assert (airflow.executor.running, len(airflow.executor._dispatches)) == (set(), 0)
    airflow.session.runner = lost
    airflow.is_row("running", "d1")
    airflow.adopt(Handle(pod_key("d1")))
    assert airflow.executor.running == {KEY}
    assert list(airflow.executor.queued_tasks) == [OTHER]
    assert airflow.reported == {}


def test_a_pod_that_is_another_runners_is_sought(airflow: Airflow) -> None:
    run = airflow.launch()
    airflow.happens("lost", run.key)
    assert airflow.executor.running == set()
    airflow.is_row("queued", job=8)
    airflow.session.find()
    airflow.executor.sync()
    assert (airflow.executor.queued_tasks, airflow.reported) == ({}, {})


def test_a_task_that_ran_and_whose_pod_is_gone_fails_with_that(airflow: Airflow) -> None:
    run = airflow.launch()
    airflow.is_row("running")
    airflow.happens("lost", run.key)
    airflow.session.find()
    airflow.executor.sync()
    assert airflow.reported == {KEY: "failed"}
    assert airflow.logged == ["pod failed"]


def orphan(airflow: Airflow, state: str, key: TaskInstanceKey, dispatch: str | None) -> TaskInstance:
    airflow.is_row(state, dispatch, key=key, job=3)
    return TaskInstance(key, dispatch)


def test_only_tasks_that_ran_and_have_no_pod_lose_their_try(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [TaskInstanceKey("dag", task, "run") for task in ("pod", "queued", "gone", "unknown")]
    tis = [
        orphan(airflow, "running", keys[0], "d0"),
        orphan(airflow, "queued", keys[1], "d1"),
        orphan(airflow, "running", keys[2], "d2"),
        orphan(airflow, "queued", keys[3], None),
    ]

    def adopt(*, owners: Any, which: Any) -> Future[Any]:
        assert owners("airflow-0a1b2c3d-scheduler-3")
        assert [which(pod_key(dispatch)) for dispatch in ("d0", "d1", "d2", "d9")] == [
            True,
            True,
            True,
            False,
        ]
        found: Future[Any] = Future()
        found.set_result([Handle(pod_key("d0", keys[0]))])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(airflow.session, "adopt", adopt)
        airflow.alive |= {3}  # it has come back; Airflow's verdict stands
        assert airflow.executor.try_adopt_task_instances(tis) == [tis[2], tis[3]]
    assert airflow.executor.running == {keys[0]}
    for key, dispatch in zip(keys, ("d0", "d1", "d2", None), strict=True):
        airflow.is_row("queued" if key is keys[1] else "running", dispatch, key=key)
    airflow.executor.sync()
    assert list(airflow.executor.queued_tasks) == [keys[1]]


def test_tasks_are_kept_while_the_cluster_does_not_answer(airflow: Airflow) -> None:
    ti = orphan(airflow, "running", KEY, "d1")
    assert airflow.executor.try_adopt_task_instances([ti]) == []
    airflow.session.searches.pop()[0].set_exception(TransportError("not now"))
    airflow.executor.sync()
    assert airflow.reported == {}
    airflow.session.runner = None
    assert airflow.executor.try_adopt_task_instances([ti]) == []


def test_pods_of_finished_tasks_are_taken_from_dead_schedulers_only(airflow: Airflow) -> None:
    airflow.alive |= {8}
    airflow.others = {"theirs"}
    airflow.executor.sync()
    ((_, is_dead, is_wanted),) = airflow.session.searches
    assert [is_dead(f"airflow-0a1b2c3d-scheduler-{job}") for job in (3, 8, JOB)] == [True, False, False]
    assert [is_wanted(pod_key(dispatch)) for dispatch in ("finished", "theirs")] == [True, False]


def test_which_schedulers_are_dead_is_said_for_all_teams_alike(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a team's own configuration Airflow gives the default where the team sets nothing, not the common value."""
    adopting = sys.modules["podrunner.integrations.airflow.adopting"]
    common = {"scheduler_health_check_threshold": "120", "orphaned_tasks_check_interval": "7.5"}
    monkeypatch.setitem(sys.modules["airflow.configuration"].conf.sections, "scheduler", common)
    asked: list[float] = []

    def alive(threshold_s: float) -> set[int]:
        asked.append(threshold_s)
        return {JOB}

    monkeypatch.setattr(adopting, "alive_schedulers", alive)
    airflow.executor.sync()
    assert asked == [120]
    monkeypatch.setattr(adopting, "RunnerSession", lambda *_: SimpleNamespace(open=lambda: None))
    airflow.executor._open(lambda _: None)
    assert airflow.executor._hand_overs._every_s == 7.5


def test_another_programs_pod_that_is_taken_over_is_no_dispatch(airflow: Airflow) -> None:
    key = WorkloadKey({"kind": "Another", "dispatch": "c1"}, attempt=1)
    airflow.adopt(Handle(key))
    event = airflow.happens("finished", key, outcome=FAILED)
    airflow.executor.sync()
    assert (airflow.executor.running, airflow.runner.acknowledged) == (set(), [event])


# --- what is not wanted any more -------------------------------------------------------------------------------------


def test_a_revoked_task_says_why_its_pod_waited_and_nothing_is_reported(airflow: Airflow) -> None:
    run = airflow.launch()
    run.waiting = "Unschedulable: no node"
    airflow.executor.revoke_task(ti=TaskInstance(KEY, "d1"))
    airflow.executor.revoke_task(ti=TaskInstance(KEY, "d1"))
    (row,) = airflow.executor._task_event_logs
    assert (row.event, row.extra) == ("pod waits", "pod pod-1: Unschedulable: no node")
    assert (run.cancelled, airflow.executor.running) == ([False], set())
    airflow.happens("finished", run.key, outcome=FAILED)
    assert airflow.reported == {}


def test_a_task_that_is_revoked_in_the_queue_is_not_launched(airflow: Airflow) -> None:
    airflow.executor.queued_tasks[KEY] = ExecuteTask(TaskInstance(KEY, "d1"))
    airflow.executor.revoke_task(ti=TaskInstance(KEY, "d1"))
    assert airflow.executor.queued_tasks == {}
    assert airflow.logged == ["pod waits"]


def test_revoking_raises_nothing(airflow: Airflow) -> None:
    run = airflow.launch()
    run.fails = TransportError("not now")
    airflow.executor.revoke_task(ti=TaskInstance(KEY, "d1"))
    assert run.cancelled == [False]


@pytest.mark.parametrize(
    ("state", "reported"), [("success", {}), ("restarting", {KEY: "failed"}), (None, {})]
)
def test_a_stale_pod_is_ended_and_reported_only_if_airflow_waits_for_that(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, state: str | None, reported: dict[Any, str]
) -> None:
    """A task that is cleared while it runs waits for the end of its pod."""
    run = airflow.launch()
    airflow.is_row(state)
    now = 1000.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(sys.modules["podrunner.integrations.airflow.adopting"], "time", clock)
    for _ in range(4):
        airflow.executor.sync()
        now += 31.0
    assert run.cancelled == [False]
    airflow.happens("finished", run.key, outcome=FAILED)
    assert airflow.reported == reported
