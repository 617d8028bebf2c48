"""``exec`` through a real kubelet and containerd."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from podrunner import AsyncPodRunner

pytestmark = pytest.mark.anyio


@pytest.fixture
def sleeper(config, workload):
    """Return a function that launches a pod that sleeps."""

    @asynccontextmanager
    async def opened():
        script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"
        async with AsyncPodRunner(config, on_exit="cancel") as runner:
            pod = await runner.launch(workload(script, env={"COLOUR": "green"}))
            async with pod.logs() as lines:
                assert await anext(aiter(lines)) == "ready"
            yield pod

    return opened


async def test_output_and_exit_code_of_a_command(sleeper):
    """Separate streams, the exit code, the container's environment."""
    async with sleeper() as pod:
        done = await pod.exec(["sh", "-c", "echo $COLOUR; echo oh >&2; exit 7"])
    assert (done.stdout, done.stderr, done.exit_code) == (b"green\n", b"oh\n", 7)


async def test_large_input_and_output(sleeper):
    """A megabyte of input and of output, unchanged."""
    sent = bytes(range(256)) * 4096
    async with sleeper() as pod:
        done = await pod.exec(["head", "-c", str(len(sent))], stdin=sent)
    assert (done.exit_code, done.stdout == sent) == (0, True)
