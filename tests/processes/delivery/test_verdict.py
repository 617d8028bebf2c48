"""A scheduler that its successor takes for dead, long before its Lease is over, and that is alive after all."""

from __future__ import annotations

import dataclasses
import signal
import time
from pathlib import Path

import pytest
from tests.processes.delivery.campaign import Place, Scene
from tests.processes.delivery.judge import judge
from tests.processes.delivery.plan import Attempt, Round
from tests.processes.delivery.scheduler import FENCED
from tests.processes.delivery.stopped import has_begun, life
from tests.processes.delivery.witness import Witness
from tests.support.waiting import until_blocking

PODS, LINES = 9, 300
RUNS_S = 12.0
"""A third of the pods end after this time, the others in a half or a third of it."""

LEASE_S = 300.0
"""No Lease runs out in this test."""

WITHIN_S = 120.0

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]


def plan_of(style: str, mode: str, face: str) -> Round:
    """Pods that end before the successor adopts, while the other scheduler is stopped, and after it woke."""
    return Round(
        seed=1,
        style=style,
        mode=mode,
        face=face,
        attempts=tuple(
            Attempt(task=task, number=1, exit_code=0, lines=LINES, runs_s=RUNS_S / (1 + task % 3))
            for task in range(PODS)
        ),
        lives=(life(0), dataclasses.replace(life(1), judges_dead=True)),
        has_runs=False,
        has_finalizer=False,
        keeps_failed=False,
        max_active=None,
        lease_s=LEASE_S,
    )


def test_a_stopped_runner_that_was_taken_for_dead_changes_nothing_when_it_wakes(place: Place, tmp_path: Path):
    """A3: one launch, one outcome and one writer of each log, though its Lease is not over for minutes."""
    scene = Scene(plan_of("poll", "taken", "blocking"), place, tmp_path)
    with Witness(place.open_http, place.namespace) as witness, scene.started(0) as first:
        until_blocking(lambda: has_begun(tmp_path, PODS), within_s=120)
        first.send_signal(signal.SIGSTOP)
        time.sleep(RUNS_S / 4)  # pods end, and the stopped scheduler has their records in its connection
        with scene.started(1) as second:
            until_blocking(lambda: any(len(pod.owners) > 1 for pod in witness.pods.values()), within_s=120)
            first.send_signal(signal.SIGCONT)
            assert first.wait(WITHIN_S) == FENCED
            assert second.wait(WITHIN_S) == 0
        witness.catch_up()
    assert judge(scene.exhibits(witness)) == []
