"""Init containers that fail, and sidecars that would run for ever."""

from __future__ import annotations

import pytest
from podrunner import AsyncPodRunner, Category

pytestmark = pytest.mark.anyio

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


async def test_an_init_container_fails(outcome_of, workload, cluster):
    """The outcome has its name, exit code and log; the main container never started."""
    setup = {"name": "setup", "image": cluster.image, "command": ["sh", "-c", "echo no; exit 4"]}
    outcome = await outcome_of(workload("true", init_containers=[setup]))
    assert (outcome.category, outcome.container, outcome.exit_code) == (Category.INIT_FAILED, "setup", 4)
    assert not outcome.started
    assert outcome.log_tail == ("no",)


async def test_a_native_sidecar_does_not_hide_the_end(outcome_of, workload, cluster, pods):
    """P7: the main container decides."""
    sidecar = {"name": "proxy", "image": cluster.image, "command": FOREVER}
    outcome = await outcome_of(workload("exit 5", sidecars=[sidecar]), delete_pods_on_failure=True)
    assert (outcome.category, outcome.exit_code, outcome.container) == (Category.FAILED, 5, "base")
    assert pods() == []


async def test_a_second_container_does_not_hide_the_end(config, workload, cluster, pods):
    """P7: a plain container beside the main one keeps the pod Running; the outcome does not wait for it."""
    injected = {"spec": {"containers": [{"name": "istio", "image": cluster.image, "command": FOREVER}]}}
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(workload("echo done", overrides=injected))
        outcome = await pod.wait(150)
        assert (outcome.category, outcome.container) == (Category.SUCCEEDED, "base")
    assert pods() == []
