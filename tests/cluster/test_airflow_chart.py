"""A worker's pod of Airflow's chart on a real node: its users, mounts and init containers are those of the template."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from podrunner import AsyncPodRunner, RunnerConfig, Workload

pytestmark = pytest.mark.anyio

CHART = Path(__file__).parents[2] / "examples" / "airflow-chart"
WORKER = """
echo "user $(id -u)"
echo "configuration $(cat /opt/airflow/airflow.cfg)"
echo "dags $(cat /opt/airflow/dags/orders.py)"
touch /opt/airflow/dags/other.py 2>/dev/null || echo "dags are read-only"
echo done > /opt/airflow/logs/attempt=1.log && echo "logs are written"
echo "$3 $4"
"""
"""Stands for the image's entry point: the chart's value ``workers.command``."""
EXPECTED = [
    "user 50000",
    "configuration [core]",
    "dags from git",
    "dags are read-only",
    "logs are written",
    "airflow.sdk.execution_time.execute_workload --json-string",
]


@pytest.fixture
def chart(tmp_path, admin, namespace, config):
    """The chart's files, without claims and with an init container in the place of git-sync."""
    template = yaml.safe_load((CHART / "pod_template.yaml").read_text())
    spec = template["spec"]
    (base,) = spec["containers"]
    base["command"] = ["sh", "-c", WORKER, "entrypoint"]
    base["volumeMounts"].append({"name": "dags", "mountPath": "/opt/airflow/dags", "readOnly": True})
    spec["volumes"].append({"name": "dags", "emptyDir": {}})
    spec["initContainers"] = [
        {
            "name": "git-sync-init",
            "image": config.image,
            "command": ["sh", "-c", "echo from git > /git/orders.py"],
            "securityContext": {"runAsUser": 65533},
            "volumeMounts": [{"name": "dags", "mountPath": "/git"}],
        }
    ]
    (tmp_path / "pod_template.yaml").write_text(yaml.safe_dump(template))
    (tmp_path / "airflow.cfg").write_text((CHART / "airflow.cfg").read_text())
    path = f"/api/v1/namespaces/{namespace}"
    objects = {
        "serviceaccounts": {"metadata": {"name": "live-worker"}},
        "configmaps": {"metadata": {"name": "live-config"}, "data": {"airflow.cfg": "[core]\n"}},
        "secrets": {"metadata": {"name": "live-fernet-key"}, "stringData": {"fernet-key": "hush"}},
    }
    for kind, body in objects.items():
        admin.post(f"{path}/{kind}", json=body).raise_for_status()
    return tmp_path


async def test_a_worker_of_the_chart_runs(chart, config):
    """F1: the template is the whole pod."""
    repository, _, tag = config.image.rpartition(":")
    section = "AIRFLOW__KUBERNETES_EXECUTOR__"
    environ = {
        f"{section}POD_TEMPLATE_FILE": str(chart / "pod_template.yaml"),
        f"{section}NAMESPACE": config.namespace,
        f"{section}WORKER_CONTAINER_REPOSITORY": repository,
        f"{section}WORKER_CONTAINER_TAG": tag,
        "PODRUNNER_CLUSTER": "kubeconfig",
        "PODRUNNER_KUBECONFIG": str(config.kubeconfig),
    }
    of_chart = RunnerConfig.from_airflow_cfg(chart / "airflow.cfg", environ=environ)
    async with AsyncPodRunner(of_chart) as runner:
        pod = await runner.launch(Workload.from_file(CHART / "task.json"))
        outcome = await pod.wait(240)
        async with pod.logs() as log:
            lines = [line async for line in log]
    assert outcome.succeeded, outcome
    assert lines == EXPECTED
