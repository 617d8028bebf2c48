"""A container over its memory limit is OOMKilled, by a cgroup or by the watcher; others are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from podrunner.local.kubelet import memory
from podrunner.local.kubelet.memory import CgroupTree, MemoryGuard, find_cgroup

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]

HUNGRY = "import time; x = bytearray(80 << 20); time.sleep(1000)"
LIMIT = {"limits": {"memory": "40Mi"}}


@pytest.fixture(params=["cgroup", "watcher"])
def lab_kind(request, monkeypatch):
    if request.param == "watcher":
        monkeypatch.setattr("podrunner.local.kubelet.kubelet.find_cgroup", lambda: None)
    elif find_cgroup() is None:
        pytest.skip("no cgroup can be made here")
    return request.param


async def test_too_much_memory_is_oom_killed(lab_kind, lab):
    """137 and OOMKilled, not just Error (P6)."""
    lab.run("a", [lab.python, "-S", "-c", HUNGRY], resources=LIMIT)
    end = await lab.ended("a")
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")


async def test_enough_memory_is_enough(lab_kind, lab):
    """A program within its limit is left alone, and a kill for another reason is no OOM."""
    lab.run("a", ["sh", "-c", "sleep 0.2; kill -9 $$$$"], resources=LIMIT)
    assert (await lab.ended("a"))["reason"] == "Error"


async def test_no_cgroup_is_left_behind(lab):
    """Neither by a container nor by the kubelet."""
    tree = lab.kubelet.node.memory._tree
    if tree is None:
        pytest.skip("no cgroup can be made here")
    lab.run("a", ["true"], resources=LIMIT)
    await lab.ended("a")
    lab.run("b", ["sleep", "1000"], resources=LIMIT)
    await lab.phase("b", "Running")
    await lab.kubelet.stop()
    assert not tree._folder.exists()


async def test_a_version_2_tree_writes_the_files_of_version_2(tmp_path, monkeypatch):
    """What the kernel would read."""
    tree = CgroupTree(tmp_path, version=2)
    made = tree.create("c", 1 << 20)
    assert (made / "memory.max").read_text() == str(1 << 20)
    assert (made / "memory.oom.group").read_text() == "1"
    assert (made.parent / "cgroup.subtree_control").read_text() == "+memory"
    (made / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    assert tree.killed(made)


async def test_places_are_found_from_proc():
    """Both versions; beside the own cgroup for v2."""
    mounts = [
        "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
        "31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    ]
    assert memory._places_of("4:memory:/user/x", mounts) == [(Path("/sys/fs/cgroup/memory/user/x"), 1)]
    assert memory._places_of("3:cpu:/user/x", mounts) == []
    unified = [path for path, version in memory._places_of("0::/user/x", mounts) if version == 2]
    assert unified == [Path("/sys/fs/cgroup/unified/user"), Path("/sys/fs/cgroup/unified")]
    assert memory._places_of("4:memory:/user/x", []) == []


async def test_the_cgroups_of_dead_makers_are_swept(tmp_path):
    """And those of the living are not."""
    dead, alive = (
        tmp_path / "podrunner-999999999-1",
        tmp_path / f"podrunner-{os.getpid()}-{memory.process_start(os.getpid())}",
    )
    (dead / "c").mkdir(parents=True)
    alive.mkdir()
    beside = tmp_path.parent / f"{tmp_path.name}-beside" / "podrunner-999999999-2"
    beside.mkdir(parents=True)
    memory._sweep(tmp_path)
    assert not dead.exists()
    assert not beside.exists()
    assert alive.exists()


async def test_a_container_without_a_limit_is_not_watched():
    guard = MemoryGuard(None)
    assert guard.limit("x", None) is None
    guard.close()
