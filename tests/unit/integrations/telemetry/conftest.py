"""Telemetry on asyncio in real time and on trio in virtual time, against the real libraries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from podrunner.runner import AsyncPodRunner, RunnerHooks
from tests.support.event_loops import both_in_virtual_time
from tests.unit.runner.harness import Cluster, configured, until, workload

anyio_backend = both_in_virtual_time


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def hooked():
    """Opens a runner with hooks on a cluster in memory."""

    @asynccontextmanager
    async def open_runner(
        cluster: Cluster, *hooks: RunnerHooks, **options: object
    ) -> AsyncIterator[AsyncPodRunner]:
        sinks = options.pop("log_sinks", None)
        runner = AsyncPodRunner(
            configured(**options),
            client=cluster.client(),
            on_exit="detach",
            random=Random(1),
            hooks=hooks,
            log_sinks=sinks,
        )
        async with runner:
            await runner.wait_synced()
            yield runner

    return open_runner


@pytest.fixture
def play():
    """Launches a pod and plays its life."""

    async def life(
        runner: AsyncPodRunner, cluster: Cluster, number: int = 1, *, exit_code: int = 0, **fields
    ):
        pod = runner.submit(workload(number, **fields))
        await until(lambda: pod.uid)
        cluster.play(pod.name, exit_code)
        await pod.wait(5)
        return pod

    return life
