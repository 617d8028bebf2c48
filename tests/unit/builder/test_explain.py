"""The explanation of a pod names for each field the setting that set it."""

from podrunner.builder import build_pod, explain_pod
from podrunner.config import AirflowSettings, DagsFromClaim, LogsOnClaim, RunnerConfig
from podrunner.workload import Workload

CONFIG = RunnerConfig(
    image="config",
    env={"A": "1", "B": "1"},
    node_selector={"disk": "ssd"},
    pod_template={
        "spec": {
            "hostname": "h",
            "containers": [{"name": "base", "tty": True, "ports": [{"containerPort": 1}]}],
        }
    },
    airflow=AirflowSettings(
        home="/a",
        dags=DagsFromClaim(claim="c"),
        logs=LogsOnClaim(claim="l"),
        worker_uuid="w",
        sql_alchemy_conn="hunter2",
    ),
)
WORKLOAD = Workload(
    key={"a": "b"},
    command=["date"],
    image="workload",
    env={"B": "2"},
    overrides={"spec": {"containers": [{"name": "base", "stdin": True}]}},
    identity_labels={"dag_id": "d"},
)


def sources():
    return {row.path: row.source for row in explain_pod(CONFIG, WORKLOAD)}


def test_each_field_has_its_setting():
    found = sources()
    base = "spec.containers[base]"
    assert {path: found[path] for path in found if not path.endswith(".name")} == {
        "apiVersion": "podrunner",
        "kind": "podrunner",
        "metadata.labels.airflow-worker": "config.airflow.worker_uuid",
        "metadata.labels.dag_id": "workload.identity_labels",
        "spec.restartPolicy": "podrunner",
        "spec.hostname": "config.pod_template",
        "spec.nodeSelector.disk": "config.node_selector",
        f"{base}.tty": "config.pod_template",
        f"{base}.ports[1].containerPort": "config.pod_template",
        f"{base}.stdin": "workload.overrides",
        f"{base}.image": "workload.image",
        f"{base}.command[0]": "workload.command",
        f"{base}.env[A].value": "config.env",
        f"{base}.env[B].value": "workload.env",
        f"{base}.env[AIRFLOW__CORE__SQL_ALCHEMY_CONN].valueFrom.secretKeyRef.key": "config.airflow.sql_alchemy_conn",
        f"{base}.volumeMounts[/a/dags].mountPath": "config.airflow.dags",
        f"{base}.volumeMounts[/a/dags].readOnly": "config.airflow.dags",
        f"{base}.volumeMounts[/a/logs].mountPath": "config.airflow.logs",
        "spec.volumes[airflow-dags].persistentVolumeClaim.claimName": "config.airflow.dags",
        "spec.volumes[airflow-logs].persistentVolumeClaim.claimName": "config.airflow.logs",
    }
    assert found["metadata.name"] == "workload.key"


def test_a_worker_of_1_10_without_a_template_has_the_fields_of_airflow():
    config = RunnerConfig(image="i", airflow=AirflowSettings(base_log_folder="/l"))
    found = {row.path: row.source for row in explain_pod(config, Workload(key={"a": "b"}))}
    base = "spec.containers[base]"
    assert found[f"{base}.env[AIRFLOW__CORE__EXECUTOR].value"] == "config.airflow"
    assert found[f"{base}.volumeMounts[/l].mountPath"] == "config.airflow.base_log_folder"


AIRFLOW_2 = RunnerConfig(
    image="i",
    airflow=AirflowSettings(version="2.9.2"),
    pod_template={"spec": {"containers": [{"name": "worker", "env": [{"name": "A", "value": "1"}]}]}},
)


def test_the_parts_of_an_airflow_worker_have_their_sources():
    """F1: the template's container is the main one under whatever name, and the rest comes from the task."""
    override = {"spec": {"containers": [{"name": "base", "env": [{"name": "B", "value": "2"}], "tty": True}]}}
    task = Workload.airflow(dag_id="d", task_id="t", run_id="r", executor_config={"pod_override": override})
    found = {row.path: row.source for row in explain_pod(AIRFLOW_2, task)}
    base = "spec.containers[base]"
    assert found[f"{base}.env[A].value"] == "config.pod_template"
    assert found[f"{base}.env[AIRFLOW_IS_K8S_EXECUTOR_POD].value"] == "workload.env"
    assert found[f"{base}.env[B].value"] == "workload.pod_override"
    assert found[f"{base}.tty"] == "workload.pod_override"
    assert found[f"{base}.args[0]"] == "workload.args"
    assert found["metadata.labels.dag_id"] == "workload.identity_labels"
    assert found["metadata.labels.airflow_version"] == "config.airflow.version"


def test_a_restart_policy_is_the_templates_if_it_has_one():
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "base"}]}}
    policies = [
        (RunnerConfig(image="i"), {}, "podrunner"),
        (RunnerConfig(image="i", pod_template=template), {}, "config.pod_template"),
        (RunnerConfig(image="i", pod_template=template), {"pod_template": {}}, "podrunner"),
        (RunnerConfig(image="i"), {"pod_template": template}, "workload.pod_template"),
        (
            RunnerConfig(image="i"),
            {"overrides": {"spec": {"restartPolicy": "OnFailure"}}},
            "workload.overrides",
        ),
    ]
    for config, fields, source in policies:
        rows = explain_pod(config, Workload(key={"a": "b"}, **fields))
        assert [row.source for row in rows if row.path == "spec.restartPolicy"] == [source]


def test_explaining_shows_no_workload_of_a_task():
    ti = {"id": "1", "dag_id": "d", "task_id": "t", "run_id": "r", "try_number": 1}
    task = Workload.airflow(task_workload={"token": "hunter2", "ti": ti})
    rows = explain_pod(RunnerConfig(image="i", airflow=AirflowSettings(version="3.0.2")), task)
    assert {row.path: row.source for row in rows}["spec.containers[base].args[4]"] == "workload.task_workload"
    assert "hunter2" not in repr(rows)


def test_every_field_of_the_pod_is_explained_with_its_value():
    rows = explain_pod(CONFIG, WORKLOAD)
    name = build_pod(CONFIG, WORKLOAD)["metadata"]["name"]
    assert [row.value for row in rows if row.path == "metadata.name"] == [name]
    assert len({row.path for row in rows}) == len(rows)


def test_explaining_shows_no_credential():
    assert "hunter2" not in repr(explain_pod(CONFIG, WORKLOAD))


def test_a_setting_that_follows_from_another_is_named():
    rows = explain_pod(RunnerConfig(cluster="local"), Workload(key={"a": "b"}))
    assert [row.source for row in rows if row.path.endswith(".image")] == ["config.image"]


def test_the_finalizer_has_its_setting():
    config = RunnerConfig(
        image="i", outcome_finalizer=True, pod_template={"metadata": {"finalizers": ["example.com/mine"]}}
    )
    found = {row.path: (row.value, row.source) for row in explain_pod(config, Workload(key={"a": "b"}))}
    assert found["metadata.finalizers[0]"] == ("example.com/mine", "config.pod_template")
    assert found["metadata.finalizers[1]"] == ("podrunner.io/outcome", "config.outcome_finalizer")
