"""A task of Airflow 3: its workload for the Task SDK, which holds a token."""

from __future__ import annotations

import base64
import json
import pickle
from types import SimpleNamespace

import pytest
from podrunner.builder import PodBuilder, build_plan
from podrunner.builder.manifest_hash import manifest_hash
from podrunner.config import AirflowSettings, RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload

TOKEN = "eyJhbGciOiJIUzI1NiJ9.hunter2." + "x" * 2000
TI = {
    "id": "0195f0e7-2b2d-7b3e-9a55-5d2f1c1b7a10",
    "dag_id": "etl",
    "task_id": "load",
    "run_id": "manual__1",
    "try_number": 2,
    "map_index": 3,
}
DOCUMENT = {
    "token": TOKEN,
    "dag_rel_path": "etl.py",
    "bundle_info": {"name": "dags-folder", "version": None},
    "log_path": "dag_id=etl/attempt=2.log",
    "ti": TI,
    "type": "ExecuteTask",
}
TEXT = json.dumps(DOCUMENT, separators=(",", ":"))
CONFIG = RunnerConfig(image="i", airflow=AirflowSettings(version="3.0.2"))


class ExecuteTask:
    """Like Airflow's model: the JSON leaves the task's own settings out."""

    def __init__(self, executor_config=None):
        self.ti = SimpleNamespace(executor_config=executor_config)

    def model_dump_json(self):
        return TEXT


def document(**changes):
    return {**DOCUMENT, **changes}


@pytest.mark.parametrize("given", [TEXT, DOCUMENT, ExecuteTask()], ids=["text", "mapping", "model"])
def test_a_task_of_airflow_3_is_started_by_the_task_sdk(given):
    """F3: in the arguments, so that the image's entry point stays, with the JSON as Airflow writes it."""
    task = Workload.airflow(task_workload=given)
    container = build_plan(CONFIG, task).manifest["spec"]["containers"][0]
    assert container["args"] == [
        "python",
        "-m",
        "airflow.sdk.execution_time.execute_workload",
        "--json-string",
        TEXT,
    ]
    assert "command" not in container
    assert container["env"] == [{"name": "AIRFLOW_IS_K8S_EXECUTOR_POD", "value": "True"}]


def test_the_workload_says_which_task_it_is():
    """F3."""
    task = Workload.airflow(task_workload=TEXT, worker_uuid="7", airflow_version="3.1.0")
    assert task.key.parts == {"dag_id": "etl", "task_id": "load", "run_id": "manual__1", "map_index": "3"}
    assert task.key.attempt == 2
    assert task.log_path == "dag_id=etl/attempt=2.log"
    assert task.identity_labels == {
        "dag_id": "etl",
        "task_id": "load",
        "try_number": "2",
        "airflow-worker": "7",
        "kubernetes_executor": "True",
        "run_id": "manual__1",
        "map_index": "3",
        "airflow_version": "3.1.0",
    }
    assert task.identity_annotations == {
        "dag_id": "etl",
        "task_id": "load",
        "run_id": "manual__1",
        "map_index": "3",
        "try_number": "2",
    }


def test_what_is_given_beside_it_may_say_the_same():
    beside = {name: value for name, value in TI.items() if name != "id"}
    assert Workload.airflow(task_workload=TEXT, **beside) == Workload.airflow(task_workload=TEXT)


@pytest.mark.parametrize(
    ("name", "other"),
    [("dag_id", "other"), ("task_id", "other"), ("run_id", "other"), ("try_number", 1), ("map_index", -1)],
)
def test_what_is_given_beside_it_must_not_contradict_it(name, other):
    """F3."""
    with pytest.raises(SpecError, match="is another one in task_workload") as caught:
        Workload.airflow(task_workload=TEXT, **{name: other})
    assert caught.value.field == f"Workload.airflow.{name}"


def test_a_task_that_is_not_mapped_has_no_index():
    ti = {name: value for name, value in TI.items() if name != "map_index"}
    task = Workload.airflow(task_workload=document(ti=ti, log_path=None))
    assert "map_index" not in {*task.key.parts, *task.identity_labels}
    assert task.log_path == "dag_id=etl/run_id=manual__1/task_id=load/attempt=2.log"


def test_a_logical_date_has_airflow_3s_name():
    task = Workload.airflow(task_workload=TEXT, execution_date="2025-01-01T00:00:00+00:00")
    assert task.identity_labels["logical_date"] == "2025-01-01T00_00_00_plus_00_00"
    assert task.identity_annotations["logical_date"] == "2025-01-01T00:00:00+00:00"


def test_the_tasks_own_settings_come_with_airflows_model():
    override = {"spec": {"containers": [{"name": "base", "image": "own"}]}}
    given = ExecuteTask({"pod_override": override})
    assert Workload.airflow(task_workload=given).pod_override == override
    assert Workload.airflow(task_workload=given, executor_config={}).pod_override == {}


@pytest.mark.parametrize("version", ["3.0.2", "3.1.0rc1", "3"])
def test_a_version_of_airflow_3_needs_the_workload(version):
    """F3: 2.x' command does not start a task there; the error says what to pass."""
    with pytest.raises(SpecError, match="pass the ExecuteTask that Airflow hands to its executors") as caught:
        Workload.airflow(dag_id="d", task_id="t", run_id="r", airflow_version=version)
    assert caught.value.field == "Workload.airflow.task_workload"


@pytest.mark.parametrize("version", ["1.10.15", "2.9.2"])
def test_a_workload_is_not_for_another_version(version):
    """F3."""
    with pytest.raises(
        SpecError, match=rf"for Airflow 3, and airflow_version is another one \(value: '{version}'\)"
    ):
        Workload.airflow(task_workload=TEXT, airflow_version=version)


@pytest.mark.parametrize("version", ["main", "4.0.0", "1.9.0"])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(
        SpecError, match=r"no version of Airflow that podrunner knows; write one of 1\.10, 2 or 3"
    ):
        Workload.airflow(dag_id="d", task_id="t", run_id="r", airflow_version=version)


@pytest.mark.parametrize("missing", ["dag_id", "task_id"])
def test_a_task_must_be_named(missing):
    given = {"dag_id": "d", "task_id": "t", "run_id": "r"}
    with pytest.raises(SpecError, match="is missing") as caught:
        Workload.airflow(**{name: value for name, value in given.items() if name != missing})
    assert caught.value.field == f"Workload.airflow.{missing}"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (TEXT[:-1], "is not JSON: line 1"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not a JSON object"),
        (7, r"must be JSON text, a mapping or Airflow's ExecuteTask \(value: int\)"),
        ({"token": TOKEN}, "is no workload of a task: it has no 'ti'"),
        (document(type="ExecuteCallback"), r"is no workload of a task \(value: 'ExecuteCallback'\)"),
        (document(ti={**TI, "dag_id": None}), r"task_workload\.ti\.dag_id: needs text"),
        (document(ti={**TI, "run_id": ""}), r"task_workload\.ti\.run_id: needs text"),
        (document(ti={**TI, "try_number": True}), r"task_workload\.ti\.try_number: needs a whole number"),
        (document(ti={**TI, "try_number": 0}), r"try_number: needs a whole number from 1"),
        (document(ti={**TI, "map_index": -2}), r"map_index: needs a whole number from -1"),
        (document(extra={1, 2}), "holds something that is no JSON"),
    ],
)
def test_what_is_no_workload_is_refused_without_being_shown(given, says):
    """F3."""
    with pytest.raises(SpecError, match=says) as caught:
        Workload.airflow(task_workload=given)
    assert "hunter2" not in repr(caught.value) + str(caught.value)
    assert caught.value.__cause__ is None


def test_the_token_is_shown_nowhere():
    """F3: neither by the workload nor by what is made of it, nor when another argument is wrong."""
    task = Workload.airflow(task_workload=DOCUMENT)
    plan = PodBuilder(CONFIG).build(task)
    shown = [repr(task), str(task), repr(plan), task.model_dump_json(), repr(task.model_dump())]
    with pytest.raises(SpecError) as caught:
        Workload.airflow(task_workload=DOCUMENT, executor_config={"imge": "i"})
    with pytest.raises(SpecError) as wrong:
        Workload(key={"a": "b"}, task_workload=TEXT[1:])
    with pytest.raises(SpecError) as mismatched:
        build_plan(CONFIG.with_changes(airflow={"version": "2.9.2"}), task)
    texts = [*shown, repr(caught.value), repr(wrong.value), repr(mismatched.value)]
    assert [text for text in texts if "hunter2" in text] == []


def test_a_workload_may_be_a_field_of_any_workload():
    task = Workload(key={"a": "b"}, task_workload=TEXT, args=["--verbose"])
    template = {"spec": {"containers": [{"name": "base", "image": "i", "args": ["gone"]}]}}
    args = build_plan(RunnerConfig(pod_template=template), task).manifest["spec"]["containers"][0]["args"]
    assert args[3:] == ["--json-string", TEXT, "--verbose"]
    assert pickle.loads(pickle.dumps(task)) == task


def test_a_file_may_hold_it():
    """``workload.json`` of ``podrunner render``."""
    assert Workload.from_dict({"task_workload": DOCUMENT}) == Workload.airflow(task_workload=DOCUMENT)
    assert Workload.from_dict({"key": {"a": "b"}, "task_workload": TEXT}).key.parts == {"a": "b"}


def test_another_dispatch_of_a_try_is_the_same_work():
    """A new token does not make another workload of it; another code version does."""
    again = Workload.airflow(task_workload=document(token="other", sentry_integration="x"))
    assert manifest_hash(again) == manifest_hash(Workload.airflow(task_workload=DOCUMENT))
    bundle = {"name": "dags-folder", "version": "2"}
    assert manifest_hash(Workload.airflow(task_workload=document(bundle_info=bundle))) != manifest_hash(again)


def test_another_try_needs_another_workload():
    """F3: Airflow makes a new one, with a new token, for each try; a relaunch of the same try is possible."""
    task = Workload.airflow(task_workload=TEXT)
    assert task.of_try(task.key.next_relaunch()).task_workload == task.task_workload
    with pytest.raises(SpecError, match="Airflow 3 makes another for each try"):
        task.of_try(task.key.next_attempt())


def test_the_token_can_be_kept_out_of_the_pod():
    """Readers of pods need not be readers of Secrets: the kubelet puts the variable into the arguments."""
    config = CONFIG.with_changes(airflow={"version": "3.0.2", "task_workload_in_secret": True})
    task = Workload.airflow(task_workload=TEXT)
    plan = build_plan(config, task)
    container = plan.manifest["spec"]["containers"][0]
    assert container["args"][-1] == "$(PODRUNNER_TASK_WORKLOAD)"
    (variable,) = [each for each in container["env"] if each["name"] == "PODRUNNER_TASK_WORKLOAD"]
    assert plan.secret is not None
    reference = variable["valueFrom"]["secretKeyRef"]
    assert reference["name"] == plan.secret["metadata"]["name"]
    assert [base64.b64decode(value).decode() for value in plan.secret["data"].values()] == [TEXT]
    assert TOKEN not in json.dumps(plan.manifest)
    assert plan.manifest_hash == build_plan(CONFIG, task).manifest_hash
