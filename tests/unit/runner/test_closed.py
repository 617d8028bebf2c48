"""A call after the close says what was called, and what to do instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import podrunner
import pytest
from podrunner.errors import RunnerClosedError
from podrunner.runner import AsyncPod, AsyncPodRunner
from tests.unit.runner.harness import Cluster, running, workload

Call = Callable[[AsyncPodRunner, AsyncPod], Awaitable[object]]


async def launch(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    await runner.launch(workload(2))


async def launch_many(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    await runner.launch_many([workload(2)])


async def submit(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    runner.submit(workload(2))


async def submit_when_room(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    await runner.submit_when_room(workload(2))


async def submit_many(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    await runner.submit_many([workload(2)])


async def run_many(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    await runner.run_many([workload(2)])


async def adopt(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    await runner.adopt()


async def run(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    runner.run(workload(2))


async def progress(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    podrunner.progress(runner)


async def exec(runner: AsyncPodRunner, pod: AsyncPod) -> None:  # noqa: A001  # as the method's name
    await pod.exec(["true"])


async def manifest(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    await pod.manifest()


CALLS = [
    launch,
    launch_many,
    submit,
    submit_when_room,
    submit_many,
    run,
    run_many,
    adopt,
    progress,
    exec,
    manifest,
]


@pytest.mark.anyio
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_a_call_after_the_close(cluster: Cluster, call: Call):
    async with running(cluster, on_exit="cancel") as runner:
        pod = await runner.launch(workload())
        await runner.close("cancel")
        for _ in range(2):
            with pytest.raises(RunnerClosedError) as raised:
                await call(runner, pod)
            assert str(raised.value).startswith(f"`{call.__name__}` was called after the runner was closed")
            assert "block of a new runner" in str(raised.value)
    with pytest.raises(RunnerClosedError):
        await call(runner, pod)
    assert pod.result().category == "cancelled"
