"""Killed -9, a cluster takes its containers along; what slipped through is swept at the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from podrunner.local.contained import ContainedFolder
from podrunner.local.kubelet.proctree import descendants, parents, process_start
from podrunner.local.kubelet.sweep import note_process, sweep

pytestmark = pytest.mark.processes

SCRIPT = '''
import asyncio, os, sys, time
from pathlib import Path
from podrunner.local.api.storage.events import EventRecorder
from podrunner.local.kubelet import Kubelet
from podrunner.local.api.storage.store import Store

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: open(sys.argv[1], "w").write("x"); time.sleep(0.02)
    os._exit(0)
while True: open(sys.argv[2], "w").write("x"); time.sleep(0.02)
"""

def pod(name, command):
    container = {"name": "main", "image": "x", "command": command}
    spec = {"containers": [container], "restartPolicy": "Always"}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec, "status": {"phase": "Pending"}}

async def main(folder, isolation):
    store = Store()
    kubelet = Kubelet(store, EventRecorder(store), folder=folder, isolation=isolation)
    await kubelet.start()
    marks = [str(folder.parent / name) for name in ("daemon", "main")]
    store.create("pods", pod("a", [sys.executable, "-c", DAEMON, *marks]))
    store.create("pods", pod("b", ["sh", "-c", "trap '' TERM HUP INT; sleep 1000"]))
    phases = lambda: [each["status"]["phase"] for each in store.list("pods")]
    while not all(map(os.path.exists, marks)) or phases() != ["Running"] * 2:
        await asyncio.sleep(0.01)
    shims = [w.current.shim.pid for p in kubelet._workers.values() for w in p.containers.values()]
    if sys.argv[3:] and os.fork() == 0:
        time.sleep(1000)
    print(kubelet.node.isolation, *shims, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
'''


def first_line(process: subprocess.Popen[str]) -> list[str]:
    """What the cluster printed when it ran."""
    line = process.stdout.readline().split()
    if not line:
        process.wait()
        raise AssertionError("the cluster did not start")
    return line


def wait_until_gone(pids: list[int]) -> None:
    """All of these end soon."""
    until = time.monotonic() + 40
    while any(map(process_start, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    assert [pid for pid in pids if process_start(pid)] == []


def family(pid: int) -> list[int]:
    return [pid, *descendants(parents(), pid)]


@pytest.mark.parametrize("isolation", ["auto", "none"])
@pytest.mark.parametrize("uid", [None, 54321], ids=["as we are", "ordinary user"])
def test_no_process_outlives_a_killed_cluster(open_folder, start_python, isolation, uid):
    """Neither programs that ignore signals nor daemons that forked twice; by root and by an ordinary user."""
    process = start_python(SCRIPT, str(open_folder / "cluster"), isolation, uid=uid)
    _, *shims = first_line(process)
    family_members = [pid for shim in shims for pid in family(int(shim))]
    assert len(family_members) >= 5
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until_gone(family_members)
    for name in ("daemon", "main"):
        (open_folder / name).unlink()
    time.sleep(0.1)
    assert not (open_folder / "daemon").exists()


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_a_fork_of_the_cluster_does_not_keep_containers_alive(open_folder, start_python, isolation):
    """A child made by os.fork holds all sockets of the cluster; the parent-death signal does not care."""
    process = start_python(SCRIPT, str(open_folder / "cluster"), isolation, "and fork")
    _, *shims = first_line(process)
    family_members = [pid for shim in shims for pid in family(int(shim))]
    (fork,) = set(parents()[process.pid]) - set(family_members)
    os.kill(process.pid, signal.SIGKILL)
    try:
        wait_until_gone(family_members)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_leftovers_of_a_dead_owner_are_killed_and_removed(tmp_path):
    """A noted shim that still runs ends at the next start."""
    left = subprocess.Popen(["sleep", "1000"])
    folder = tmp_path / "pods" / "uid" / "containers" / "main"
    folder.mkdir(parents=True)
    (folder / "shim.pid").write_text(f"{left.pid} {process_start(left.pid)}\n")
    (tmp_path / "kubelet.pid").write_text("999999999 1\n")
    sweep(ContainedFolder(tmp_path))
    assert left.wait(40) == -signal.SIGKILL
    assert not (tmp_path / "pods").exists()


def test_a_process_that_only_got_the_number_is_left_alone(tmp_path):
    """The start time tells them apart."""
    other = subprocess.Popen(["sleep", "1000"])
    folder = tmp_path / "pods" / "uid" / "containers" / "main"
    folder.mkdir(parents=True)
    (folder / "shim.pid").write_text(f"{other.pid} 1\n")
    sweep(ContainedFolder(tmp_path))
    assert other.poll() is None
    other.kill()
    other.wait()


def test_the_folder_of_a_living_owner_is_left_alone(tmp_path):
    """Two clusters started on one folder: the second does not sweep the first one's pods away."""
    owner = subprocess.Popen(["sleep", "1000"])
    (tmp_path / "pods").mkdir()
    (tmp_path / "kubelet.pid").write_text(f"{owner.pid} {process_start(owner.pid)}\n")
    sweep(ContainedFolder(tmp_path))
    assert (tmp_path / "pods").exists()
    owner.kill()
    owner.wait()


def test_a_folder_noted_by_this_process_is_swept_again(tmp_path):
    """The folder is swept again when the same process stops."""
    (tmp_path / "pods").mkdir()
    note_process(ContainedFolder(tmp_path))
    sweep(ContainedFolder(tmp_path))
    assert not (tmp_path / "pods").exists()
