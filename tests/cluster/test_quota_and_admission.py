"""Pods that the API server refuses: temporarily (quota), or permanently (admission)."""

from __future__ import annotations

import time

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, Fault
from podrunner.errors import ForbiddenError

pytestmark = pytest.mark.anyio


def create(admin, namespace, plural, **document):
    answer = admin.post(f"/api/v1/namespaces/{namespace}/{plural}", json=document)
    return answer.raise_for_status().json()


def until_refused(admin, namespace, word, **spec):
    """Wait until admission, which follows the cluster by watches of its own, refuses such a pod for this reason."""
    container = {"name": "base", "image": "localhost/nowhere:1"}
    pod = {"metadata": {"name": "asked"}, "spec": {"containers": [container], **spec}}
    deadline = time.monotonic() + 60
    while True:
        answer = admin.post(f"/api/v1/namespaces/{namespace}/pods", params={"dryRun": "All"}, json=pod)
        if answer.status_code == 403 and word in answer.text:
            return
        assert time.monotonic() < deadline, f"not refused: {answer.text}"
        time.sleep(0.1)


@pytest.fixture
def quota_for_two(admin, namespace):
    """Create a quota that counts the pods that have not ended."""
    create(admin, namespace, "resourcequotas", metadata={"name": "two"}, spec={"hard": {"pods": "2"}})
    deadline = time.monotonic() + 60
    while "hard" not in admin.get(f"/api/v1/namespaces/{namespace}/resourcequotas/two").json()["status"]:
        assert time.monotonic() < deadline, "the quota controller does not count"
        time.sleep(0.1)


async def test_an_exhausted_quota_delays_pods(config, workload, quota_for_two):
    """L3: pods over the quota wait; all of them run."""
    async with AsyncPodRunner(config) as runner:
        launched = [runner.submit(workload("sleep 0.2")) for _ in range(6)]
        outcomes = [await pod.wait(300) for pod in launched]
    assert [outcome.category for outcome in outcomes] == [Category.SUCCEEDED] * 6


async def test_a_quota_that_stays_exhausted(config, workload, admin, namespace, pods):
    """L3: after the last try the fault is the infrastructure's, and the outcome is retryable."""
    create(admin, namespace, "resourcequotas", metadata={"name": "none"}, spec={"hard": {"pods": "0"}})
    until_refused(admin, namespace, "exceeded quota")
    hasty = config.with_changes(create_retry={"attempts": 2, "initial_s": 0.1})
    async with AsyncPodRunner(hasty) as runner:
        outcome = await runner.submit(workload("true")).wait(120)
    assert (outcome.category, outcome.fault) == (Category.REJECTED_BY_API, Fault.INFRASTRUCTURE)
    assert outcome.retryable
    assert not outcome.started
    assert pods() == []


async def test_a_missing_service_account(config, workload):
    """L9, L12: admission refuses after a few tries, with the account's name; with `submit` this is the outcome."""
    wanted = workload("true", service_account_name="absent")
    async with AsyncPodRunner(config) as runner:
        with pytest.raises(ForbiddenError, match='serviceaccount "absent" not found'):
            await runner.launch(wanted)
        outcome = await runner.submit(wanted).wait(120)
    assert (outcome.category, outcome.fault) == (Category.REJECTED_BY_API, Fault.CONFIGURATION)
    assert (outcome.started, outcome.retryable) == (False, False)
    assert 'serviceaccount "absent" not found' in outcome.message


async def test_a_service_account_that_is_a_moment_late(config, workload, admin, namespace):
    """L12: the launch waits for it a short time."""
    wanted = workload("true", service_account_name="late")
    async with AsyncPodRunner(config) as runner:
        pod = runner.submit(wanted)
        await anyio.sleep(0.2)
        create(admin, namespace, "serviceaccounts", metadata={"name": "late"})
        assert (await pod.wait(150)).succeeded


async def test_a_limit_range(config, workload, admin, namespace):
    """L9: the server's message names the limit."""
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    create(admin, namespace, "limitranges", metadata={"name": "small"}, spec={"limits": limits})
    wanted = workload("true", resources={"memory_limit": "65Mi", "memory_request": "1Mi"})
    async with AsyncPodRunner(config) as runner:
        with pytest.raises(ForbiddenError, match="maximum memory usage per Container is 64Mi"):
            await runner.launch(wanted)


async def test_pod_security(config, workload, admin, namespace):
    """L9: in a namespace that enforces a Pod Security Standard, the message names the broken rule."""
    patch = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    kind = {"Content-Type": "application/merge-patch+json"}
    admin.patch(f"/api/v1/namespaces/{namespace}", json=patch, headers=kind).raise_for_status()
    until_refused(admin, namespace, "PodSecurity", hostNetwork=True)
    async with AsyncPodRunner(config) as runner:
        with pytest.raises(ForbiddenError, match=r"PodSecurity.*host namespaces"):
            await runner.launch(workload("true", overrides={"spec": {"hostNetwork": True}}))
