"""Pods that are ended: by their owner, with grace and without, and by their deadline."""

from __future__ import annotations

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, Fault

pytestmark = pytest.mark.anyio

POLITE = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


async def started(pod) -> None:
    async with pod.logs() as lines:
        async for line in lines:
            assert line == "ready"
            return


async def test_a_cancelled_pod_may_handle_sigterm(config, workload, tmp_path, pods):
    """It gets SIGTERM and its grace period; the log has what it writes then."""
    async with AsyncPodRunner(config.with_changes(logs={"folder": tmp_path})) as runner:
        pod = await runner.launch(workload(POLITE, log_path="polite.log"))
        await started(pod)
        await pod.cancel(grace_period_s=60)
        outcome = await pod.wait(150)
    assert (outcome.category, outcome.fault) == (Category.CANCELLED, Fault.CALLER)
    assert "bye" in (tmp_path / "polite.log").read_text()
    assert pods() == []


async def test_a_pod_that_ignores_sigterm_is_killed(config, workload, pods):
    """It is killed after the grace period of the cancellation; its own is longer than the test waits."""
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(workload(DEAF, termination_grace_period_s=3600))
        await started(pod)
        await pod.cancel(grace_period_s=1)
        assert (await pod.wait(150)).category is Category.CANCELLED
    assert pods() == []


async def test_a_pending_pod_is_cancelled(config, workload, pods):
    """C2: a pod that is cancelled before it starts is deleted."""
    wanted = workload("true", node_selector={"no": "such-node"})
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(wanted)
        await pod.cancel()
        outcome = await pod.wait(90)
    assert (outcome.category, outcome.started) == (Category.CANCELLED, False)
    assert pods() == []


async def test_the_kubelet_ends_a_pod_after_its_deadline(outcome_of, workload):
    """``active_deadline_s``: the pod's own limit."""
    outcome = await outcome_of(workload(POLITE, active_deadline_s=2))
    assert (outcome.category, outcome.reason) == (Category.DEADLINE, "DeadlineExceeded")


async def test_the_runner_ends_a_pod_after_its_timeout(outcome_of, workload, pods):
    """``run_timeout_s``: podrunner's own limit."""
    outcome = await outcome_of(workload(POLITE), run_timeout_s=1, delete_pods_on_failure=True)
    assert (outcome.category, outcome.started) == (Category.DEADLINE, True)
    assert pods() == []


async def test_another_client_deletes_the_pod(config, workload, admin, namespace):
    """W5: one outcome, which names the cause."""
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(workload("echo ready; sleep 600", termination_grace_period_s=1))
        await started(pod)
        admin.delete(f"/api/v1/namespaces/{namespace}/pods/{pod.name}").raise_for_status()
        with anyio.fail_after(150):
            outcome = await pod.wait()
    assert (outcome.category, outcome.fault) == (Category.DELETED_BY_OTHERS, Fault.INFRASTRUCTURE)
    assert outcome.started
