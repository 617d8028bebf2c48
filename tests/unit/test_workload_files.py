"""Workloads and templates from files."""

import json

import pytest
from podrunner.errors import SpecError
from podrunner.workload import Workload, read_pod_template


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_a_json_file_is_a_workload(tmp_path):
    path = written(
        tmp_path, "workload.json", json.dumps({"key": {"a": "b"}, "command": ["date"], "env": {"X": "1"}})
    )
    assert Workload.from_file(path) == Workload(key={"a": "b"}, command=["date"], env={"X": "1"})


def test_a_yaml_file_is_a_workload(tmp_path):
    path = written(tmp_path, "workload.yaml", "key: {parts: {a: b}, attempt: 2}\ncommand: [date]\n")
    assert Workload.from_file(str(path)).key.attempt == 2


def test_a_file_with_a_dag_id_is_an_airflow_task(tmp_path):
    document = {"dag_id": "d", "task_id": "t", "execution_date": "2019-08-15T00:00:00+00:00", "try_number": 3}
    path = written(tmp_path, "workload.json", json.dumps(document))
    assert Workload.from_file(path) == Workload.airflow(**document)


def test_dates_in_yaml_are_text(tmp_path):
    path = written(
        tmp_path, "workload.yaml", "dag_id: d\ntask_id: t\nexecution_date: 2019-08-15T00:00:00+00:00\n"
    )
    assert Workload.from_file(path).key.parts["execution_date"] == "2019-08-15T00:00:00+00:00"


def test_an_unknown_argument_of_a_task_gets_a_suggestion(tmp_path):
    path = written(tmp_path, "w.json", json.dumps({"dag_id": "d", "task": "t"}))
    with pytest.raises(SpecError, match="did you mean 'task_id'") as caught:
        Workload.from_file(path)
    assert caught.value.field == f"{path}: Workload.airflow.task"


def test_a_template_beside_the_file_is_read(tmp_path):
    written(tmp_path, "pod.yaml", "kind: Pod\nspec: {hostname: h}\n")
    path = written(tmp_path, "w.json", json.dumps({"key": {"a": "b"}, "pod_template": "pod.yaml"}))
    assert Workload.from_file(path).pod_template == {"kind": "Pod", "spec": {"hostname": "h"}}


def test_a_template_path_is_read_when_the_workload_is_made(tmp_path):
    path = written(tmp_path, "pod.yaml", "metadata: {annotations: {on: 2020-01-01}}\n")
    workload = Workload(key={"a": "b"}, pod_template=path)
    path.unlink()
    assert "2020-01-01" in repr(workload.pod_template)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("w.json", "{", "is malformed"),
        ("w.yaml", "a: [", "is malformed"),
        ("w.yaml", "a: !!python/object:os.system {}", "is malformed"),
        ("w.yaml", "[" * 5_000, "is malformed: it is nested too deeply"),
        ("w.json", "[" * 100_000, "is malformed: it is nested too deeply"),
        ("w.yaml", "- a", "must hold one object"),
        ("w.yaml", "", "must hold one object"),
    ],
)
def test_a_malformed_file_is_named(tmp_path, name, text, problem):
    path = written(tmp_path, name, text)
    with pytest.raises(SpecError, match=problem) as caught:
        Workload.from_file(path)
    assert caught.value.field == str(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match="No such file") as caught:
        Workload.from_file(tmp_path / "none.json")
    assert caught.value.field == str(tmp_path / "none.json")


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "w.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="cannot be read"):
        Workload.from_file(path)


def test_a_template_of_another_kind_is_refused(tmp_path):
    path = written(tmp_path, "job.yaml", "kind: Job\n")
    with pytest.raises(SpecError, match="kind Pod"):
        read_pod_template(path)
