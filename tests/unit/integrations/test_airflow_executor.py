"""What the executor does with Airflow's workloads and the pods' events; Airflow and the runner are stand-ins."""

from __future__ import annotations

import gc
import json
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from podrunner import EventKind, LaunchBatch, Workload
from podrunner.errors import LogError, UsageError
from podrunner.integrations.airflow.task_log import shown_log
from tests.unit.integrations.airflow_stand_ins import (
    CallbackKey,
    ConnectionTestKey,
    ExecuteTask,
    TaskInstanceKey,
    executor_module,
)
from tests.unit.integrations.test_airflow_launch import ExecuteCallback, TestOfConnection

ID = ExecuteCallback().key


@dataclass
class Outcome:
    """As much of an outcome as is read."""

    succeeded: bool
    reason: str | None = None
    log_tail: tuple[str, ...] = ()
    fault: Any = None

    def __str__(self) -> str:
        if self.reason is not None:
            return self.reason
        return "container base exited with 0" if self.succeeded else "container base exited with 1"


@dataclass
class Handle:
    """A run, or an adopted pod; ``cancelled``: how it was asked to end."""

    key: Any
    cancelled: list[bool] = field(default_factory=list)

    def cancel(self, *, wait: bool) -> None:
        self.cancelled.append(wait)


class Runner:
    """A runner that notes what it is asked."""

    def __init__(self, config: Any, **options: Any) -> None:
        self.config, self.options = config, options
        self.owner = config.owner
        self.launched: list[tuple[Workload, int, str]] = []
        self.handles: list[Handle] = []
        self.events: list[Any] = []
        self.adoptable: list[Handle] = []
        self.lease = "held"

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def health(self) -> Any:
        return SimpleNamespace(lease=self.lease)

    def run_many(self, workloads: Any, *, retry: Any, priority: Any, group: Any) -> Any:
        self.retry = retry
        self.launched += [(each, priority(each), group(each)) for each in workloads]
        made = [Handle(each.key) for each in workloads]
        self.handles += made
        return LaunchBatch(made, ())

    def poll_events(self) -> list[Any]:
        events, self.events = self.events, []
        return events

    def acknowledge(self, events: Any) -> None: ...

    def adopt(self, *, owners: Any, which: Any) -> list[Handle]:
        del owners, which
        adopted, self.adoptable = self.adoptable, []
        return adopted


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The executor's module, with a runner that is a stand-in and a database that has every task queued."""
    with executor_module() as imported:
        monkeypatch.setattr(imported, "PodRunner", Runner)
        adopting = sys.modules["podrunner.integrations.airflow.adopting"]
        monkeypatch.setattr(adopting, "alive_schedulers", lambda _: {7})
        monkeypatch.setattr(adopting, "dispatches_of_others", lambda _: set())
        queued = SimpleNamespace(state="queued", try_number=2, external_executor_id=None, queued_by_job_id=7)
        for place in (imported, adopting):
            monkeypatch.setattr(place, "task_rows", lambda keys: {key.primary: queued for key in keys})
        yield imported


@pytest.fixture
def executor(module: Any) -> Any:
    made = module.PodRunnerExecutor()
    made.start()
    return made


def runner_of(executor: Any) -> Runner:
    runner: Runner = executor._session.runner
    return runner


def callback() -> ExecuteCallback:
    return ExecuteCallback(key=CallbackKey(ID))


def connection_test() -> TestOfConnection:
    return TestOfConnection(key=ConnectionTestKey(ID))


def task(**fields: Any) -> ExecuteTask:
    said = {"id": ID, "dag_id": "etl", "task_id": "load", "run_id": "r1", "try_number": 2, "map_index": -1}
    text = json.dumps(
        {"type": "ExecuteTask", "ti": said, "token": "t", "dag_rel_path": "e.py", "bundle_info": {}}
    )
    given = {"external_executor_id": "d1", "executor_config": None, "queue": "default", "priority_weight": 3}
    key = TaskInstanceKey("etl", "load", "r1", 2)
    return ExecuteTask(SimpleNamespace(key=key, dag_id="etl", try_number=2, **{**given, **fields}), text)


def event(handle: Handle, *, status: str = "Running", outcome: Outcome | None = None) -> Any:
    kind = EventKind.STATUS_CHANGED if outcome is None else EventKind.FINISHED
    return SimpleNamespace(
        kind=kind, key=handle.key, uid="uid", status=status, outcome=outcome, will_retry=False
    )


def test_an_executor_that_only_reads_logs_opens_nothing(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server's: constructed and never started."""
    read: list[Any] = []

    def unread(config: Any, pods: Any, **_: Any) -> Any:
        read.append((config.owner, pods[0].key))
        raise LogError("no such pod")

    monkeypatch.setattr(shown_log, "__kwdefaults__", {"read": unread})
    threads = set(threading.enumerate())
    executor = module.PodRunnerExecutor()
    place = {"dag_id": "etl", "task_id": "load", "run_id": "r1", "map_index": -1}
    ti = SimpleNamespace(**place, external_executor_id="d1", executor_config=None)
    assert executor.get_task_log(ti, 2) == (["Reading the log of the pod failed: no such pod"], [""])
    assert executor._session is None
    assert set(threading.enumerate()) - threads == set()  # an earlier test's may end meanwhile
    assert [(owner, key.parts["dispatch"], key.attempt) for owner, key in read] == [
        ("airflow-api-server", "d1", 2)
    ]


def test_callbacks_and_connection_tests_go_before_all_tasks(executor: Any) -> None:
    """As Airflow takes them from its queues."""
    executor._process_workloads([task(priority_weight=1_000_000), callback(), connection_test()])
    (_, of_task, group), *others = runner_of(executor).launched
    assert (of_task, group) == (1_000_000, "etl")
    assert all(priority > of_task for _, priority, _ in others)
    assert executor.running == {task().key, CallbackKey(ID), ConnectionTestKey(ID)}


def test_a_callback_is_reported_as_running_and_then_by_its_end(executor: Any) -> None:
    executor._process_workloads([callback()])
    (handle,) = runner_of(executor).handles
    runner_of(executor).events = [event(handle, status="Pending"), event(handle)]
    executor.sync()
    assert executor.event_buffer == {CallbackKey(ID): ("running", None)}
    runner_of(executor).events = [event(handle, status="Completed", outcome=Outcome(succeeded=True))]
    executor.sync()
    assert executor.event_buffer == {CallbackKey(ID): ("success", None)}
    assert executor.running == set()


def test_a_callbacks_failure_is_reported_with_its_cause(executor: Any) -> None:
    executor._process_workloads([callback()])
    (handle,) = runner_of(executor).handles
    runner_of(executor).events = [event(handle), event(handle, outcome=Outcome(succeeded=False))]
    executor.sync()
    assert executor.event_buffer == {CallbackKey(ID): ("failed", "container base exited with 1")}


def test_a_task_is_never_reported_as_running(executor: Any) -> None:
    """Its worker says so; and what the executor adds would replace the dispatch's id."""
    executor._process_workloads([task()])
    runner_of(executor).events = [event(runner_of(executor).handles[0])]
    executor.sync()
    assert executor.event_buffer == {}


@pytest.mark.parametrize("item", [callback(), connection_test()], ids=["callback", "connection test"])
def test_the_end_of_an_adopted_pod_is_reported(module: Any, executor: Any, item: Any) -> None:
    """After a scheduler's death; Airflow dispatches neither again."""
    made = module.other_workload_of(item, dispatch="d1")
    adopted = Handle(made.key)
    runner_of(executor).adoptable = [adopted, Handle(Workload(key={"of": "another program"}).key)]
    executor.sync()
    assert executor._opened()[1].wait(30)
    executor.sync()
    assert executor.running == {item.key}
    runner_of(executor).events = [event(adopted, outcome=Outcome(succeeded=True))]
    executor.sync()
    assert executor.event_buffer == {item.key: ("success", None)}


def lose_runner(executor: Any, *found: Handle) -> None:
    """Let the runner lose its Lease, and the one that is opened then find pods."""
    runner_of(executor).lease = "the cluster does not answer"
    executor.sync()
    find(executor, *found)


def find(executor: Any, *found: Handle) -> None:
    """Let a runner that is being opened find pods."""
    opened = executor._opened()[0]._opening.result(30)
    opened.adoptable = list(found)
    executor.sync()
    assert executor._opened()[1].wait(30)
    executor.sync()


def test_a_callback_that_had_no_pod_when_the_runner_was_lost_is_launched_again(executor: Any) -> None:
    """Airflow dispatches it never again: it would be queued for good."""
    executor._process_workloads([callback()])
    (handle,) = runner_of(executor).handles
    runner_of(executor).events = [SimpleNamespace(**{**vars(event(handle, status="")), "uid": ""})]
    executor.sync()
    lose_runner(executor)
    assert list(executor.queued_callbacks) == [CallbackKey(ID)]
    assert executor.running == set()
    executor._process_workloads(list(executor.queued_callbacks.values()))
    (again,) = runner_of(executor).handles
    assert (again.key, executor.running) == (handle.key, {CallbackKey(ID)})
    executor.sync()
    assert (executor.queued_callbacks, executor.event_buffer) == ({}, {})


def test_a_callback_whose_pod_is_found_is_not_launched_again(executor: Any) -> None:
    """Nor one whose pod was there: it may have ended at another scheduler."""
    executor._process_workloads([callback()])
    (handle,) = runner_of(executor).handles
    lose_runner(executor, Handle(handle.key))
    assert (executor.queued_callbacks, executor.running) == ({}, {CallbackKey(ID)})
    runner_of(executor).events = [event(handle)]
    executor.sync()
    lose_runner(executor)
    assert executor.queued_callbacks == {}


def test_a_callback_that_had_a_pod_is_not_launched_again(executor: Any) -> None:
    executor._process_workloads([callback()])
    runner_of(executor).events = [event(runner_of(executor).handles[0], status="Pending")]
    executor.sync()
    lose_runner(executor)
    assert executor.queued_callbacks == {}


def test_a_callback_whose_pod_is_another_runners_is_not_launched_again(executor: Any) -> None:
    """Else it would be launched, and lost, in each heartbeat."""
    executor._process_workloads([callback()])
    (handle,) = runner_of(executor).handles
    lost = SimpleNamespace(**{**vars(event(handle, status="")), "kind": EventKind.LOST, "uid": ""})
    runner_of(executor).events = [lost]
    for _ in range(3):
        executor.sync()
        assert executor._opened()[1].wait(30)
    assert (executor.queued_callbacks, executor.running) == ({}, set())


def test_a_connection_test_that_airflow_has_ended_is_not_launched_again(executor: Any) -> None:
    executor._process_workloads([connection_test()])
    runner_of(executor).lease = "lost"
    executor.sync()
    executor.fail_connection_test(ConnectionTestKey(ID))
    find(executor)
    assert executor.queued_callbacks == {}


def test_a_connection_test_that_takes_too_long_for_airflow_leaves_no_pod(executor: Any) -> None:
    executor._process_workloads([connection_test()])
    executor.fail_connection_test(ConnectionTestKey(ID))
    (handle,) = runner_of(executor).handles
    assert (handle.cancelled, executor.running) == ([False], set())
    runner_of(executor).events = [event(handle, outcome=Outcome(succeeded=False))]
    executor.sync()
    assert executor.event_buffer == {}, "Airflow has ended it itself"


def test_settings_of_airflow_1_fail_their_task_alone(executor: Any) -> None:
    old = task(executor_config={"KubernetesExecutor": {"image": "i"}})
    executor._process_workloads([old, callback()])
    assert [workload.key.parts["kind"] for workload, _, _ in runner_of(executor).launched] == [
        "ExecuteCallback"
    ]
    ((key, (state, cause)),) = executor.event_buffer.items()
    assert (key, state) == (old.key, "failed")
    assert "pod_override" in cause
    (row,) = executor._task_event_logs
    assert (row.event, row.task_instance, row.extra) == ("pod failed", old.key, cause)


def test_each_row_of_the_event_log_is_held_until_the_scheduler_has_stored_it(executor: Any) -> None:
    """Airflow hands a generator to SQLAlchemy, which holds rows by weak references; it does so after each heartbeat."""

    def heartbeat(item: ExecuteTask | None = None) -> None:
        executor._process_workloads([] if item is None else [item])
        executor.sync()
        stored.extend(
            weakref.ref(executor._task_event_logs.popleft()) for _ in range(len(executor._task_event_logs))
        )

    stored: list[Any] = []
    heartbeat(task(executor_config={"KubernetesExecutor": {"image": "i"}}))
    assert [row() is not None for row in stored] == [True]
    heartbeat()
    heartbeat()
    gc.collect()
    assert [row() for row in stored] == [None]


def test_a_queues_coordinator_shapes_the_pod(
    module: Any, executor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"worker_container_repository": "java", "worker_container_tag": "11"}
    monkeypatch.setattr(module, "coordinator_extra", lambda queue: extra if queue == "java" else None)
    executor._process_workloads([task(queue="java"), task(external_executor_id="d2")])
    assert [workload.image for workload, _, _ in runner_of(executor).launched] == ["java:11", None]


def test_the_users_hook_is_the_runners(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pod_hook_of", lambda settings: (settings, "hook"))
    executor = module.PodRunnerExecutor()
    executor.start()
    assert runner_of(executor).options["pod_hook"] == (module.airflow_settings, "hook")


def test_a_team_has_its_own_parallelism(module: Any) -> None:
    executor = module.PodRunnerExecutor(team_name="red")
    assert executor.parallelism == executor.conf.getint("core", "parallelism")


def test_it_says_that_it_works_in_a_scheduler_only(module: Any) -> None:
    """``airflow dags test --use-executor`` starts executors without one."""
    executor = module.PodRunnerExecutor(job_id=None)
    with pytest.raises(UsageError, match=r"job_id is None.*without --use-executor"):
        executor.start()
    executor.end()


def test_airflow_alone_decides_about_another_try(executor: Any) -> None:
    assert runner_of(executor).config.run_retry.attempts == 1


def test_the_providers_commands_are_airflows_if_it_is_installed(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.PodRunnerExecutor.get_cli_commands() == []
    path = "airflow.providers.cncf.kubernetes.cli.definition"
    parts = path.split(".")
    for length in range(2, len(parts) + 1):
        name = ".".join(parts[:length])
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    vars(sys.modules[path])["get_kubernetes_cli_commands"] = lambda: ("kubernetes",)
    assert module.PodRunnerExecutor.get_cli_commands() == ["kubernetes"]


def test_what_a_database_or_a_log_cannot_store_is_not_handed_to_it(executor: Any, caplog: Any) -> None:
    """PostgreSQL refuses NUL, and UTF-8 half of a pair: the scheduler would end at each start, for the pod is kept."""
    executor._process_workloads([task()])
    (handle,) = runner_of(executor).handles
    ended = Outcome(succeeded=False, reason="said: \x00 \udcff", log_tail=("binary \x00 \udcff",))
    runner_of(executor).events = [event(handle, outcome=ended)]
    executor.sync()
    ((_, (_, info)),) = executor.event_buffer.items()
    (row,) = executor._task_event_logs
    for text in (info, row.extra, *caplog.messages):
        assert "\x00" not in text
        text.encode()
