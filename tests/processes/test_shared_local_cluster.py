"""Processes whose configurations name one folder share one LocalCluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import podrunner
import pytest
from podrunner import AsyncPodRunner, PodRunner, RunnerConfig, Workload
from podrunner.errors import ConfigError, LogError
from tests.support.waiting import until_blocking

OTHER = """
import sys, podrunner
config = podrunner.RunnerConfig(cluster="local", local={"folder": sys.argv[1]}, logs={"follow": "off"})
with podrunner.PodRunner(config, on_exit="detach") as runner:
    pod = runner.launch(podrunner.Workload(key={"from": "other"}, command=["sh", "-c", "echo hello; sleep 60"]))
    print(runner.kubeconfig, flush=True)
    sys.stdin.read()
"""


def config_of(folder: Path, **local: object) -> RunnerConfig:
    return RunnerConfig(cluster="local", local={"folder": folder, **local}, logs={"follow": "off"})


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A folder with a program of its own: an image."""
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "tool").write_text("#!/bin/sh\necho from the image\n")
    (folder / "tool").chmod(0o755)
    return folder


@pytest.mark.processes
def test_a_second_process_uses_the_cluster_that_runs(tmp_path: Path, tool: Path):
    folder = tmp_path / "cluster"
    config = config_of(folder, images={"worker": tool})
    with PodRunner(config, on_exit="cancel") as runner:
        assert runner.kubeconfig == folder / "kubeconfig"
        pod = runner.launch(Workload(key={"from": "first"}, image="worker", command=["tool"]))
        assert pod.wait(60).succeeded
        command = [sys.executable, "-c", OTHER, str(folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert Path(other.stdout.readline().strip()) == runner.kubeconfig
            other.communicate("", timeout=60)
        assert other.returncode == 0
        (adopted,) = runner.adopt()
        assert adopted.key.parts == {"from": "other"}
        until_blocking(lambda: podrunner.read_log(config, adopted.key, timeout_s=20).lines == ("hello",))
        with pytest.raises(LogError):
            podrunner.read_log(config, podrunner.WorkloadKey({"from": "nowhere"}), timeout_s=20)


@pytest.mark.anyio
async def test_what_was_started_elsewhere_is_not_stopped(tmp_path: Path):
    config = config_of(tmp_path / "cluster")
    async with AsyncPodRunner(config) as first:
        async with AsyncPodRunner(config) as second:
            assert second.kubeconfig == first.kubeconfig
        pod = await first.launch(Workload(key={"n": "1"}, command=["true"]))
        assert (await pod.wait(60)).succeeded
    assert not (tmp_path / "cluster" / "kubeconfig").exists()
    async with AsyncPodRunner(config) as anew:
        assert await anew.adopt() == []
        assert anew.kubeconfig is not None


@pytest.mark.anyio
async def test_a_folder_whose_cluster_does_not_answer_is_named(tmp_path: Path, monkeypatch):
    """A process that hangs, or that is about to end, holds the folder."""
    from podrunner.local.folder import ClusterFolder

    monkeypatch.setattr("podrunner.runner.local_cluster._ANSWERS_WITHIN_S", 0.5)
    with ClusterFolder(tmp_path), pytest.raises(ConfigError, match=r"local\.folder.*answers there"):
        async with AsyncPodRunner(config_of(tmp_path)):
            pass


@pytest.mark.anyio
async def test_a_cluster_that_ends_just_now_is_followed_by_a_new_one(tmp_path: Path):
    from podrunner.local.folder import ClusterFolder

    opened = anyio.Event()

    async def open_runner() -> None:
        async with AsyncPodRunner(config_of(tmp_path)):
            opened.set()

    async with anyio.create_task_group() as group:
        with ClusterFolder(tmp_path):
            group.start_soon(open_runner)
            await anyio.sleep(0.3)
            assert not opened.is_set()
        await opened.wait()


def test_what_a_killed_cluster_left_leads_no_client_astray(tmp_path: Path):
    from podrunner.local.folder import ClusterFolder

    (tmp_path / "kubeconfig").write_text("of a cluster that was killed")
    (tmp_path / ".lock").touch()
    with ClusterFolder(tmp_path):
        assert not (tmp_path / "kubeconfig").exists()
