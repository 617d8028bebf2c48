"""Pods equal those that Airflow 1.10.4's own code built, except for Airflow's known defects."""

import base64
import json
import re
from pathlib import Path

import pytest
from podrunner.builder import PodBuilder, build_plan
from podrunner.config import (
    AirflowSettings,
    DagsFromClaim,
    DagsFromGit,
    DagsFromHostPath,
    DagsInImage,
    LogsOnClaim,
    LogsOnHostPath,
    RunnerConfig,
    load_file,
)
from podrunner.workload import Workload

GOLDEN = Path(__file__).parents[2] / "golden"
EXAMPLE = Path(__file__).parents[3] / "examples" / "airflow.cfg"
UUID = "cf4a56d2-8101-4217-b027-2af6216feb48"
TASK = {
    "dag_id": "sample_k8s",
    "task_id": "test-task001",
    "execution_date": "2019-08-15T01:16:36.627731+00:00",
    "dag_file": "/root/airflow/dags/sample_k8s.py",
}
NOT_ON_ONE_NODE = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {
                    "matchExpressions": [
                        {
                            "key": "kubernetes.io/hostname",
                            "operator": "NotIn",
                            "values": ["4e5e6a99-e28a-450b-bba9-e0124853de9b"],
                        }
                    ]
                }
            ]
        }
    }
}


def config(*, airflow, **settings):
    worker = AirflowSettings(**{"home": "/root/airflow", "worker_uuid": UUID, **airflow})
    return RunnerConfig(image="airflow:latest", image_pull_policy="IfNotPresent", airflow=worker, **settings)


CONNECTION = "postgresql://u:p@h/db"
CONFIGS = {
    "airflow_cfg_pvc": config(
        airflow={
            "configmap": "airflow-configmap",
            "sql_alchemy_conn": CONNECTION,
            "dags": DagsFromClaim(claim="airflow-dags"),
            "logs": LogsOnClaim(claim="airflow-logs"),
        },
        secret_env={"SQL_ALCHEMY_CONN": "airflow-secrets=sql_alchemy_conn"},
        affinity=NOT_ON_ONE_NODE,
        tolerations=[
            {"key": "dedicated", "operator": "Equal", "value": "airflow", "effect": "NoSchedule"},
            {"key": "prod", "operator": "Exists"},
        ],
    ),
    "dags_in_image": config(airflow={"sql_alchemy_conn": CONNECTION, "dags": DagsInImage()}),
    "hostpath": config(
        airflow={
            "sql_alchemy_conn": CONNECTION,
            "dags": DagsFromHostPath(path="/airflow-dags/", subpath="a/b"),
            "logs": LogsOnHostPath(path="/airflow-logs/", subpath="c"),
        }
    ),
    "git_sync_https": config(
        airflow={
            "sql_alchemy_conn": CONNECTION,
            "dags": DagsFromGit(
                repo="https://x/y.git",
                subpath="dags",
                mount_point="/root/airflow/dags",
                username="u",
                password="p",
                run_as_user=65533,
            ),
            "logs": LogsOnClaim(claim="airflow-logs"),
        }
    ),
}
ENV_ORDER = (
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW_HOME",
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__SQL_ALCHEMY_CONN",
)


def normalized(pod):
    """Return a pod without empty fields, the name's digits, and the order among Airflow's own variables."""
    pod = without_empty(pod)
    pod["metadata"]["name"] = re.sub("[0-9a-f]{32}$", "", pod["metadata"]["name"])
    for container in pod["spec"]["containers"]:
        container["env"] = sorted(container["env"], key=env_rank)
    return pod


def env_rank(variable):
    return ENV_ORDER.index(variable["name"]) if variable["name"] in ENV_ORDER else len(ENV_ORDER)


def without_empty(value):
    if isinstance(value, dict):
        kept = {name: without_empty(member) for name, member in value.items()}
        # An emptyDir says something by being empty.
        return {name: member for name, member in kept.items() if member not in ({}, []) or name == "emptyDir"}
    return [without_empty(member) for member in value] if isinstance(value, list) else value


def in_plain_text(plan):
    """Return the pod with its credentials in plain text, as the container sees them."""
    pod = json.loads(json.dumps(plan.manifest))
    for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]:
        container["env"] = [resolved(variable, plan.secret) for variable in container["env"]]
    return pod


def resolved(variable, secret):
    reference = variable.get("valueFrom", {}).get("secretKeyRef", {})
    if secret is None or reference.get("name") != secret["metadata"]["name"]:
        return variable
    return {"name": variable["name"], "value": base64.b64decode(secret["data"][reference["key"]]).decode()}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_pod_is_airflows(name):
    plan = build_plan(CONFIGS[name], Workload.airflow(**TASK))
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    assert normalized(in_plain_text(plan)) == normalized(golden)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_credential_stands_in_the_pod(name):
    """The original put connection string and git password into the pod in plain text."""
    plan = build_plan(CONFIGS[name], Workload.airflow(**TASK))
    assert CONNECTION not in json.dumps(plan.manifest)
    assert '"p"' not in json.dumps(plan.manifest)


def test_an_owner_is_the_worker_uuid_where_none_is_set():
    settings = CONFIGS["dags_in_image"]
    anonymous = settings.model_copy(
        update={"airflow": settings.airflow.model_copy(update={"worker_uuid": None})}
    )
    label = PodBuilder(anonymous, owner="a b").build(Workload.airflow(**TASK)).manifest["metadata"]["labels"]
    assert label["airflow-worker"] == "ab-0cc9cd4dd"
    named = PodBuilder(settings, owner="other").build(Workload.airflow(**TASK)).manifest["metadata"]["labels"]
    assert named["airflow-worker"] == UUID


CFG = """
[core]
airflow_home = /root/airflow
dags_folder = /root/airflow/dags
base_log_folder = /root/airflow/logs
executor = KubernetesExecutor
sql_alchemy_conn = postgresql://u:p@h/db
[kubernetes]
worker_container_repository = airflow
worker_container_tag = latest
"""
CFGS = {
    "dags_in_image": "dags_in_image = True",
    "hostpath": """
dags_volume_host = /airflow-dags/
dags_volume_subpath = a/b
logs_volume_host = /airflow-logs/
logs_volume_subpath = c
""",
    "git_sync_https": """
git_repo = https://x/y.git
git_branch = master
git_subpath = dags
git_user = u
git_password = p
git_dags_folder_mount_point = /root/airflow/dags
logs_volume_claim = airflow-logs
""",
}


@pytest.mark.parametrize("name", CFGS)
def test_an_airflow_cfg_gives_airflows_pod(name, tmp_path):
    path = tmp_path / "airflow.cfg"
    path.write_text(CFG + CFGS[name])
    settings = load_file(path, environ={}).config
    plan = build_plan(settings, Workload.airflow(**TASK, worker_uuid=UUID))
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    assert normalized(in_plain_text(plan)) == normalized(golden)


def test_the_example_gives_airflows_pod():
    settings = load_file(EXAMPLE, environ={}).config
    plan = build_plan(settings, Workload.airflow(**TASK, worker_uuid=UUID))
    golden = json.loads((GOLDEN / "airflow_cfg_pvc.json").read_text())
    assert normalized(in_plain_text(plan)) == normalized(golden)
    assert plan.namespace == "airflow"


def test_the_uuid_may_come_with_the_task():
    settings = CONFIGS["dags_in_image"]
    anonymous = settings.model_copy(
        update={"airflow": settings.airflow.model_copy(update={"worker_uuid": None})}
    )
    plan = build_plan(anonymous, Workload.airflow(**TASK, worker_uuid=UUID))
    assert plan.manifest == build_plan(settings, Workload.airflow(**TASK)).manifest
