"""The demo tells the Airflow story, for real, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.contract.conftest import Cluster

PODRUNNER = [sys.executable, "-m", "podrunner"]
STATES = ["Pending", "ContainerCreating", "Running", "Completed", "Terminating"]


def _demo(*options: str, cluster: Cluster, folder: Path) -> subprocess.CompletedProcess[str]:
    where = (
        ["--local"]
        if cluster.is_local
        else ["--kubeconfig", str(cluster.kubeconfig), "--image", cluster.image]
    )
    command = [*PODRUNNER, "demo", "--folder", str(folder), *where, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)


@pytest.fixture(scope="module")
def story(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The demo, run once, as JSON."""
    ended = _demo("--json", cluster=cluster, folder=tmp_path_factory.mktemp("demo"))
    assert (ended.returncode, ended.stderr) == (0, "")
    return json.loads(ended.stdout)


def test_the_pod_goes_through_its_states_in_order(story) -> None:
    seen = [state["status"] for state in story["states"]]
    assert list(dict.fromkeys(seen)) == STATES
    assert story["left"] == {"pods": 0}


def test_the_look_inside_shows_dag_folder_and_connection(story) -> None:
    folder, connection = story["exec"]
    assert (folder["exit_code"], connection["exit_code"]) == (0, 0)
    assert "sample_k8s.py" in folder["stdout"]
    assert connection["stdout"].startswith("postgresql://airflow:")


def test_the_outcome_is_success_and_the_log_is_read_back_from_its_file(story) -> None:
    assert (story["outcome"]["category"], story["outcome"]["exit_code"]) == ("succeeded", 0)
    path = "sample_k8s/test-task001/2019-08-15T01:16:36.627731+00:00/1.log"
    assert story["log"]["header"].startswith("*** Reading local file: ")
    assert story["log"]["header"].endswith(path)
    assert [line for line in story["log"]["lines"] if line.startswith("step")] == [
        f"step {n} of 3" for n in (1, 2, 3)
    ]
    assert "Marking task as SUCCESS" in story["log"]["lines"][-1]


def test_the_pod_mounts_claims_and_takes_the_connection_from_a_secret(story) -> None:
    """On a real cluster as on a LocalCluster: volumes of the cluster behind claims, no shortcut."""
    spec = story["manifest"]["spec"]
    claims = [
        each["persistentVolumeClaim"]["claimName"]
        for each in spec["volumes"]
        if "persistentVolumeClaim" in each
    ]
    assert claims == ["airflow-dags", "airflow-logs"]
    env = {each["name"]: each for each in spec["containers"][0]["env"]}
    assert env["SQL_ALCHEMY_CONN"]["valueFrom"] == {
        "secretKeyRef": {"name": "airflow-secrets", "key": "sql_alchemy_conn"}
    }


def test_nothing_of_the_stage_is_left(story, cluster: Cluster) -> None:
    """Its volumes and its namespace go with it; a LocalCluster goes as a whole."""
    if cluster.is_local:
        pytest.skip("the demo's own LocalCluster is gone")
    with cluster.http() as http:
        volumes = http.get("/api/v1/persistentvolumes").raise_for_status().json()["items"]
        assert [each for each in volumes if each["spec"]["claimRef"]["namespace"] == story["namespace"]] == []
        deadline = time.monotonic() + 50
        while http.get(f"/api/v1/namespaces/{story['namespace']}").status_code != 404:
            assert time.monotonic() < deadline, "the demo's namespace stays"
            time.sleep(0.1)


def test_the_connection_string_is_nowhere_in_the_pod(story) -> None:
    assert "demo-password" not in json.dumps(story["manifest"])


def test_people_get_the_story_as_text(cluster: Cluster, tmp_path: Path) -> None:
    ended = _demo(cluster=cluster, folder=tmp_path / "demo")
    assert (ended.returncode, ended.stderr) == (0, "")
    where = "a LocalCluster" if cluster.is_local else f"the cluster of {cluster.kubeconfig}"
    assert ended.stdout.startswith(f"On {where}")
    for words in (*STATES, "Outcome: succeeded", "*** Reading local file: ", "Left behind: 0 pods."):
        assert words in ended.stdout
