"""The workload: accepted values, and errors for others."""

import pytest
from podrunner.errors import SpecError
from podrunner.workload import Resources, Workload, WorkloadKey


def refused(**fields):
    with pytest.raises(SpecError) as caught:
        Workload(**{"key": {"a": "b"}, **fields})
    return caught.value


def test_key_and_command_are_enough():
    workload = Workload(key={"dag_id": "d", "task_id": "t"}, command=["date"])
    assert workload.key == WorkloadKey({"dag_id": "d", "task_id": "t"})
    assert workload.command == ("date",)
    assert workload.image is None


def test_without_a_command_the_image_runs_its_own():
    assert Workload(key={"a": "b"}).command is None


@pytest.mark.parametrize("command", [[], (), [""]])
def test_an_empty_command_is_refused(command):
    error = refused(command=command)
    assert error.field == "Workload.command"
    assert "must name a program" in error.problem


def test_a_command_in_one_string_is_refused_with_the_remedy():
    error = refused(command="date -u")
    assert error.field == "Workload.command"
    assert '["sh", "-c"' in error.problem


def test_an_unknown_field_gets_a_suggestion():
    error = refused(comand=["date"])
    assert str(error) == "Workload.comand: there is no such field; did you mean 'command'?"


def test_an_unknown_field_of_a_part_gets_a_suggestion_with_its_path():
    error = refused(resources={"cpu_reqest": "1"})
    assert str(error) == "Workload.resources.cpu_reqest: there is no such field; did you mean 'cpu_request'?"


def test_a_field_that_is_like_none_gets_no_suggestion():
    assert str(refused(zzz=1)) == "Workload.zzz: there is no such field"


def test_several_errors_are_counted():
    assert refused(env={"A": 1}, labels={"b": 2}).problem.endswith("(and 1 more)")


def test_a_missing_key_is_named():
    with pytest.raises(SpecError) as caught:
        Workload(command=["date"])
    assert caught.value.field == "Workload.key"
    assert caught.value.value is None


def test_long_values_are_shortened():
    value = refused(labels="x" * 500).value
    assert value is not None
    assert len(value) == 80


def test_a_workload_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Workload(key={"a": "b"}).image = "i"


@pytest.mark.parametrize("quantity", ["1", "500m", "1.5", ".5", "2.", "512Mi", "1G", "1e3", "12E", "100n"])
def test_quantities_are_kubernetes_quantities(quantity):
    assert Resources(memory_limit=quantity).memory_limit == quantity


def test_numbers_are_quantities_too():
    assert Resources(cpu_request=2, cpu_limit=2.5) == Resources(cpu_request="2", cpu_limit="2.5")


@pytest.mark.parametrize("quantity", ["", "1x", "-1", "1 Gi", "GB", "1mi", True, None, []])
def test_other_quantities_are_refused(quantity):
    with pytest.raises(SpecError):
        Resources(limits={"cpu": quantity})


def test_credentials_are_in_no_text():
    """Secret values are in no repr, no text, no error."""
    workload = Workload(key={"a": "b"}, credentials={"TOKEN": "hunter2"})
    assert "hunter2" not in repr(workload) + str(workload)
    assert "hunter2" not in str(refused(credentials={"TOKEN": ["hunter2"]}))
    assert "hunter2" not in str(refused(env={"TOKEN": ["hunter2"]}))


def test_the_log_path_comes_from_the_key_unless_it_is_given():
    assert Workload(key={"dag": "d", "task": "t"}).relative_log_path == "d/t/1.log"
    assert Workload(key={"a": "b"}, log_path="x/y.log").relative_log_path == "x/y.log"


@pytest.mark.parametrize("path", ["/x", "../x", "a/../b", "a//b", "", "a/", ".", "a/\0"])
def test_a_log_path_that_leads_out_of_the_folder_is_refused(path):
    """G10."""
    assert refused(log_path=path).field == "Workload.log_path"


def test_a_template_in_memory_is_accepted():
    assert Workload(key={"a": "b"}, pod_template={"spec": {}}).pod_template == {"spec": {}}
    assert refused(pod_template="x.yaml").field == "Workload.pod_template"


@pytest.mark.parametrize("field", ["env", "credentials"])
@pytest.mark.parametrize("name", ["", "A=B", "ü", "A\n"])
def test_a_variable_that_kubernetes_refuses_is_refused(field, name):
    assert "printable ASCII" in refused(**{field: {name: "x"}}).problem
