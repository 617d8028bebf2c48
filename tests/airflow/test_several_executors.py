"""Several executors in one Airflow: by alias and by class, one of a team, and tokens that stand in no pod.

It has an Airflow of its own: ``[core] executor`` is another one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from installation import HERE, Installation
from kubernetes import client as k8s
from kubernetes import config as k8s_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    import podrunner

_EXECUTOR = "podrunner.integrations.airflow.PodRunnerExecutor"
_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


@pytest.fixture(scope="module")
def several(
    cluster: podrunner.LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    bundles = [
        {"name": "dags-folder", "classpath": _BUNDLE, "kwargs": {}},
        {
            "name": "red",
            "classpath": _BUNDLE,
            "kwargs": {"path": str(HERE / "dags_of_red")},
            "team_name": "red",
        },
    ]
    installed = Installation(
        tmp_path_factory.mktemp("several"), executor=f"LocalExecutor,pods:{_EXECUTOR};red={_EXECUTOR}"
    )
    installed.settings |= {
        "AIRFLOW__CORE__PARALLELISM": "4",  # LocalExecutor starts so many processes
        "AIRFLOW__CORE__MULTI_TEAM": "True",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }
    workers = {
        name: value
        for name, value in installed.environ.items()
        if name.startswith("AIRFLOW") and not any(word in name for word in ("SECRET", "SQL_ALCHEMY"))
    }
    for team, own in {"": {}, "RED___": {"TEAM": "red"}}.items():
        installed.settings |= {
            f"AIRFLOW__{team}PODRUNNER__CLUSTER": "kubeconfig",
            f"AIRFLOW__{team}PODRUNNER__KUBECONFIG": str(cluster.kubeconfig),
            f"AIRFLOW__{team}PODRUNNER__IMAGE": "airflow",
            f"AIRFLOW__{team}PODRUNNER__AIRFLOW__TASK_WORKLOAD_IN_SECRET": "True",
            f"AIRFLOW__{team}PODRUNNER__ENV": json.dumps({**workers, **own}),
        }
    installed.migrate()
    installed.command("teams", "create", "red")
    installed.start("api-server", "scheduler", "dag-processor")
    try:
        installed.wait_ready("several", "of_red")
        yield installed
    finally:
        installed.stop()


@pytest.fixture
def api(cluster: podrunner.LocalCluster) -> Iterator[k8s.CoreV1Api]:
    with k8s_config.new_client_from_config(str(cluster.kubeconfig)) as connection:
        yield k8s.CoreV1Api(connection)


def test_tasks_name_their_executor_and_no_pod_holds_a_token(
    several: Installation, api: k8s.CoreV1Api
) -> None:
    run = several.trigger("several")
    several.wait_states("several", run, {"by_alias": {"running"}})
    pods = api.list_namespaced_pod("default", label_selector="dag_id=several,task_id=by_alias").items
    (pod,) = pods
    said = json.dumps(api.api_client.sanitize_for_serialization(pod))
    secret = api.read_namespaced_secret(f"{pod.metadata.name}-credentials", "default")
    (several.home / f"enough-{run}").touch()
    assert several.wait_run("several", run) == "success"
    assert '"token"' not in said.replace("\\", "")
    assert "$(PODRUNNER_TASK_WORKLOAD)" in said
    assert list(secret.data) == ["PODRUNNER_TASK_WORKLOAD"]
    hosts = {ti["task_id"]: ti["hostname"] for ti in several.task_instances("several", run)}
    assert {name: host.startswith("several-") for name, host in hosts.items()} == {
        "by_default": False,
        "by_alias": True,
        "by_class": True,
    }


def test_a_team_has_an_executor_with_settings_of_its_own(several: Installation) -> None:
    run = several.trigger("of_red")
    assert several.wait_run("of_red", run) == "success"
    (ti,) = several.task_instances("of_red", run)
    assert ti["hostname"].startswith("of-red-who-")
    assert "the team is red" in several.log("of_red", run, ti, 1)
