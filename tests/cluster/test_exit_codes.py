"""How a container ended is told as the kernel and containerd saw it."""

from __future__ import annotations

import pytest
from podrunner import AsyncPodRunner, Category, Fault

pytestmark = pytest.mark.anyio

ENDS = {
    "true": (Category.SUCCEEDED, 0, None),
    "exit 3": (Category.FAILED, 3, None),
    "exit 255": (Category.FAILED, 255, None),
    "python3 -c 'import os; os.kill(os.getpid(), 9)'; exit $?": (Category.FAILED, 137, 9),
    "python3 -c 'import os; os.kill(os.getpid(), 11)'; exit $?": (Category.FAILED, 139, 11),
}


async def test_exit_codes_and_signals(config, workload):
    """Each end has its exit code, and the signal if there was one."""
    async with AsyncPodRunner(config) as runner:
        launched = await runner.launch_many([workload(script) for script in ENDS])
        outcomes = [await pod.wait(60) for pod in launched]
    told = {
        script: (outcome.category, outcome.exit_code, outcome.signal)
        for script, outcome in zip(ENDS, outcomes, strict=True)
    }
    assert told == ENDS


async def test_a_failure_keeps_the_last_words(outcome_of, workload):
    """The log's tail comes with the outcome, and the fault is the workload's.

    Two streams are two pipes to containerd: which of two lines it reads first is luck.
    """
    outcome = await outcome_of(workload("echo one; echo two; echo three >&2; exit 1"))
    assert (outcome.fault, outcome.started) == (Fault.WORKLOAD, True)
    assert [line for line in outcome.log_tail if line != "three"] == ["one", "two"]
    assert "three" in outcome.log_tail


async def test_a_failed_pod_stays_to_be_looked_at(config, workload, pods):
    """The kubelet tells of the container's end before the pod's: that is no reason to delete it."""
    async with AsyncPodRunner(config) as runner:
        launched = await runner.launch_many([workload("exit 1") for _ in range(5)])
        for pod in launched:
            await pod.wait(60)
    assert [pod["metadata"].get("deletionTimestamp") for pod in pods()] == [None] * 5


async def test_a_program_that_is_not_there(outcome_of, workload):
    """The runtime cannot start it: that is the configuration's fault, and nothing of ours ever ran."""
    outcome = await outcome_of(workload("").model_copy(update={"command": ("/no/such/program",)}))
    assert (outcome.category, outcome.fault) == (Category.CONTAINER_CONFIG, Fault.CONFIGURATION)
    assert not outcome.started
    assert "/no/such/program" in outcome.message
