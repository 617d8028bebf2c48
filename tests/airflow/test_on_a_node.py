"""Airflow on a real Kubernetes: what kubectl shows of its pods, and what a kubelet's ends say in the event log.

Beside the node of ``tests/cluster/up.py`` only: ``nox -s airflow-node``. The executor has the alias of the provider's,
so that DAGs that name it need no change.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest
from installation import HERE, Installation

pytestmark = pytest.mark.skipif(
    "PODRUNNER_TEST_NODE" not in os.environ, reason="needs a real node: nox -s airflow-node"
)

DAGS = ("on_a_node", "killed_on_a_node", "cannot_start", "out_of_memory")
ENDS_WITHIN_S = 300


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory):
    """The node's kubectl."""
    from real_node import Kubectl

    return Kubectl(tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="module")
def airflow(kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A whole Airflow beside the node; the scheduler has the rights of ``examples/rbac.yaml``, and workers none."""
    from real_node import ADDRESS, NAMESPACE, pod_template

    installed = Installation(
        tmp_path_factory.mktemp("airflow"),
        executor="KubernetesExecutor:podrunner.integrations.airflow.PodRunnerExecutor",
    )
    installed.settings |= {
        "AIRFLOW__API__HOST": "0.0.0.0",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{ADDRESS}:{installed.port}/execution/",
        "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": NAMESPACE,
        "AIRFLOW__KUBERNETES_EXECUTOR__DELETE_WORKER_PODS_ON_FAILURE": "True",
        "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE": f"{installed.home}/pod_template.json",
        "AIRFLOW__PODRUNNER__CLUSTER": "kubeconfig",
        "AIRFLOW__PODRUNNER__KUBECONFIG": str(kubectl.make_airflow()),
    }
    (installed.home / "logs").mkdir()
    (installed.home / "shared").mkdir()
    (installed.home / "pod_template.json").write_text(json.dumps(pod_template(installed)), encoding="utf-8")
    installed.migrate()
    installed.start("api-server", "scheduler", "dag-processor")
    try:
        installed.wait_ready(*DAGS)
        yield installed
    finally:
        installed.stop()


def until(condition, what: str, timeout_s: float = ENDS_WITHIN_S):
    """Wait until a condition holds; return its value."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.5)
    return value


def test_the_story(airflow: Installation, kubectl) -> None:
    """Triggered by REST, seen by kubectl, looked at by exec, its log read by REST; no pod is left."""
    seen = airflow.home / "kubectl.out"
    with seen.open("wb") as output:
        watching = kubectl.watch(output)
        try:
            run = airflow.trigger("on_a_node")
            airflow.wait_states("on_a_node", run, {"looked_at": {"running"}})
            (pod,) = [pod for pod in kubectl.pods() if pod["metadata"]["labels"]["task_id"] == "looked_at"]
            name = pod["metadata"]["name"]
            assert "def looked_at" in kubectl("exec", name, "--", "cat", f"{HERE}/dags/on_a_node.py")
            variables = kubectl("exec", name, "--", "env")
            assert "AIRFLOW_IS_K8S_EXECUTOR_POD=True" in variables
            assert "SQL_ALCHEMY_CONN" not in variables
            (airflow.home / "shared" / "looked").touch()
            assert airflow.wait_run("on_a_node", run) == "success"
            until(lambda: not kubectl.pods(), "each pod is deleted")
        finally:
            watching.terminate()
            watching.wait(30)
    rows = [line.split() for line in seen.read_text().splitlines()]
    lives = {name: {row[2] for row in rows if row[0] == name} for name in {row[0] for row in rows} - {"NAME"}}
    assert len(lives) == 5
    for statuses in lives.values():
        assert {"Pending", "ContainerCreating", "Running", "Completed"} <= statuses
    for ti in airflow.task_instances("on_a_node", run):
        assert ti["hostname"] in lives
        assert airflow.log("on_a_node", run, ti, 1)
    (bash,) = [ti for ti in airflow.task_instances("on_a_node", run) if ti["task_id"] == "bash"]
    assert any(f"hello from {bash['hostname']}" in line for line in airflow.log("on_a_node", run, bash, 1))
    sys.stdout.write(seen.read_text())


def test_a_killed_supervisor_has_its_cause_in_the_event_log(airflow: Installation, kubectl) -> None:
    from real_node import supervisor_of

    run = airflow.trigger("killed_on_a_node")
    until((airflow.home / "shared" / "supervised").exists, "the task runs", 600)
    (ti,) = airflow.task_instances("killed_on_a_node", run)
    os.kill(supervisor_of(ti["id"]), signal.SIGKILL)
    assert airflow.wait_run("killed_on_a_node", run) == "success"
    (ti,) = airflow.task_instances("killed_on_a_node", run)
    assert ti["try_number"] == 2
    (cause,) = [
        row["extra"] for row in airflow.events("killed_on_a_node", run) if row["event"] == "pod failed"
    ]
    assert "SIGKILL" in cause
    assert cause.splitlines()[0] in airflow.output("scheduler")
    until(lambda: not kubectl.pods(), "each pod is deleted")


def test_a_worker_that_cannot_start_leaves_its_last_lines_in_the_event_log(
    airflow: Installation, kubectl
) -> None:
    run = airflow.trigger("cannot_start")
    assert airflow.wait_run("cannot_start", run) == "failed"
    (cause,) = [row["extra"] for row in airflow.events("cannot_start", run) if row["event"] == "pod failed"]
    assert "container base ended with exit code 1" in cause
    assert "No module named 'encodings'" in cause
    until(lambda: not kubectl.pods(), "each pod is deleted")


def test_a_container_without_memory_has_its_limit_in_the_event_log(airflow: Installation, kubectl) -> None:
    run = airflow.trigger("out_of_memory")
    assert airflow.wait_run("out_of_memory", run) == "failed"
    until(lambda: not kubectl.pods(), "each pod is deleted")
    rows = {
        (row["event"], row["task_id"]): row["extra"] or "" for row in airflow.events("out_of_memory", run)
    }
    assert "container base was OOM-killed (limit 100Mi)" in rows["pod failed", "never_begun"]
    # The kernel kills the process that needs the memory. Where that is the task's alone, its supervisor reports the
    # failure and ends well; so does the pod.
    (name,) = {event for event, task in rows if task == "greedy"} & {"pod failed", "out of memory"}
    assert "OOM-killed (limit 600Mi)" in rows[name, "greedy"]
    assert rows[name, "greedy"] in airflow.output("scheduler")
