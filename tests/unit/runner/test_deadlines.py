"""Deadlines of pods, lost nodes and stale knowledge, in virtual time."""

from __future__ import annotations

import datetime as dt
import json

import anyio
import pytest
from podrunner import AsyncPodRunner
from podrunner.errors import ForbiddenError, RunnerClosedError, StaleError
from podrunner.outcome import Category
from podrunner.runner.supervisor import Supervisor
from tests.support.event_loops import virtual_time
from tests.support.fake_server import EPOCH
from tests.unit.runner.harness import Cluster, configured, kinds, running, until, workload

pytestmark = pytest.mark.anyio

NO_CPU = "0/3 nodes are available: 3 Insufficient cpu."


def virtual_now() -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=anyio.current_time() % 1_000_000)


anyio_backend = virtual_time


async def test_an_image_that_cannot_be_had_is_given_up_and_the_pod_deleted_first(cluster: Cluster):
    """P1, P3: A grace, then the pod goes, then its outcome."""
    async with running(cluster, pending={"image_grace_s": 120}) as runner:
        pod = await runner.launch(workload())
        began = anyio.current_time()
        cluster.wait_for_image(pod.name)
        outcome = await pod.wait()
        assert outcome.category is Category.IMAGE
        assert 119 <= anyio.current_time() - began <= 125
        assert not cluster.pods
        await until(lambda: not runner.pods())
        assert kinds(runner) == ["created", "finished", "deleted"]


async def test_an_image_that_comes_at_last_is_no_failure(cluster: Cluster):
    """P1: a registry's hiccup passes."""
    async with running(cluster, pending={"image_grace_s": 120}) as runner:
        pod = await runner.launch(workload())
        cluster.wait_for_image(pod.name)
        await anyio.sleep(60)
        cluster.run(pod.name)
        await anyio.sleep(300)
        cluster.finish(pod.name)
        assert (await pod.wait()).succeeded


async def test_a_pod_that_finishes_while_it_is_given_up_keeps_its_own_outcome(cluster: Cluster):
    """P3: what ended by itself before the deletion is reported as it was."""
    cluster.fail("DELETE", times=2, status=500)
    async with running(cluster, pending={"startup_timeout_s": 10}) as runner:
        pod = await runner.launch(workload())
        await until(lambda: cluster.count("DELETE", "/pods") >= 1, within_s=60)
        cluster.muted = False
        cluster.play(pod.name)
        assert (await pod.wait()).category is Category.SUCCEEDED


async def test_a_pod_that_does_not_start_in_time_is_given_up(cluster: Cluster):
    """P3: the start-up deadline."""
    async with running(cluster, pending={"startup_timeout_s": 30}) as runner:
        pod = await runner.launch(workload())
        assert (await pod.wait(100)).category is Category.STARTUP_TIMEOUT
        assert not cluster.pods


async def test_a_pod_that_runs_too_long_is_ended(cluster: Cluster):
    """The run deadline."""
    async with running(cluster, run_timeout_s=100) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        began = anyio.current_time()
        outcome = await pod.wait()
        assert (outcome.category, outcome.started) == (Category.DEADLINE, True)
        assert 99 <= anyio.current_time() - began <= 105
        await until(lambda: not cluster.pods)


async def test_a_pod_that_finds_no_node_in_time_is_given_up(cluster: Cluster):
    """P2: the schedule deadline, with its cause."""
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_CPU}
    async with running(cluster, pending={"unschedulable_grace_s": 60}) as runner:
        pod = await runner.launch(workload())
        cluster.change(pod.name, status={"phase": "Pending", "conditions": [unschedulable]})
        began = anyio.current_time()
        outcome = await pod.wait(200)
        assert (outcome.category, outcome.started) == (Category.UNSCHEDULABLE, False)
        assert "cpu" in outcome.message
        assert 59 <= anyio.current_time() - began <= 65
        assert not cluster.pods


@pytest.mark.parametrize("deadline", ["run", "startup"])
async def test_a_restart_of_the_scheduler_does_not_prolong_a_deadline(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, deadline: str
):
    """A5: each successor would begin to count anew."""
    monkeypatch.setitem(Supervisor.__init__.__kwdefaults__, "now", virtual_now)
    settings = {"run": {"run_timeout_s": 100}, "startup": {"pending": {"startup_timeout_s": 100}}}[deadline]
    async with running(cluster, **settings) as runner:
        pod = await runner.launch(workload())
        if deadline == "run":
            cluster.run(pod.name)
        began = anyio.current_time()
        await anyio.sleep(80)
    async with running(cluster, **settings) as runner:
        (pod,) = await runner.adopt()
        expected = {"run": Category.DEADLINE, "startup": Category.STARTUP_TIMEOUT}[deadline]
        assert (await pod.wait(200)).category is expected
        assert 98 <= anyio.current_time() - began <= 107
        await until(lambda: not cluster.pods)


async def test_a_dead_node_does_not_keep_a_pod_terminating_for_ever(cluster: Cluster):
    """P9: a bounded wait, then the outcome without the node's word."""
    cluster.obedient = False
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        await pod.cancel(grace_period_s=30)
        assert (await pod.wait(200)).category is Category.CANCELLED
        assert len(cluster.pods) == 1


async def test_a_pod_that_another_client_deletes_on_a_dead_node_is_lost(cluster: Cluster):
    """P9."""
    cluster.obedient = False
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        cluster.mark_deleted(pod.name)
        began = anyio.current_time()
        assert (await pod.wait(1000)).category is Category.NODE_LOST
        assert (
            329 <= anyio.current_time() - began <= 345
        )  # 300 s beyond its grace, and a moment for its final status


@pytest.mark.parametrize("forced", [True, False])
async def test_what_is_lost_is_deleted_by_force_only_if_wanted(cluster: Cluster, *, forced: bool):
    """P9: a silent node cannot end it."""
    cluster.obedient = False
    async with running(cluster, force_delete_lost=forced, node_lost_grace_s=60) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        began = anyio.current_time()
        cluster.phase(pod.name, "Unknown", reason="NodeLost")
        outcome = await pod.wait(1000)
        assert (outcome.category, outcome.retryable) == (Category.NODE_LOST, True)
        assert 59 <= anyio.current_time() - began <= 75
        assert not cluster.pods if forced else cluster.pods


async def test_a_deletion_without_grace_that_hangs_is_not_waited_for_as_if_it_had_one(cluster: Cluster):
    """P9: something holds the pod."""
    cluster.obedient = False
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.fail("DELETE", status=200, body=b"{}")
        began = anyio.current_time()
        await pod.cancel(grace_period_s=0)
        assert (await pod.wait(1000)).category is Category.CANCELLED
        assert anyio.current_time() - began <= 65


async def test_stale_knowledge_raises(cluster: Cluster):
    """W8: An interrupted watch is never served as if it were the truth."""
    async with running(cluster, watch={"stale_after_s": 60}) as runner:
        pod = await runner.launch(workload())
        cluster.fail("GET", times=10_000, refuse=True)
        cluster.break_watches()
        await anyio.sleep(100)
        assert runner.health().stale
        with pytest.raises(StaleError):
            _ = pod.status
        with pytest.raises(StaleError):
            await pod.wait(1)
        cluster.faults.clear()
        await anyio.sleep(60)
        assert pod.status == "Pending"
        with pytest.raises(TimeoutError):
            await pod.wait(1)


async def test_readers_of_events_hear_of_stale_knowledge_and_go_on(cluster: Cluster):
    """W8."""
    async with running(cluster, watch={"stale_after_s": 60}) as runner, runner.events() as events:
        pod, other = [await runner.launch(workload(number)) for number in range(2)]
        cluster.play(other.name)
        await other.wait(5)
        await until(lambda: len(cluster.pods) == 1)
        await anyio.sleep(1)
        runner.poll_events()
        events.poll()
        cluster.fail("GET", times=10_000, refuse=True)
        cluster.break_watches()
        with anyio.fail_after(70):
            (event,) = await events.next_batch()
        assert (event.kind, event.uid, event.status) == ("stale", pod.uid, "Pending")
        assert "interrupted for 6" in event.message
        await anyio.sleep(600)
        assert events.poll() == []
        cluster.faults.clear()
        with anyio.fail_after(60):
            (event,) = await events.next_batch()
        assert (event.kind, event.uid, event.message) == ("recovered", pod.uid, "")
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        assert kinds(runner, pod) == ["stale", "recovered", "finished"]


async def test_the_lease_is_renewed_as_long_as_the_runner_lives(cluster: Cluster):
    """A3: a living owner keeps its pods."""
    async with running(cluster, owner="me") as runner:
        await anyio.sleep(3600)
        assert runner.health().lease == "held"
        assert cluster.count("PUT", "/leases") == pytest.approx(180, abs=2)


async def test_a_passing_failure_of_the_lease_is_survived_and_a_long_one_fences(cluster: Cluster):
    """A3: fencing."""
    async with running(cluster, owner="me") as runner:
        cluster.fail("PUT", "/leases", times=2, refuse=True)
        await anyio.sleep(120)
        assert runner.health().lease == "held"
        cluster.fail("PUT", "/leases", times=100, refuse=True)
        await anyio.sleep(120)
        assert "not renewed" in runner.health().lease


async def test_a_deleted_lease_is_made_again(cluster: Cluster):
    async with running(cluster, owner="me") as runner:
        cluster.leases.clear()
        await anyio.sleep(60)
        assert "podrunner-me" in cluster.leases
        assert runner.health().lease == "held"


async def test_a_pod_never_seen_by_the_watch_and_gone_has_an_outcome(cluster: Cluster):
    """W7: created and deleted while the watch was broken; nothing but a look by name can tell."""
    async with running(cluster) as runner:
        cluster.muted = True
        pod = await runner.launch(workload())
        cluster.remove(pod.name)
        cluster.compact()
        cluster.muted = False
        cluster.break_watches()
        assert (await pod.wait(60)).category is Category.DELETED_BY_OTHERS


MISSING = 'pods is forbidden: User "u" cannot watch resource "pods" in API group ""'


async def test_a_right_to_watch_that_is_missing_is_reported_and_never_waited_for_without_end(
    cluster: Cluster,
):
    """W8, from the very first: `wait_synced` raises why, events report it, and closing ends the wait."""
    body = json.dumps({"kind": "Status", "code": 403, "reason": "Forbidden", "message": MISSING}).encode()
    cluster.fail("GET", "/pods?", status=403, body=body, times=10_000)
    config = configured(watch={"stale_after_s": 60})
    async with AsyncPodRunner(config, client=cluster.client(), on_exit="detach") as runner:
        pod = await runner.launch(workload())
        with anyio.fail_after(1), pytest.raises(ForbiddenError, match="cannot watch"):
            await runner.wait_synced()
        await anyio.sleep(70)
        stale = [event.uid for event in runner.poll_events() if event.kind == "stale"]
        assert stale == [pod.uid]
    with anyio.fail_after(1), pytest.raises(RunnerClosedError):
        await runner.wait_synced()
