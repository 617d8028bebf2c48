"""The outcome has the exit code and the signal that the kernel and containerd report."""

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
        outcomes = [await pod.wait(150) for pod in launched]
    ends = {
        script: (outcome.category, outcome.exit_code, outcome.signal)
        for script, outcome in zip(ENDS, outcomes, strict=True)
    }
    assert ends == ENDS


async def test_a_failure_has_the_tail_of_its_log(outcome_of, workload):
    """The log's tail comes with the outcome, and the fault is the workload's.

    Each stream is a pipe to containerd, which may read either pipe first.
    """
    outcome = await outcome_of(workload("echo one; echo two; echo three >&2; exit 1"))
    assert (outcome.fault, outcome.started) == (Fault.WORKLOAD, True)
    assert [line for line in outcome.log_tail if line != "three"] == ["one", "two"]
    assert "three" in outcome.log_tail


async def test_a_failed_pod_is_retained(config, workload, pods):
    """The kubelet reports the container's end before the pod's: the runner does not delete the pod for that."""
    async with AsyncPodRunner(config) as runner:
        launched = await runner.launch_many([workload("exit 1") for _ in range(5)])
        for pod in launched:
            await pod.wait(150)
    assert [pod["metadata"].get("deletionTimestamp") for pod in pods()] == [None] * 5


async def test_a_missing_program(outcome_of, workload):
    """The runtime cannot start it: the fault is the configuration's, and the work did not begin."""
    outcome = await outcome_of(workload("").model_copy(update={"command": ("/no/such/program",)}))
    assert (outcome.category, outcome.fault) == (Category.CONTAINER_CONFIG, Fault.CONFIGURATION)
    assert not outcome.started
    assert "/no/such/program" in outcome.message
