"""What kubectl shows of the story: pods that come and go, and what is in one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import podrunner
import pytest

if TYPE_CHECKING:
    from installation import Installation

KUBECTL = shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl")
_PODRUNNER = (sys.executable, "-m", "podrunner")


@pytest.fixture
def kubectl(cluster: podrunner.LocalCluster) -> list[str]:
    """The command, for the cluster of the tests."""
    return [str(KUBECTL), "--kubeconfig", str(cluster.kubeconfig)]


@pytest.fixture
def watched(kubectl: list[str], tmp_path: Path) -> Iterator[Path]:
    """The file to which ``kubectl get pods -w`` writes."""
    file = tmp_path / "get-pods.txt"
    with file.open("wb") as output:
        watching = subprocess.Popen([*kubectl, "get", "pods", "-w"], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield file
    finally:
        watching.terminate()
        watching.wait(30)


def _statuses(text: str) -> dict[str, list[str]]:
    """Return what was shown as the status of each pod, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, _, status, *_ in (line.split() for line in text.splitlines() if line.startswith("story-")):
        if found[name][-1:] != [status]:
            found[name].append(status)
    return found


def _asked(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout


def test_each_pod_is_seen_from_pending_to_its_deletion(
    airflow: Installation, kubectl: list[str], watched: Path
) -> None:
    run = airflow.trigger("story")
    assert airflow.wait_run("story", run) == "success"
    deadline = time.monotonic() + 600
    while "story-" in _asked([*kubectl, "get", "pods"]):
        assert time.monotonic() < deadline, "a pod of a finished task is left"
        time.sleep(0.5)
    seen = _statuses(watched.read_text())
    assert len(seen) >= 11  # bash, numbers, five of double, two of flaky, two of later or more
    for name, statuses in seen.items():
        assert statuses[0] == "Pending", name
        assert "Running" in statuses, name
        assert "Completed" in statuses, name
    if folder := os.environ.get("TEST_PICTURES"):
        shown = [line for line in watched.read_text().splitlines() if line.startswith(("NAME", "story-"))]
        Path(folder, "get-pods.txt").write_text("\n".join([*shown, ""]))


def test_a_running_pod_shows_its_dag_and_its_variables(
    airflow: Installation, cluster: podrunner.LocalCluster, kubectl: list[str]
) -> None:
    airflow.wait_ready("inspected")
    run = airflow.trigger("inspected")
    airflow.wait_states("inspected", run, {"waiting": {"running"}})
    (task,) = airflow.task_instances("inspected", run)
    pod = task["hostname"]
    dag = airflow.environ["AIRFLOW__CORE__DAGS_FOLDER"] + "/inspected.py"
    ours = [*_PODRUNNER, "exec", "--kubeconfig", str(cluster.kubeconfig), pod, "--"]
    for into in ([*kubectl, "exec", pod, "--"], ours):
        assert "inspect me" in _asked([*into, "cat", dag])
        variables = dict(line.partition("=")[::2] for line in _asked([*into, "env"]).splitlines())
        assert variables["AIRFLOW_HOME"] == str(airflow.home)
        assert variables["AIRFLOW_IS_K8S_EXECUTOR_POD"] == "True"
        assert not any("SQL_ALCHEMY" in name or "SECRET" in name for name in variables), variables
    assert "inspect me" in _asked([*kubectl, "logs", pod])
    (airflow.home / "let-go").touch()
    assert airflow.wait_run("inspected", run) == "success"
