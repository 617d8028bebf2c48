"""Why a pod waits, while it waits, in virtual time."""

from __future__ import annotations

import datetime as dt

import anyio
import pytest
from podrunner import Category, Stage
from podrunner.runner.supervisor import Supervisor
from tests.support.event_loops import virtual_time
from tests.support.fake_server import EPOCH
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio

anyio_backend = virtual_time

NO_SECRET = 'secret "nope" not found'


def virtual_now() -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=anyio.current_time() % 1_000_000)


@pytest.fixture(autouse=True)
def _in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Supervisor.__init__.__kwdefaults__, "now", virtual_now)


def waits(cluster: Cluster, name: str, reason: str, message: str = "") -> None:
    state = {"waiting": {"reason": reason, "message": message}}
    cluster.change(name, status={"phase": "Pending", "containerStatuses": [{"name": "base", "state": state}]})


def scheduled(cluster: Cluster, name: str, status: str, reason: str = "", message: str = "") -> None:
    condition = {"type": "PodScheduled", "status": status, "reason": reason, "message": message}
    cluster.change(name, status={"phase": "Pending", "conditions": [condition]})


async def test_a_handle_says_why_its_pod_waits_and_until_when(cluster: Cluster):
    """P14: the cluster's words, as long as it waits; no request for it."""
    async with running(cluster, pending={"config_grace_s": 60}) as runner:
        pod = await runner.launch(workload())
        began = virtual_now()
        waits(cluster, pod.name, "CreateContainerConfigError", NO_SECRET)
        await anyio.sleep(10)
        requests = len(cluster.requests)
        found = pod.waiting
        assert found is not None
        assert (found.stage, found.reason, found.message, found.container) == (
            Stage.CREATING,
            "CreateContainerConfigError",
            NO_SECRET,
            "base",
        )
        assert found.gives_up_at is not None
        assert dt.timedelta(0) <= found.since - began <= dt.timedelta(seconds=3)
        assert found.gives_up_at - found.since == dt.timedelta(seconds=60)
        assert len(cluster.requests) == requests
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        assert pod.waiting is None


async def test_a_wait_that_is_over_too_soon_says_why_the_pod_waits(cluster: Cluster):
    """P14: the status, the cause, and what is left of the grace."""
    async with running(cluster, pending={"config_grace_s": 30}) as runner:
        pod = await runner.launch(workload())
        waits(cluster, pod.name, "CreateContainerConfigError", NO_SECRET)
        with pytest.raises(TimeoutError) as raised:
            await pod.wait(20)
        assert f"is CreateContainerConfigError: {NO_SECRET}; given up in 1" in str(raised.value)
        run = runner.run(workload(2))
        with pytest.raises(TimeoutError, match="is Pending; never given up"):
            await run.wait(5)


async def test_a_pod_that_runs_is_told_by_its_status(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        with pytest.raises(TimeoutError, match=r"after 5 s: it is Running$"):
            await pod.wait(5)


async def test_what_is_waited_for_without_a_limit_says_so(cluster: Cluster):
    """P11: a gate, then capacity, by default."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        scheduled(cluster, pod.name, "False", "SchedulingGated", "Scheduling is blocked")
        await anyio.sleep(5)
        gated = pod.waiting
        scheduled(cluster, pod.name, "False", "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.")
        await anyio.sleep(5)
        full = pod.waiting
        assert gated is not None
        assert full is not None
        assert (gated.stage, gated.reason, gated.gives_up_at) == (Stage.GATED, "SchedulingGated", None)
        assert (full.stage, full.reason, full.gives_up_at) == (Stage.SCHEDULING, "Unschedulable", None)
        assert "Insufficient cpu" in full.message


async def test_a_gate_that_opens_late_leaves_all_the_time_to_start(cluster: Cluster):
    """P11: gated for longer than ``startup_timeout_s``."""
    async with running(cluster, pending={"startup_timeout_s": 60}) as runner:
        pod = await runner.launch(workload())
        scheduled(cluster, pod.name, "False", "SchedulingGated")
        await anyio.sleep(600)
        scheduled(cluster, pod.name, "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")
        await anyio.sleep(50)
        cluster.run(pod.name)
        cluster.finish(pod.name)
        assert (await pod.wait(10)).succeeded


async def test_a_native_sidecar_that_cannot_start_ends_the_pod(cluster: Cluster):
    """P12: the main container waits for it, and it is started again and again."""
    sidecar = {"name": "proxy", "image": "x", "command": ["nope"]}
    async with running(cluster, pending={"config_grace_s": 10}) as runner:
        pod = await runner.launch(workload(sidecars=[sidecar]))
        failed = {"terminated": {"exitCode": 128, "reason": "StartError", "message": "no such file: nope"}}
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
        status = {
            "phase": "Pending",
            "initContainerStatuses": [{"name": "proxy", "state": waiting, "lastState": failed}],
            "containerStatuses": [{"name": "base", "state": {"waiting": {"reason": "PodInitializing"}}}],
        }
        cluster.change(pod.name, status=status)
        outcome = await pod.wait(75)
        assert (outcome.category, outcome.container, outcome.started) == (
            Category.CONTAINER_CONFIG,
            "proxy",
            False,
        )
        assert "no such file: nope" in outcome.message


async def test_events_tell_each_cause_once(cluster: Cluster):
    """P14: also if only the cause changes; a failed pull and its back-off take turns."""
    async with running(cluster) as runner, runner.events() as events:
        pod = await runner.launch(workload())
        for port in range(4):
            waits(cluster, pod.name, "ErrImagePull", f"dial tcp 10.0.0.{port}:443: i/o timeout")
            await anyio.sleep(1)
            waits(cluster, pod.name, "ImagePullBackOff", 'Back-off pulling image "x"')
            await anyio.sleep(1)
        waits(cluster, pod.name, "ErrImagePull", "manifest unknown")
        await anyio.sleep(1)
        told = [event.message for event in events.poll() if event.kind == "status-changed"]
        assert told == ["dial tcp 10.0.0.0:443: i/o timeout", "manifest unknown"]
        assert pod.status == "ErrImagePull"


async def test_events_tell_what_a_pod_without_a_node_waits_for(cluster: Cluster):
    """P2: the scheduler's words come when they change, and not with each number."""
    async with running(cluster) as runner, runner.events() as events:
        pod = await runner.launch(workload())
        said = [
            "0/3 nodes are available: 3 Insufficient cpu.",
            "0/4 nodes are available: 4 Insufficient cpu.",
            "0/4 nodes are available: 4 Insufficient memory.",
        ]
        for message in said:
            scheduled(cluster, pod.name, "False", "Unschedulable", message)
            await anyio.sleep(1)
        told = [event.message for event in events.poll() if event.kind == "status-changed"]
        assert told == [said[0], said[2]]
