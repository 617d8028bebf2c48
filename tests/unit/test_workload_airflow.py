"""Airflow's tasks: command, labels, log path, and a task's own settings."""

from datetime import UTC, datetime

import pytest
from podrunner.errors import SpecError
from podrunner.workload import Resources, Workload, WorkloadKey

DATE = "2019-08-15T01:16:36.627731+00:00"
FILE = "/root/airflow/dags/sample_k8s.py"


def task(**arguments):
    return Workload.airflow(**{"dag_id": "sample_k8s", "task_id": "test-task001", **arguments})


def test_the_form_of_1_10():
    workload = task(execution_date=DATE, dag_file=FILE, worker_uuid="cf4a56d2")
    assert " ".join(workload.command) == (
        f"airflow run sample_k8s test-task001 {DATE} --local --pool default_pool -sd {FILE}"
    )
    assert workload.key == WorkloadKey(
        {"dag_id": "sample_k8s", "task_id": "test-task001", "execution_date": DATE}
    )
    assert workload.identity_labels == {
        "airflow-worker": "cf4a56d2",
        "dag_id": "sample_k8s",
        "task_id": "test-task001",
        "execution_date": "2019-08-15T01_16_36.627731_plus_00_00",
        "try_number": "1",
    }
    assert workload.identity_annotations == {}
    assert workload.log_path == f"sample_k8s/test-task001/{DATE}/1.log"


def test_the_form_of_2():
    workload = task(
        run_id="manual__2024-01-01", try_number=2, map_index=3, dag_file=FILE, airflow_version="2.10.4+x"
    )
    assert workload.command is None
    assert " ".join(workload.args) == (
        f"airflow tasks run sample_k8s test-task001 manual__2024-01-01 --local --subdir {FILE} --map-index 3"
    )
    assert workload.key.attempt == 2
    assert workload.key.parts["run_id"] == "manual__2024-01-01"
    assert workload.key.parts["map_index"] == "3"
    assert workload.identity_labels == {
        "dag_id": "sample_k8s",
        "task_id": "test-task001",
        "run_id": "manual__2024-01-01",
        "map_index": "3",
        "try_number": "2",
        "kubernetes_executor": "True",
        "airflow_version": "2.10.4-x",
    }
    assert workload.identity_annotations == {
        "dag_id": "sample_k8s",
        "task_id": "test-task001",
        "run_id": "manual__2024-01-01",
        "map_index": "3",
        "try_number": "2",
    }
    assert workload.log_path == (
        "dag_id=sample_k8s/run_id=manual__2024-01-01/task_id=test-task001/map_index=3/attempt=2.log"
    )
    assert workload.env == {"AIRFLOW_IS_K8S_EXECUTOR_POD": "True"}


def test_an_unmapped_task_has_no_map_index():
    workload = task(run_id="r")
    assert "--map-index" not in workload.args
    assert "map_index" not in {
        **workload.key.parts,
        **workload.identity_labels,
        **workload.identity_annotations,
    }
    assert workload.log_path == "dag_id=sample_k8s/run_id=r/task_id=test-task001/attempt=1.log"


def test_a_date_may_be_a_datetime():
    assert (
        task(execution_date=datetime(2020, 1, 2, tzinfo=UTC)).key.parts["execution_date"]
        == "2020-01-02T00:00:00+00:00"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"execution_date": DATE}, ("airflow", "run")),
        ({"run_id": "r"}, ("airflow", "tasks")),
        ({"run_id": "r", "execution_date": DATE}, ("airflow", "tasks")),
        ({"run_id": "r", "execution_date": DATE, "airflow_version": "1.10.4"}, ("airflow", "run")),
        ({"execution_date": DATE, "airflow_version": "2.0.2"}, ("airflow", "tasks")),
    ],
)
def test_date_run_and_version_decide_the_form(arguments, words):
    workload = task(**arguments)
    assert (workload.command or workload.args)[:2] == words


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "Workload.airflow"),
        ({"run_id": "r", "airflow_version": "1.10.4"}, "Workload.airflow.execution_date"),
    ],
)
def test_a_task_without_its_run_is_refused(arguments, field):
    with pytest.raises(SpecError) as caught:
        task(**arguments)
    assert caught.value.field == field


def test_further_words_are_appended():
    assert task(run_id="r", extra_args=["--force"]).args[-1] == "--force"
    assert task(execution_date=DATE, extra_args=["--force"]).command[-1] == "--force"


def test_ids_that_lead_upwards_stay_in_the_log_folder():
    """G10."""
    workload = task(dag_id="../../etc", run_id="a/b")
    assert workload.log_path == "dag_id=..%2F..%2Fetc/run_id=a%2Fb/task_id=test-task001/attempt=1.log"


CLASSIC = {
    "image": "i",
    "image_pull_policy": "Always",
    "request_cpu": "1",
    "limit_cpu": "2",
    "request_memory": "1Gi",
    "limit_memory": "2Gi",
    "limit_gpu": 1,
    "gcp_service_account_key": "key",
    "node_selectors": {"disk": "ssd"},
    "affinity": {"nodeAffinity": {}},
    "tolerations": [{"key": "prod"}],
    "annotations": {"a": "b"},
    "volumes": [{"name": "v", "emptyDir": {}}],
    "volume_mounts": [{"name": "v", "mountPath": "/v"}],
    "labels": {"team": "x"},
}


@pytest.mark.parametrize("executor_config", [CLASSIC, {"KubernetesExecutor": CLASSIC}])
def test_every_setting_of_1_10_has_its_effect(executor_config):
    workload = task(execution_date=DATE, executor_config=executor_config)
    assert workload.image == "i"
    assert workload.image_pull_policy == "Always"
    assert workload.resources == Resources(
        cpu_request="1", cpu_limit="2", memory_request="1Gi", memory_limit="2Gi", gpu=1
    )
    assert workload.identity_annotations == {"iam.cloud.google.com/service-account": "key"}
    assert workload.node_selector == {"disk": "ssd"}
    assert workload.affinity == {"nodeAffinity": {}}
    assert workload.tolerations == ({"key": "prod"},)
    assert workload.annotations == {"a": "b"}
    assert workload.volumes == ({"name": "v", "emptyDir": {}},)
    assert workload.volume_mounts == ({"name": "v", "mountPath": "/v"},)
    assert workload.labels == {"team": "x"}


def test_settings_that_are_empty_count_as_not_given():
    workload = task(execution_date=DATE, executor_config={"image": None, "limit_cpu": "", "tolerations": []})
    assert workload == task(execution_date=DATE)


def test_an_unknown_setting_gets_a_suggestion():
    with pytest.raises(SpecError) as caught:
        task(run_id="r", executor_config={"KubernetesExecutor": {"imge": "i"}})
    assert (
        str(caught.value)
        == "Workload.airflow.executor_config.imge: there is no such field; did you mean 'image'?"
    )


def test_a_pod_override_is_airflows_override():
    override = {"spec": {"containers": [{"name": "base", "image": "i"}]}}
    workload = task(run_id="r", executor_config={"pod_override": override})
    assert workload.pod_override == override
    assert workload.overrides == {}


class Model:
    """Like the models of the kubernetes client."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)
        self.attribute_map = {name: wire(name) for name in attributes}


def wire(name):
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def test_a_pod_override_may_be_a_model_of_the_kubernetes_client():
    container = Model(name="base", image_pull_policy="Always", env=[Model(name="A", value="1")], args=None)
    pod = Model(
        metadata=Model(creation_timestamp=datetime(2020, 1, 1, tzinfo=UTC)),
        spec=Model(containers=[container], node_selector={"a": "b"}),
    )
    assert task(run_id="r", executor_config={"pod_override": pod}).pod_override == {
        "metadata": {"creationTimestamp": "2020-01-01T00:00:00+00:00"},
        "spec": {
            "containers": [
                {"name": "base", "imagePullPolicy": "Always", "env": [{"name": "A", "value": "1"}]}
            ],
            "nodeSelector": {"a": "b"},
        },
    }


def test_a_pod_override_of_another_kind_is_refused():
    with pytest.raises(SpecError, match="must be a manifest or a V1Pod"):
        task(run_id="r", executor_config={"pod_override": "pod.yaml"})


def test_a_task_may_name_its_template(tmp_path):
    path = tmp_path / "pod.yaml"
    path.write_text("spec: {hostname: h}")
    assert task(run_id="r", executor_config={"pod_template_file": str(path)}).pod_template == {
        "spec": {"hostname": "h"}
    }


@pytest.mark.parametrize("run", [{"execution_date": "2019-08-15T01:16:36+00:00"}, {"run_id": "manual__1"}])
def test_a_later_try_of_a_task_is_the_task_with_that_number(run):
    first = Workload.airflow(dag_id="d", task_id="t", **run)
    second = Workload.airflow(dag_id="d", task_id="t", try_number=2, **run)
    assert first.of_try(first.key.next_attempt()) == second


def test_a_relaunch_of_a_task_is_the_same_try():
    first = Workload.airflow(dag_id="d", task_id="t", run_id="r")
    again = first.of_try(first.key.next_relaunch())
    assert again.log_path == first.log_path
    assert again.identity_labels == first.identity_labels
    assert again.key.relaunch == 1


def test_a_task_may_have_a_result():
    """In Python and in a file."""
    arguments = {"dag_id": "d", "task_id": "t", "run_id": "r", "result_path": "/airflow/xcom/return.json"}
    assert task(run_id="r", result_path="/airflow/xcom/return.json").result_path == arguments["result_path"]
    assert Workload.from_dict(arguments).result_path == arguments["result_path"]
    with pytest.raises(SpecError, match="result_path"):
        task(run_id="r", result_path="return.json")
