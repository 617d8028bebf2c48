"""Launcher, watch and outcome against a cluster: LocalCluster, or the Kubernetes of ``PODRUNNER_TEST_KUBECONFIG``."""

from __future__ import annotations

from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import anyio
import pytest
from podrunner.builder import build_plan
from podrunner.builder.labels import OWNER
from podrunner.kube import connect
from podrunner.launcher import Launched, Launcher, Occupied
from podrunner.outcome import Category, classify
from podrunner.watch import Kind, Reflector
from podrunner.workload import Workload
from tests.support.event_loops import asyncio_only

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from podrunner.config import RunnerConfig
    from podrunner.outcome import Outcome
    from podrunner.watch import Observation

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


anyio_backend = asyncio_only


class Scene:
    """A client, a launcher and a watch, in one namespace."""

    def __init__(self, client, config: RunnerConfig, *, streaming: str) -> None:
        self.client = client
        self.config = config
        self.reported: list[Observation] = []
        self.launcher = Launcher(client, owner="me", scope="default", config=config)
        self.reflector = Reflector(
            client,
            namespace=config.namespace,
            label_selector=f"{OWNER}=me",
            settings=config.watch.model_copy(update={"streaming_lists": streaming}),
            random=Random(1),
            sink=self._sink,
        )
        self._changed = anyio.Event()

    def _sink(self, batch: Sequence[Observation]) -> None:
        self.reported.extend(batch)
        self._changed.set()

    def plan(self, *command: str, task: str = "t"):
        return build_plan(self.config, Workload(key={"task": task}, command=list(command)))

    async def until(self, *kinds: Kind) -> Observation:
        """Wait for an observation of some kind."""
        with anyio.fail_after(120):
            while True:
                found = next((o for o in self.reported if o.kind in kinds), None)
                if found is not None:
                    return found
                await self.changed()

    async def outcome(self) -> Outcome:
        """Wait for the end of the pod."""
        with anyio.fail_after(120):
            while True:
                for observation in self.reported:
                    gone = observation.kind in {Kind.DELETED, Kind.VANISHED}
                    if outcome := classify(observation.pod, vanished=gone):
                        return outcome
                await self.changed()

    async def changed(self) -> None:
        self._changed = anyio.Event()
        await self._changed.wait()


@asynccontextmanager
async def scene(config: RunnerConfig, *, streaming: str = "auto") -> AsyncIterator[Scene]:
    async with connect(config) as client, anyio.create_task_group() as tasks:
        made = Scene(client, config, streaming=streaming)
        tasks.start_soon(made.reflector.run)
        with anyio.fail_after(90):
            await made.reflector.wait_synced()
        yield made
        tasks.cancel_scope.cancel()
    await anyio.sleep(0.1)  # asyncio closes sockets in the loop's next rounds


@pytest.mark.parametrize("streaming", ["off", "auto", "on"])
async def test_a_pod_is_launched_watched_and_understood(config: RunnerConfig, streaming: str):
    async with scene(config, streaming=streaming) as at:
        launched = await at.launcher.launch(at.plan("sh", "-c", "exit 3"))
        outcome = await at.outcome()
        assert (outcome.category, outcome.exit_code, outcome.started) == (Category.FAILED, 3, True)
        assert outcome.timings.created
        assert outcome.timings.scheduled
        assert await at.launcher.delete(config.namespace, launched.pod.metadata.name)
        await at.until(Kind.DELETED)
        health = at.reflector.health()
        assert (health.failures, health.relists, health.skipped, health.pods) == (0, 0, 0, 0)


async def test_a_running_pod_that_another_client_deletes_is_reported_as_such(config: RunnerConfig):
    """W5: the final status of a deleted pod says 143 or 137; the cause is the deletion."""
    async with scene(config) as at:
        launched = await at.launcher.launch(at.plan("sleep", "600"))
        while not any(o.pod.status.phase == "Running" for o in at.reported):
            with anyio.fail_after(120):
                await at.changed()
        await at.client.delete_pod(config.namespace, launched.pod.metadata.name, grace_period_s=1)
        assert (await at.outcome()).category is Category.DELETED_BY_OTHERS


async def test_an_unscheduled_pod_that_is_deleted_goes_at_once(config: RunnerConfig):
    """W5: it never had a node, a container status or a grace period."""
    nowhere = config.model_copy(update={"node_selector": {"example.com/no": "such-node"}})
    async with scene(nowhere) as at:
        launched = await at.launcher.launch(at.plan("true"))
        await at.client.delete_pod(config.namespace, launched.pod.metadata.name)
        outcome = await at.outcome()
        assert (outcome.category, outcome.started) == (Category.DELETED_BY_OTHERS, False)


async def test_a_relabelled_pod_has_left_and_comes_back(config: RunnerConfig):
    """A1: what another runner adopts is no end."""
    async with scene(config) as at:
        launched = await at.launcher.launch(at.plan("sleep", "600"))
        name = launched.pod.metadata.name
        await at.until(Kind.ADDED)
        await at.client.patch_pod(config.namespace, name, {"metadata": {"labels": {OWNER: "other"}}})
        left = await at.until(Kind.LEFT)
        assert (left.pod.metadata.labels or {})[OWNER] == "other"
        at.reported.clear()
        await at.client.patch_pod(config.namespace, name, {"metadata": {"labels": {OWNER: "me"}}})
        await at.until(Kind.ADDED)
        await at.launcher.delete(config.namespace, name, grace_period_s=0)


async def test_the_same_attempt_is_one_pod(config: RunnerConfig):
    """L1, L2: its name is taken; the pod that has it is left as it is."""
    async with scene(config) as at:
        plan = at.plan("sleep", "600")
        first = await at.launcher.launch(plan)
        assert isinstance(first, Launched)
        assert await at.launcher.launch(plan) == Occupied(None)
        other = Launcher(at.client, owner="other", scope="default", config=config)
        assert await other.launch(plan) == Occupied(None)
        found = await at.client.read_pod(config.namespace, plan.name)
        assert found.metadata.uid == first.pod.metadata.uid
        await at.launcher.delete(config.namespace, plan.name, grace_period_s=0)


async def test_a_cancelled_launch_leaves_nothing(config: RunnerConfig):
    """C1."""
    async with scene(config) as at:
        for delay_s in (0.0, 0.001, 0.003, 0.01):
            with anyio.move_on_after(delay_s) as scope:
                await at.launcher.launch(at.plan("sleep", "600", task=str(delay_s)))
            if not scope.cancelled_caught:
                await at.launcher.delete(
                    config.namespace, at.plan("x", task=str(delay_s)).name, grace_period_s=0
                )
        with anyio.fail_after(120):
            while (await at.client.list_pods(config.namespace)).items:  # a cluster has no event of ours
                await anyio.sleep(0.1)
