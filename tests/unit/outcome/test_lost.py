"""Deadlines of pods that do not end: silent nodes, deletions that hang, runs without end."""

from __future__ import annotations

import pytest
from podrunner.outcome import Category, lost_verdict, run_verdict, suspicion
from podrunner.outcome.record import Pod
from tests.support.pods import ended, pod, runs, waits


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (pod("Running", runs("base")), None),
        (pod("Running", runs("base"), reason="NodeLost"), "NodeLost"),
        (pod("Unknown", runs("base")), "Unknown"),
        (pod("Running", runs("base"), deleted_at=5, grace_s=30), "Terminating"),
        (pod("Succeeded", ended("base"), deleted_at=5), None),
    ],
)
def test_what_makes_a_node_suspect(record: Pod, why: str | None):
    """P9."""
    assert suspicion(record) == why
    assert lost_verdict(record, since_s=0, now_s=29, grace_s=30) is None


def test_a_silent_node_is_lost_after_a_bounded_wait():
    """P9; off, one by one: the cases of `suspicion`. Unknown, NodeLost, Terminating for ever on a dead node."""
    verdict = lost_verdict(pod("Unknown", runs("base")), since_s=10, now_s=40, grace_s=30)
    assert verdict is not None
    assert verdict.category is Category.NODE_LOST
    assert "node-1" in verdict.message


def test_a_deletion_has_its_own_grace_first():
    """P9: a pod may take as long as it was given, and then some."""
    record = pod("Running", runs("base"), deleted_at=5, grace_s=600)
    assert lost_verdict(record, since_s=0, now_s=629, grace_s=30) is None
    assert lost_verdict(record, since_s=0, now_s=630, grace_s=30) is not None


def test_a_run_has_its_limit_once_it_runs():
    running = pod("Running", runs("base"))
    assert run_verdict(running, started_s=0, now_s=60, limit_s=None) is None
    assert run_verdict(running, started_s=0, now_s=59, limit_s=60) is None
    assert run_verdict(pod("Pending", waits("base", "x")), started_s=0, now_s=99, limit_s=60) is None
    verdict = run_verdict(running, started_s=0, now_s=60, limit_s=60)
    assert verdict is not None
    assert verdict.category is Category.DEADLINE
