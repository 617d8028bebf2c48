"""A result comes back from a container that ended, on a cluster that runs processes."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, ClosePolicy, EventKind, PodRunner, RunnerConfig, Workload
from tests.support.event_loops import asyncio_only

pytestmark = [pytest.mark.processes]

PATH = "/podrunner-test/results/return.json"


anyio_backend = asyncio_only


def leaves(name: str, script: str, **fields: Any) -> Workload:
    command = ["sh", "-c", script, PATH]
    return Workload(key={"test": name}, command=command, result_path=PATH, **fields)


def test_what_a_container_leaves_comes_with_its_outcome(config: RunnerConfig):
    """Not cut and not changed: as long as a result may be; too long, none at all, and why. A failure has none."""
    text = 'printf \'{"rows": 3, "name": "Zoë"}\' > "$0"'
    zeros = "head -c {} /dev/zero | tr '\\000' x > \"$0\""
    workloads = [
        leaves("small", text),
        leaves("largest", zeros.format(1024 * 1024)),
        leaves("too-large", zeros.format(1024 * 1024 + 1)),
        leaves("nothing", "exit 0"),
        leaves("failed", f"{text}; exit 3"),
    ]
    with PodRunner(config) as runner:
        pods = runner.launch_many(workloads)
        small, largest, too_large, nothing, failed = [pod.wait(50) for pod in pods]
    assert json.loads(small.result or "") == {"rows": 3, "name": "Zoë"}
    assert largest.result == "x" * 1024 * 1024
    assert (too_large.succeeded, too_large.result) == (True, None)
    assert "larger than 1048576 bytes" in str(too_large.result_error)
    assert (nothing.succeeded, nothing.result) == (True, None)
    assert "no such file" in str(nothing.result_error)
    assert (failed.category, failed.result, failed.result_error) == (Category.FAILED, None, None)


@pytest.mark.anyio
async def test_a_successor_reads_what_a_predecessors_pod_left(config: RunnerConfig):
    """The pod waits until the result is read, and ends on SIGTERM."""
    workload = leaves("left", 'sleep 1; echo done > "$0"', termination_grace_period_s=300)
    async with AsyncPodRunner(config, on_exit=ClosePolicy.DETACH) as first:
        left = await first.launch(workload)
    async with AsyncPodRunner(config) as second, second.events() as events:
        (pod,) = await second.adopt()
        assert pod.uid == left.uid
        assert (await pod.wait(50)).result == "done\n"
        with anyio.fail_after(50):
            async for event in events:
                if event.kind is EventKind.DELETED:
                    break
