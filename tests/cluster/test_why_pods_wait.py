"""What a real kubelet shows of a pod that waits, cannot start, or is killed by a probe, and what becomes of it."""

from __future__ import annotations

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, Stage
from podrunner.builder.labels import OPENED

pytestmark = pytest.mark.anyio

MISSING = ["/no/such/program"]
GATE = {"name": "example.com/late"}
STARTS_WITHIN_S = 40
"""Longer than a busy node needs to start a pod; the test of the gate waits for longer still."""


def with_main(**fields) -> dict:
    """Overrides of the main container."""
    return {"spec": {"containers": [{"name": "base", **fields}]}}


async def waits(pod, reason: str):
    """Return what the pod waits for, once it is that."""
    with anyio.fail_after(120):
        while (found := pod.waiting) is None or found.reason != reason:
            await anyio.sleep(0.05)
    return found


@pytest.mark.parametrize("restart_policy", ["Never", "OnFailure"])
async def test_a_native_sidecar_that_cannot_start(outcome_of, workload, cluster, pods, restart_policy):
    """P12: the kubelet starts it again for ever; the main container waits for it."""
    sidecar = {"name": "proxy", "image": cluster.image, "command": MISSING}
    wanted = workload("true", sidecars=[sidecar], overrides={"spec": {"restartPolicy": restart_policy}})
    outcome = await outcome_of(wanted, pending={"config_grace_s": 10})
    assert (outcome.category, outcome.container) == (Category.CONTAINER_CONFIG, "proxy")
    assert "/no/such/program" in outcome.message
    assert not outcome.started
    assert pods() == []


async def test_a_main_container_that_is_restarted_and_can_never_start(outcome_of, workload, pods):
    """P12: under OnFailure the pod's phase may be Running though nothing ever ran."""
    overrides = with_main(command=MISSING)
    overrides["spec"]["restartPolicy"] = "OnFailure"
    outcome = await outcome_of(workload("true", overrides=overrides), pending={"config_grace_s": 20})
    assert (outcome.category, outcome.started) == (Category.CONTAINER_CONFIG, False)
    assert "/no/such/program" in outcome.message
    assert pods() == []


async def test_an_init_container_that_fails_again_and_again(outcome_of, workload, cluster, pods):
    """P12: its restarts have a grace of their own."""
    setup = {"name": "setup", "image": cluster.image, "command": ["sh", "-c", "exit 4"]}
    wanted = workload("true", init_containers=[setup], overrides={"spec": {"restartPolicy": "OnFailure"}})
    outcome = await outcome_of(wanted, pending={"crash_grace_s": 15})
    assert (outcome.category, outcome.container, outcome.started) == (Category.INIT_FAILED, "setup", False)
    assert "exit code 4" in outcome.message
    assert pods() == []


async def test_a_container_that_its_liveness_probe_kills(outcome_of, workload):
    """P15, V3: the status says only that signal 9 ended it."""
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    overrides = with_main(livenessProbe=probe)
    overrides["spec"]["terminationGracePeriodSeconds"] = 1
    outcome = await outcome_of(workload("trap '' TERM; sleep 60 & wait; sleep 60", overrides=overrides))
    assert (outcome.category, outcome.signal, outcome.started) == (Category.FAILED, 9, True)
    assert "liveness probe" in outcome.message.lower()


async def test_a_volume_that_never_comes(outcome_of, workload, pods):
    """P14: the pod's status says ContainerCreating, and the kubelet's event why."""
    volume = {"name": "v", "secret": {"secretName": "no-such-secret"}}
    overrides = with_main(volumeMounts=[{"name": "v", "mountPath": "/v"}])
    overrides["spec"]["volumes"] = [volume]
    outcome = await outcome_of(workload("true", overrides=overrides), pending={"creating_grace_s": 25})
    assert (outcome.category, outcome.reason) == (Category.STARTUP_TIMEOUT, "ContainerCreating")
    assert "FailedMount" in outcome.message
    assert "no-such-secret" in outcome.message
    assert pods() == []


async def test_a_missing_secret_is_told_while_the_pod_waits(config, workload):
    """P14: on the handle, in the events, and by a wait that is over too soon."""
    missing = config.with_changes(
        secret_env={"PASSWORD": "no-such-secret=key"}, pending={"config_grace_s": 300}
    )
    async with AsyncPodRunner(missing) as runner, runner.events() as events:
        pod = await runner.launch(workload("true"))
        found = await waits(pod, "CreateContainerConfigError")
        assert (found.stage, found.container) == (Stage.CREATING, "base")
        assert "no-such-secret" in found.message
        assert found.gives_up_at is not None
        with pytest.raises(TimeoutError, match=r"is CreateContainerConfigError: .*; given up in"):
            await pod.wait(1)
        told = [event.message for event in events.poll() if event.kind == "status-changed"]
        assert [message for message in told if "no-such-secret" in message] == [found.message]
        await pod.cancel()


async def test_a_gate_that_is_opened_late(config, workload, admin, namespace):
    """P11: the time to start begins when it opens."""
    late = config.with_changes(pending={"startup_timeout_s": STARTS_WITHIN_S})
    async with AsyncPodRunner(late) as runner:
        pod = await runner.launch(workload("true", overrides={"spec": {"schedulingGates": [GATE]}}))
        found = await waits(pod, "SchedulingGated")
        assert (found.stage, found.gives_up_at) == (Stage.GATED, None)
        await anyio.sleep(STARTS_WITHIN_S + 5)
        assert pod.outcome is None
        admin.patch(
            f"/api/v1/namespaces/{namespace}/pods/{pod.name}",
            json={"spec": {"schedulingGates": []}},
            headers={"content-type": "application/merge-patch+json"},
        ).raise_for_status()
        assert (await pod.wait(200)).succeeded


async def test_a_gate_that_opens_before_there_is_a_node_is_noted(config, workload, admin, namespace):
    """P11: for a successor, as no record shows when it opened; the server counts the change of the spec since 1.33."""
    gated = {"spec": {"schedulingGates": [GATE], "nodeSelector": {"example.com/no-such": "node"}}}
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(workload("true", overrides=gated))
        await waits(pod, "SchedulingGated")
        url = f"/api/v1/namespaces/{namespace}/pods/{pod.name}"
        assert admin.get(url).json()["metadata"].get("generation", 1) == 1
        admin.patch(
            url,
            json={"spec": {"schedulingGates": []}},
            headers={"content-type": "application/merge-patch+json"},
        ).raise_for_status()
        await waits(pod, "Unschedulable")
        with anyio.fail_after(120):
            while OPENED not in (found := admin.get(url).json()["metadata"])["annotations"]:
                await anyio.sleep(0.2)
        assert found.get("generation", 2) == 2
        await pod.cancel()


@pytest.mark.parametrize("is_forced", [False, True], ids=["by its kubelet", "by force"])
async def test_a_pod_that_is_deleted_before_it_starts(config, workload, admin, namespace, *, is_forced):
    """P10: a kubelet writes the final phase before it lets a pod go; without it the pod may have begun."""
    missing = config.with_changes(
        secret_env={"PASSWORD": "no-such-secret=key"}, pending={"config_grace_s": 300}
    )
    async with AsyncPodRunner(missing) as runner:
        pod = await runner.launch(workload("true"))
        await waits(pod, "CreateContainerConfigError")
        how = "?gracePeriodSeconds=0" if is_forced else ""
        admin.delete(f"/api/v1/namespaces/{namespace}/pods/{pod.name}{how}").raise_for_status()
        outcome = await pod.wait(200)
        assert outcome.category is Category.DELETED_BY_OTHERS
        assert outcome.started is is_forced
