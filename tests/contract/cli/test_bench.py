"""``podrunner bench`` against each of its targets; however it ends, no pod, Lease, process or file is left."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.cli.conftest import PODRUNNER
from tests.contract.conftest import Cluster
from tests.support.signals import signal_action

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "bench.md"
ON_THE_CLUSTER = (
    "--target",
    "cluster",
    "--yes",
    "--image",
    os.environ.get("PODRUNNER_TEST_IMAGE", "localhost/pyhost:1"),
)
STAGES = ("queue", "create", "scheduled", "running", "done", "outcome delivered", "log complete", "deleted")

pytestmark = pytest.mark.processes


def left_in(cluster: Cluster, namespace: str) -> dict[str, int]:
    """How many pods and Leases there are."""
    paths = {
        "pods": f"/api/v1/namespaces/{namespace}/pods",
        "leases": f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
    }
    with cluster.http() as http:
        return {name: len(http.get(path).raise_for_status().json()["items"]) for name, path in paths.items()}


def children_of(folder: Path) -> list[str]:
    """The command lines of servers that a benchmark started in this folder for temporary files."""
    listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "podrunner.bench.serve" in line and str(folder) in line]


@contextmanager
def started(*words: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [*PODRUNNER, "bench", *words]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(holds, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 100
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("target", ["stub", "local"])
def test_each_pod_of_a_server_of_its_own_has_the_outcome_that_was_planned(podrunner, target, tmp_path):
    done = podrunner(
        *shlex.split(f"bench --target {target} --pods 20 --running 0.1 --failing 0.3 --log-lines 3 --json")
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["pods"] == {
        "planned": 20,
        "outcomes": 20,
        "as_planned": True,
        "problems": [],
        "problem_count": 0,
        "left": {"pods": 0, "leases": 0},
    }
    assert found["logs"] == {"lines": 60, "gaps": 0}
    assert {found["api_calls"]["POST pods"], found["api_calls"]["DELETE pods"]} == {20}
    assert {name: of["count"] for name, of in found["stages"].items()} == dict.fromkeys(STAGES, 20)
    assert found["server_cpu_us_per_pod"] > 0


def test_on_a_cluster_each_pod_has_its_outcome_and_nothing_is_left(
    podrunner, cluster: Cluster, namespace: str, tmp_path: Path
):
    page = tmp_path / "report.html"
    words = ("--pods", "4", "--running", "0.1", "--failing", "0.5", "--log-lines", "2")
    done = podrunner("bench", *ON_THE_CLUSTER, *words, "--html", str(page), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "podrunner bench will create 4 pods, at most 4 at once, and one Lease" in done.stderr
    found = json.loads(done.stdout)["pods"]
    assert (found["outcomes"], found["as_planned"], found["left"]) == (4, True, {"pods": 0, "leases": 0})
    assert "<svg" in page.read_text(encoding="utf-8")
    assert left_in(cluster, namespace) == {"pods": 0, "leases": 0}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_ctrl_c_and_a_closed_terminal_delete_the_pods_of_a_cluster(
    environment, cluster: Cluster, namespace: str, number, code
):
    command = (*ON_THE_CLUSTER, "--pods", "3", "--running", "300")
    with signal_action(signal.SIGHUP, signal.SIG_DFL), started(*command, environment=environment) as process:
        until(lambda: left_in(cluster, namespace)["pods"] == 3, process)
        process.send_signal(number)
        output, errors = process.communicate(timeout=150)
    assert (process.returncode, output) == (code, "")
    assert "Traceback" not in errors
    assert left_in(cluster, namespace) == {"pods": 0, "leases": 0}


def test_ctrl_c_ends_the_server_and_removes_its_files(environment, tmp_path: Path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**environment, "TMPDIR": str(temporary)}
    with started("--pods", "30", "--running", "300", environment=environment) as process:
        until(lambda: children_of(temporary), process)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=150)[0] == ""
    assert process.returncode == 130
    assert not children_of(temporary)
    assert list(temporary.iterdir()) == []


def test_a_benchmark_that_is_killed_leaves_no_server(environment, tmp_path: Path):
    environment = {**environment, "TMPDIR": str(tmp_path)}
    with started("--pods", "30", "--running", "300", environment=environment) as process:
        until(lambda: children_of(tmp_path), process)
    deadline = time.monotonic() + 20
    while children_of(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_run_that_takes_too_long_is_given_up(podrunner):
    done = podrunner(*shlex.split("bench --pods 5 --running 300 --time-limit 1"))
    assert done.returncode == 64
    assert re.fullmatch(
        r"podrunner: the time limit of 1 s is over, and 0 of 5 pods had their outcome; the rest is deleted\n",
        done.stderr,
    )


def test_the_commands_of_the_page_run(podrunner, cluster: Cluster, namespace: str, tmp_path: Path):
    if not cluster.is_local:
        pytest.skip("the page's image is not on these nodes, which pull none")
    commands = re.findall(r"^\$ podrunner (bench .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        done = podrunner(*shlex.split(command), cwd=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert left_in(cluster, namespace) == {"pods": 0, "leases": 0}
