"""Row V2: without a cluster to be found, no pod runs on the caller's own machine unless it was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from podrunner import AsyncPodRunner, PodRunner, RunnerConfig
from podrunner.errors import ConfigError

pytestmark = pytest.mark.usefixtures("bare_machine")


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a pod nor a kubeconfig."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.anyio
async def test_the_asynchronous_runner_refuses_to_open():
    with pytest.raises(ConfigError, match='cluster="local"'):
        async with AsyncPodRunner(RunnerConfig(image="any")):
            pass


def test_the_blocking_runner_refuses_to_open():
    with pytest.raises(ConfigError, match='cluster="local"'), PodRunner(RunnerConfig(image="any")):
        pass


def test_the_command_refuses_and_runs_nothing(tmp_path: Path):
    command = [sys.executable, "-m", "podrunner", "run", "--image", "any", "--", "touch", "ran"]
    ended = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 78
    assert f"there is no {tmp_path}/.kube/config" in ended.stderr
    assert "--local" in ended.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.anyio
async def test_a_local_cluster_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ConfigError, match=r"pip install 'podrunner\[local\]'") as caught:
        async with AsyncPodRunner(RunnerConfig(cluster="local")):
            pass
    assert (caught.value.key, caught.value.value) == ("cluster", "local")
