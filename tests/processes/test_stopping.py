"""Stopping a kubelet is bounded and leaves nothing: no process, no file descriptor, no folder."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from podrunner.local.kubelet.proctree import descendants, parents, process_start
from tests.support.waiting import until


def open_files():
    """How many file descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


def children():
    """The child processes of this one, zombies too: those of clusters that other tests use are among them."""
    return set(parents().get(os.getpid(), []))


pytestmark = [pytest.mark.asyncio, pytest.mark.processes]


async def test_stop_kills_everything_at_once(any_lab):
    """Also programs that ignore SIGTERM: no grace is waited for."""
    for number in range(4):
        command = ["sh", "-c", "trap '' TERM; sleep 1000"]
        any_lab.run(f"p{number}", command, terminationGracePeriodSeconds=300)
    for number in range(4):
        await any_lab.phase(f"p{number}", "Running")
    workers = list(any_lab.kubelet._workers.values())
    shims = [worker.containers["main"].current.shim.pid for worker in workers]
    processes = [pid for shim in shims for pid in (shim, *descendants(parents(), shim))]
    began = time.monotonic()
    await any_lab.kubelet.stop()
    assert time.monotonic() - began < 40, "their grace is 300 s"
    assert [pid for pid in processes if process_start(pid)] == []
    assert not (any_lab.folder / "pods").exists()


async def test_many_pods_leak_no_file_descriptor_and_no_zombie(lab):
    """What a pod held is given back when it is gone."""
    await lab.output("warm", ["true"])
    before, known = open_files(), children()
    for number in range(6):
        lab.run(f"p{number}", ["sh", "-c", "echo hi"], tty=number % 2 == 0, stdin=number % 3 == 0)
    for number in range(6):
        await lab.phase(f"p{number}", "Succeeded")
        lab.delete(f"p{number}", 0)
        await lab.gone(f"p{number}")
    await until(lambda: open_files() <= before, within_s=30)
    await until(lambda: not [pid for pid in children() - known if not process_start(pid)], within_s=30)


async def test_a_kubelet_can_be_stopped_before_its_pods_have_started(lab):
    """In the middle of everything."""
    known = children()
    for number in range(5):
        lab.run(f"p{number}", ["sleep", "1000"])
    await asyncio.sleep(0.01)
    await lab.kubelet.stop()
    assert [pid for pid in children() - known if process_start(pid)] == []


async def test_the_node_says_how_containers_are_isolated(any_lab):
    """As an annotation; with the machine's resources."""
    node = any_lab.store.get("nodes", "", "podrunner-local")
    assert node["metadata"]["annotations"]["local.podrunner.io/isolation"] == any_lab.kubelet.node.isolation
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "podrunner-local"
    assert node["status"]["allocatable"]["cpu"] == str(os.cpu_count())
