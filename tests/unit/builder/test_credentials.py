"""Credentials are in the pod's own Secret, and nowhere else."""

import base64
import json

import pytest
from podrunner.builder import PodBuilder, build_plan
from podrunner.config import AirflowSettings, DagsFromGit, RunnerConfig
from podrunner.workload import Workload

CONNECTION = "postgresql://user:hunter2@db/airflow"
VARIABLE = "AIRFLOW__CORE__SQL_ALCHEMY_CONN"


def config(airflow, **settings):
    return RunnerConfig(
        image="i", airflow=AirflowSettings(sql_alchemy_conn=CONNECTION, **airflow), **settings
    )


def secrets(plan):
    data = plan.secret["data"] if plan.secret is not None else {}
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def test_the_connection_string_is_a_reference_to_the_pods_secret(workload, look):
    """C4."""
    plan = build_plan(config({}), workload)
    name = plan.secret["metadata"]["name"]
    assert name == f"{plan.name}-credentials"
    assert look.env(plan.manifest)[VARIABLE] == {"secretKeyRef": {"name": name, "key": VARIABLE}}
    assert secrets(plan) == {VARIABLE: CONNECTION}
    assert plan.secret["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "podrunner",
        "podrunner.io/pod": plan.name,
    }
    assert plan.secret["kind"] == "Secret"


def test_each_pod_has_a_secret_of_its_own(workload):
    builder = PodBuilder(config({}))
    one, other = builder.build(workload), builder.build(Workload(key={"a": "b"}, command=["date"]))
    assert one.secret["metadata"]["name"] != other.secret["metadata"]["name"]


def test_nothing_shows_a_credential(workload):
    plan = build_plan(config({}), workload)
    assert "hunter2" not in repr(plan) + str(plan) + json.dumps(plan.manifest)
    assert base64.b64encode(CONNECTION.encode()).decode() not in repr(plan)


@pytest.mark.parametrize(
    ("airflow", "settings"),
    [
        ({"configmap": "airflow-configmap"}, {}),
        ({}, {"secret_env": {VARIABLE: "airflow-secrets=conn"}}),
    ],
)
def test_a_connection_from_another_source_is_not_added(airflow, settings, workload):
    """The original's check for a connection in [kubernetes_secrets] never matched."""
    assert build_plan(config(airflow, **settings), workload).secret is None


def test_a_pod_without_credentials_has_no_secret(workload):
    assert build_plan(RunnerConfig(image="i"), workload).secret is None


def test_the_git_password_is_for_the_clone_only(workload, look):
    git = DagsFromGit(repo="https://x/y.git", mount_point="/dags", username="u", password="hunter2")
    plan = build_plan(config({"dags": git}), workload)
    assert secrets(plan) == {VARIABLE: CONNECTION, "git-sync-password": "hunter2"}
    assert "GIT_SYNC_PASSWORD" not in look.env(plan.manifest)
    (clone,) = plan.manifest["spec"]["initContainers"]
    reference = {"name": plan.secret["metadata"]["name"], "key": "git-sync-password"}
    assert {"name": "GIT_SYNC_PASSWORD", "valueFrom": {"secretKeyRef": reference}} in clone["env"]


def test_a_workload_adds_credentials(look):
    workload = Workload(key={"a": "b"}, credentials={"TOKEN": "hünter2"}, env={"TOKEN": "plain"})
    plan = build_plan(RunnerConfig(image="i"), workload)
    reference = {"name": plan.secret["metadata"]["name"], "key": "TOKEN"}
    assert look.env(plan.manifest) == {"TOKEN": {"secretKeyRef": reference}}
    assert secrets(plan) == {"TOKEN": "hünter2"}


def test_a_connection_set_by_the_workload_is_not_in_the_secret(look):
    plan = build_plan(config({}), Workload(key={"a": "b"}, secret_env={VARIABLE: ("mine", "conn")}))
    assert look.env(plan.manifest)[VARIABLE] == {"secretKeyRef": {"name": "mine", "key": "conn"}}
    assert plan.secret is None


def test_the_configuration_adds_credentials_too(workload, look):
    config = RunnerConfig(image="i", credentials={"TOKEN": "hunter2"}, secret_env={"B": "s=k"})
    plan = build_plan(config, workload)
    assert [*look.env(plan.manifest)] == ["B", "TOKEN"]
    assert look.env(plan.manifest)["TOKEN"]["secretKeyRef"]["name"] == plan.secret["metadata"]["name"]
    assert secrets(plan) == {"TOKEN": "hunter2"}


def test_a_workloads_plain_value_keeps_the_configurations_credential_out(look):
    config = RunnerConfig(image="i", credentials={"TOKEN": "hunter2"})
    plan = build_plan(config, Workload(key={"a": "b"}, env={"TOKEN": "mine"}))
    assert look.env(plan.manifest) == {"TOKEN": "mine"}
    assert plan.secret is None


def test_a_variable_whose_name_is_no_valid_key_gets_a_digest_as_key(look):
    plan = build_plan(RunnerConfig(image="i"), Workload(key={"a": "b"}, credentials={"my token!": "x"}))
    (key,) = plan.secret["data"]
    assert key.isalnum()
    assert look.env(plan.manifest)["my token!"]["secretKeyRef"]["key"] == key
