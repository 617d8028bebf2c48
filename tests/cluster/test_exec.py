"""``exec`` through a real kubelet and containerd."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from podrunner import AsyncPodRunner

pytestmark = pytest.mark.anyio


@pytest.fixture
def sleeper(config, workload):
    """Opens a pod that waits to be looked into."""

    @asynccontextmanager
    async def opened():
        script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"
        async with AsyncPodRunner(config, on_exit="cancel") as runner:
            pod = await runner.launch(workload(script, env={"COLOUR": "green"}))
            async with pod.logs() as lines:
                assert await anext(aiter(lines)) == "ready"
            yield pod

    return opened


async def test_what_a_command_says_and_how_it_ends(sleeper):
    """Both streams apart, the exit code, the container's environment."""
    async with sleeper() as pod:
        done = await pod.exec(["sh", "-c", "echo $COLOUR; echo oh >&2; exit 7"])
    assert (done.stdout, done.stderr, done.exit_code) == (b"green\n", b"oh\n", 7)


async def test_standard_input_and_much_output(sleeper):
    """A megabyte in, a megabyte out, byte for byte."""
    sent = bytes(range(256)) * 4096
    async with sleeper() as pod:
        done = await pod.exec(["head", "-c", str(len(sent))], stdin=sent)
    assert (done.exit_code, done.stdout == sent) == (0, True)
