"""The janitor removes cgroups and folder, however the run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GONE_WITHIN_S = 60
RUN = """
import pathlib, sys, time
sys.path.insert(0, {here!r})
import janitor
with janitor.watching(remove=pathlib.Path({folder!r})):
    janitor.make_cgroups()
    print("watching", flush=True)
    sys.stdin.read()
"""


def cgroups(name: str) -> list[Path]:
    """Return the cgroups of a run, in each hierarchy. Others, below, may go while one looks: none is looked into."""
    root = Path("/sys/fs/cgroup")
    return [*root.glob(name), *root.glob(f"*/{name}")]


@pytest.mark.skipif(os.geteuid() != 0, reason="cgroups need root")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_cgroups_and_folder_are_removed(tmp_path, how):
    """Also after kill -9 of the run itself."""
    folder = tmp_path / "node"
    folder.mkdir()
    script = RUN.format(here=str(HERE), folder=str(folder))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout.readline() == b"watching\n"
        mine = f"podrunner-test-node-{run.pid}"
        assert cgroups(mine) != []
        run.stdin.close() if how is None else run.send_signal(how)
    until = time.monotonic() + GONE_WITHIN_S
    while folder.exists() or cgroups(mine):
        assert time.monotonic() < until, "cgroups or the folder remain"
        time.sleep(0.05)
