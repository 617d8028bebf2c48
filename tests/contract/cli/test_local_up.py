"""``podrunner local up``: there when its file is, and gone with everything it ran."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

PODRUNNER = [sys.executable, "-m", "podrunner"]


def _start(kubeconfig: Path, *options: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*PODRUNNER, "local", "up", "--kubeconfig", str(kubeconfig), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 100
    while not kubeconfig.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def _run(kubeconfig: Path, *words: str) -> subprocess.Popen[str]:
    command = [*PODRUNNER, "run", "--kubeconfig", str(kubeconfig), "--", *words]
    env = {**os.environ, "PODRUNNER_IMAGE": "any"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def _running(mark: str) -> bool:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return any(line.startswith(f"sleep {mark}") for line in listed.splitlines())


def _await_running(mark: str) -> None:
    """The shell has said that it is ready a moment before it becomes the program."""
    deadline = time.monotonic() + 100
    while not _running(mark):
        assert time.monotonic() < deadline, f"sleep {mark} does not run"
        time.sleep(0.05)


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_cluster_and_all_it_runs(tmp_path: Path, number) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    cluster = _start(kubeconfig)
    mark = f"{600 + os.getpid()}.{int(number)}"
    client = _run(kubeconfig, "sh", "-c", f"echo ready; exec sleep {mark}")
    try:
        assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
        _await_running(mark)
        cluster.send_signal(number)
        shown, errors = cluster.communicate(timeout=100)
        assert cluster.returncode == 0
        assert str(kubeconfig) in shown
        assert "no process is left" in errors
        assert not kubeconfig.exists()
        assert not _running(mark)
    finally:
        client.kill()
        client.communicate()
        cluster.kill()


@pytest.mark.processes
def test_an_image_has_programs_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "tool").write_text("#!/bin/sh\necho from the image\n")
    (folder / "tool").chmod(0o755)
    kubeconfig = tmp_path / "kubeconfig"
    cluster = _start(kubeconfig, "--image", f"worker={folder}")
    try:
        command = [*PODRUNNER, "run", "--kubeconfig", str(kubeconfig), "--image", "worker", "--", "tool"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        assert "from the image" in said
    finally:
        cluster.send_signal(signal.SIGTERM)
        cluster.communicate(timeout=60)
