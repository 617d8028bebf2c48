"""Plays a round in which a scheduler is stopped past its Lease while it follows logs, and comes back to a successor."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.processes.delivery.campaign import Place, Scene
from tests.processes.delivery.judge import Violation, judge
from tests.processes.delivery.plan import Attempt, Life, Round
from tests.processes.delivery.scheduler import FENCED
from tests.processes.delivery.witness import SeenPod, Witness
from tests.support.waiting import until_blocking

__all__ = ["LASTING_LEASE_S", "has_begun", "life", "play_stopped"]

PODS, LINES = 20, 6000
RUNS_S = 25.0
"""The pods write before the stop, during it and after it: when the scheduler wakes, lines wait in each connection."""

LASTING_LEASE_S = 60.0
"""Of the successor, which nothing stops but a busy machine."""

WITHIN_S = 240.0
STYLES = [("poll", "blocking"), ("events", "asyncio"), ("events", "trio"), ("wait", "asyncio")]


def life(number: int) -> Life:
    """Return a scheduler that adopts, and that nothing kills."""
    return Life(
        number=number,
        beat_s=0.5,
        waits_s=0.0,
        adopts=True,
        adopt_every_s=0.5,
        portion=None,
        takes=None,
        one_by_one=False,
        acknowledges="many",
        fuse=None,
    )


def has_begun(folder: Path, pods: int) -> bool:
    """Whether each log was begun."""
    logs = list((folder / "logs").glob("*/*/*.log"))
    return len(logs) == pods and all(path.stat().st_size for path in logs)


def is_taken_over(pods: Sequence[SeenPod]) -> bool:
    """Whether the successor has all pods that were left: on a busy node, some may be over before the stop."""
    taken = [len(pod.owners) > 1 for pod in pods]
    return any(taken) and all(is_taken or pod.removed_ns for pod, is_taken in zip(pods, taken, strict=True))


def play_stopped(seed: int, place: Place, folder: Path) -> list[Violation]:
    """Stop a scheduler at a moment that the seed chooses, wake it beside its successor, and judge what is left.

    Raises:
        AssertionError: A scheduler failed, or did not end.
    """
    random = Random(seed)
    scene = Scene(_plan(seed, *random.choice(STYLES)), place, folder)
    with Witness(place.open_http, place.namespace) as witness, scene.started(0) as first:
        until_blocking(lambda: has_begun(folder, PODS), within_s=120)
        time.sleep(random.uniform(0.0, 2.0))
        first.send_signal(signal.SIGSTOP)
        with scene.started(1) as second:
            pods = list(witness.pods.values())
            until_blocking(lambda: is_taken_over(pods), within_s=120)
            time.sleep(random.uniform(0.0, 2.0))
            first.send_signal(signal.SIGCONT)
            assert first.wait(WITHIN_S) == FENCED
            assert second.wait(WITHIN_S) == 0
        witness.catch_up()
    return judge(scene.exhibits(witness))


def _plan(seed: int, style: str, face: str) -> Round:
    """Return pods that outlive the stop."""
    return Round(
        seed=seed,
        style=style,
        mode="acknowledged",
        face=face,
        attempts=tuple(
            Attempt(task=task, number=1, exit_code=0, lines=LINES, runs_s=RUNS_S) for task in range(PODS)
        ),
        lives=(life(0), dataclasses.replace(life(1), lease_s=LASTING_LEASE_S)),
        has_runs=False,
        has_finalizer=False,
        keeps_failed=False,
        max_active=None,
    )
