"""A user of Airflow's chart: its file and template are checked, shown, and run, from the command line and a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from podrunner import PodRunner, RunnerConfig, Workload

CHART = Path(__file__).parents[3] / "examples" / "airflow-chart"
WORKER = """
test "$AIRFLOW_IS_K8S_EXECUTOR_POD" = True || exit 3
test "$AIRFLOW__CORE__FERNET_KEY" = hush || exit 4
test "$REPORTS" = reports-live || exit 5
echo "$4 $(echo "$5" | cut -c1-9)"
"""
"""Stands for the image's entry point, which the test images do not have: the chart's value ``workers.command``."""


@pytest.fixture
def chart(tmp_path, cluster, namespace, config, environment):
    """The chart's files in a folder, with what they name in the cluster, and the variables that a user would export."""
    repository, _, tag = config.image.rpartition(":")
    template = yaml.safe_load((CHART / "pod_template.yaml").read_text())
    template["spec"]["containers"][0]["command"] = ["sh", "-c", WORKER, "entrypoint"]
    (tmp_path / "pod_template.yaml").write_text(yaml.safe_dump(template))
    for name in ("airflow.cfg", "task.json"):
        (tmp_path / name).write_text((CHART / name).read_text())
    with cluster.http() as http:
        for kind, body in objects():
            http.post(f"/api/v1/namespaces/{namespace}/{kind}", json=body).raise_for_status()
    del environment["PODRUNNER_IMAGE"], environment["PODRUNNER_NAMESPACE"]
    section = "AIRFLOW__KUBERNETES_EXECUTOR__"
    environment.update(
        {
            f"{section}POD_TEMPLATE_FILE": str(tmp_path / "pod_template.yaml"),
            f"{section}NAMESPACE": namespace,
            f"{section}WORKER_CONTAINER_REPOSITORY": repository,
            f"{section}WORKER_CONTAINER_TAG": tag,
        }
    )
    return tmp_path


def objects():
    yield "serviceaccounts", {"metadata": {"name": "live-worker"}}
    yield "configmaps", {"metadata": {"name": "live-config"}, "data": {"airflow.cfg": "[core]\n"}}
    yield "secrets", {"metadata": {"name": "live-fernet-key"}, "stringData": {"fernet-key": "hush"}}


def test_the_file_is_checked_and_the_pod_is_shown(podrunner, chart):
    """F1: what is shown is the chart's template, with the arguments and the identity."""
    checked = podrunner("config", "check", str(chart / "airflow.cfg"))
    assert checked.returncode == 0, checked.stderr
    files = ("--config", str(chart / "airflow.cfg"), "--workload", str(chart / "task.json"))
    pod = json.loads(podrunner("render", *files, "--output", "json").stdout)
    (base,) = pod["spec"]["containers"]
    assert base["args"][:3] == ["python", "-m", "airflow.sdk.execution_time.execute_workload"]
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["logs", "config"]
    assert pod["metadata"]["labels"]["tier"] == "airflow"


def test_the_task_runs(chart, environment):
    """F3: the worker gets the Task SDK's words, the variables of the template, and the values of its Secret."""
    airflow = {
        name: value for name, value in environment.items() if name.startswith(("AIRFLOW__", "PODRUNNER_"))
    }
    config = RunnerConfig.from_airflow_cfg(chart / "airflow.cfg", environ=airflow)
    with PodRunner(config) as runner:
        pod = runner.launch(Workload.from_file(chart / "task.json"))
        outcome = pod.wait(60)
        with pod.logs() as log:
            lines = list(log)
    assert outcome.succeeded, outcome
    assert lines == ['--json-string {"token":']


def test_a_command_of_ones_own_runs_in_the_charts_pod(podrunner, chart):
    """`podrunner run` with the chart's file: is the image there, do Secrets and volumes exist?"""
    words = ("run", "--config", str(chart / "airflow.cfg"), "--", "sh", "-c", 'echo "$REPORTS"; exit 7')
    run = podrunner(*words)
    assert (run.returncode, run.stdout) == (7, "reports-live\n"), run.stderr
