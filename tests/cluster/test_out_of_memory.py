"""The kernel kills a container that exceeds its memory limit."""

from __future__ import annotations

import pytest
from podrunner import Category, Fault, Resources

pytestmark = pytest.mark.anyio


async def test_oom_killed(outcome_of, workload):
    """P6: out of memory, with the container's name and the tail of its log."""
    greedy = "echo hungry; exec python3 -c \"x = [b'.' * 2**20 for _ in range(300)]\""
    outcome = await outcome_of(workload(greedy, resources=Resources(memory_limit="64Mi")))
    assert (outcome.category, outcome.fault) == (Category.OOM_KILLED, Fault.WORKLOAD)
    assert (outcome.container, outcome.reason, outcome.exit_code) == ("base", "OOMKilled", 137)
    assert outcome.message.startswith("container base was OOM-killed (limit 64Mi) by signal 9 (SIGKILL)")
    assert outcome.started
    assert outcome.log_tail == ("hungry",)
