"""A scheduler that is stopped for longer than its Lease and comes back while its successor works changes nothing."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path

import pytest
from tests.processes.delivery.campaign import Place, Scene
from tests.processes.delivery.judge import judge
from tests.processes.delivery.plan import Attempt, Round
from tests.processes.delivery.scheduler import FENCED
from tests.processes.delivery.stopped import LASTING_LEASE_S, has_begun, life
from tests.processes.delivery.witness import Witness
from tests.support.waiting import until_blocking

PODS, LINES = 20, 400
RUNS_S = 30.0
"""The pods write their logs before the stop, during it and after it."""

WITHIN_S = 240.0

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


def plan_of(style: str, mode: str, face: str) -> Round:
    """Pods that outlive the stop, and some that end meanwhile."""
    return Round(
        seed=1,
        style=style,
        mode=mode,
        face=face,
        attempts=tuple(
            Attempt(task=task, number=1, exit_code=0, lines=LINES, runs_s=RUNS_S / (1 + task % 3))
            for task in range(PODS)
        ),
        lives=(life(0), dataclasses.replace(life(1), lease_s=LASTING_LEASE_S)),
        has_runs=False,
        has_finalizer=False,
        keeps_failed=False,
        max_active=None,
    )


@pytest.mark.parametrize(
    ("style", "mode", "face"), [("poll", "taken", "blocking"), ("events", "acknowledged", "asyncio")]
)
def test_a_runner_that_comes_back_after_its_lease_changes_nothing(
    place: Place, tmp_path: Path, style: str, mode: str, face: str
):
    """Its successor has adopted the pods: each line of a log, each outcome and each pod is the successor's."""
    scene = Scene(plan_of(style, mode, face), place, tmp_path)
    with Witness(place.open_http, place.namespace) as witness, scene.started(0) as first:
        until_blocking(lambda: has_begun(tmp_path, PODS), within_s=120)
        first.send_signal(signal.SIGSTOP)
        with scene.started(1) as second:
            running = [pod for pod in witness.pods.values() if pod.terminated is None]
            until_blocking(lambda: any(len(pod.owners) > 1 for pod in running), within_s=120)
            first.send_signal(signal.SIGCONT)
            assert first.wait(WITHIN_S) == FENCED
            assert second.wait(WITHIN_S) == 0
        witness.catch_up()
    assert judge(scene.exhibits(witness)) == []
