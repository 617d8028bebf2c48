"""Runners that get in by an exec plugin, in the namespace of their context, by both faces."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from podrunner import AsyncPodRunner, ClosePolicy, PodRunner, Workload, read_log
from podrunner.config import RunnerConfig
from tests.support.event_loops import both_loops

pytestmark = [pytest.mark.processes]

anyio_backend = both_loops

API = "client.authentication.k8s.io/v1"


@pytest.fixture
def by_plugin(kubeconfig: Path, namespace: str, tmp_path: Path) -> Path:
    """Return a kubeconfig whose token comes from a plugin beside it, which counts its runs."""
    found: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    token = found["users"][0]["user"]["token"]
    answer = {"apiVersion": API, "kind": "ExecCredential", "status": {"token": token}}
    (tmp_path / "answer").write_text(json.dumps(answer))
    plugin = tmp_path / "plugin"
    plugin.write_text('#!/bin/sh\ncd "${0%/*}"\necho run >> runs\ncat answer\n')
    plugin.chmod(0o755)
    exec_ = {"apiVersion": API, "command": "./plugin", "interactiveMode": "Never"}
    found["users"][0]["user"] = {"exec": exec_}
    for entry in found["contexts"]:
        entry["context"]["namespace"] = namespace
    path = tmp_path / "by-plugin"
    path.write_text(yaml.safe_dump(found))
    return path


def saying(name: str, script: str = "echo hello") -> Workload:
    return Workload(key={"test": name}, command=["sh", "-c", script])


@pytest.mark.anyio
async def test_a_runner_lets_itself_in_by_a_plugin_and_stays_in_the_contexts_namespace(
    cluster, by_plugin: Path, namespace: str
):
    """K2, K3: a successor adopts there, too."""
    config = RunnerConfig(kubeconfig=by_plugin, image=cluster.image, scope=uuid.uuid4().hex)
    async with AsyncPodRunner(config, on_exit=ClosePolicy.DETACH) as runner:
        left = await runner.launch(saying("left", "sleep 0.5"))
        assert left.namespace == namespace
    async with AsyncPodRunner(config) as successor:
        adopted = await successor.launch(saying("left", "sleep 0.5"))
        assert (adopted.name, (await adopted.wait(30)).succeeded) == (left.name, True)
    assert (by_plugin.parent / "runs").read_text().split() == ["run", "run"]


def test_the_blocking_face_and_read_log_do_so_too(cluster, by_plugin: Path, namespace: str):
    """K2, K3."""
    config = RunnerConfig(kubeconfig=by_plugin, image=cluster.image, scope=uuid.uuid4().hex)
    workload = saying("blocking", "echo hello; sleep 2")
    with PodRunner(config) as runner:
        pod = runner.launch(workload)
        assert list(pod.logs()) == ["hello"]
        assert pod.namespace == namespace
        assert read_log(config, workload, timeout_s=20).lines == ("hello",)
        pod.wait(30)


def test_the_command_does_so_too(cluster, by_plugin: Path, namespace: str):
    """K2, K3."""
    command = [
        sys.executable,
        "-m",
        "podrunner",
        "run",
        "--kubeconfig",
        str(by_plugin),
        "--image",
        cluster.image,
    ]
    done = subprocess.run(
        [*command, "--json", "--", "sh", "-c", "echo hello"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["namespace"] == namespace
