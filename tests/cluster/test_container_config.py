"""Containers whose configuration is missing."""

from __future__ import annotations

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, Fault

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"secret_env": {"PASSWORD": "no-such-secret=key"}}, "no-such-secret"),
        ({"env_from_configmaps": ["no-such-map"]}, "no-such-map"),
    ],
)
async def test_a_missing_object_is_named(outcome_of, workload, pods, settings, named):
    """After the grace period the outcome names the missing object, and the pod is deleted."""
    outcome = await outcome_of(workload("true"), pending={"config_grace_s": 2}, **settings)
    assert (outcome.category, outcome.fault) == (Category.CONTAINER_CONFIG, Fault.CONFIGURATION)
    assert outcome.reason == "CreateContainerConfigError"
    assert named in outcome.message
    assert pods() == []


async def test_a_secret_that_is_created_later(config, workload, admin, namespace):
    """If the Secret is created within the grace period, the pod starts."""
    late = config.with_changes(secret_env={"PASSWORD": "late=key"}, pending={"config_grace_s": 150})
    secret = {"metadata": {"name": "late"}, "stringData": {"key": "hush"}}
    async with AsyncPodRunner(late) as runner:
        pod = await runner.launch(workload('test "$PASSWORD" = hush'))
        with anyio.fail_after(90):
            while pod.status != "CreateContainerConfigError":
                await anyio.sleep(0.05)
        admin.post(f"/api/v1/namespaces/{namespace}/secrets", json=secret).raise_for_status()
        assert (await pod.wait(150)).succeeded
