"""The gap of ``wait``: with ``taken`` an outcome counts as delivered when ``wait`` returns it, before it is stored."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.processes.delivery.campaign import Place, Scene
from tests.processes.delivery.judge import Violation, judge
from tests.processes.delivery.plan import OVER_S, Attempt, Fuse, Life, Round
from tests.processes.delivery.witness import Witness
from tests.support.waiting import until_blocking

LOOKS_S = 3.0
"""How long a pod is watched that must not go: those of the other mode are gone in a fraction of a second."""

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


def life(number: int, *, fuse: Fuse | None, waits_s: float = 0.0, lease_s: float | None = None) -> Life:
    return Life(
        number=number,
        beat_s=0.2,
        waits_s=waits_s,
        adopts=True,
        adopt_every_s=None,
        portion=None,
        takes=None,
        one_by_one=False,
        acknowledges="key",
        fuse=fuse,
        lease_s=lease_s,
    )


def gap(seed: int, mode: str) -> Round:
    """One attempt; the first scheduler stops between the return of ``wait`` and the storing."""
    return Round(
        seed=seed,
        style="wait",
        mode=mode,
        face="blocking",
        attempts=(Attempt(task=0, number=1, exit_code=0, lines=3, runs_s=0.0),),
        lives=(
            life(0, fuse=Fuse(kind="hang", match="taken")),
            life(1, fuse=None, waits_s=OVER_S, lease_s=60.0),
        ),
        has_runs=False,
        has_finalizer=False,
        keeps_failed=False,
        max_active=None,
    )


def test_taken_loses_what_wait_returned_before_it_was_stored(place: Place, tmp_path: Path):
    """The documented limit: the pod is gone, so the successor runs the attempt again, in a second pod."""
    scene = Scene(gap(1, "taken"), place, tmp_path)
    with Witness(place.open_http, place.namespace) as witness:
        with scene.started(0):
            until_blocking(lambda: any(pod.gone for pod in list(witness.pods.values())), within_s=60)
        assert scene.run(1) == "done"
        witness.catch_up()
    first, second = witness.pods
    assert [(violation.rule, violation.place) for violation in judge(scene.exhibits(witness))] == [
        ("one pod", (0, 1)),
        ("one effect", (0, 1)),
        ("kept until stored", (0, 1)),
        ("whole logs", (0, 1)),
    ]
    assert [record["uid"] for record in scene.exhibits(witness).journal if record["what"] == "outcome"] == [
        second
    ], first


def test_acknowledged_loses_nothing_there(place: Place, tmp_path: Path):
    """The pod stays until its outcome is acknowledged: the successor adopts it, and nothing runs again."""
    scene = Scene(gap(2, "acknowledged"), place, tmp_path)
    with Witness(place.open_http, place.namespace) as witness:
        with scene.started(0):
            until_blocking(lambda: any(pod.terminated for pod in list(witness.pods.values())), within_s=60)
            time.sleep(LOOKS_S)
        assert scene.run(1) == "done"
        witness.catch_up()
    violations: list[Violation] = judge(scene.exhibits(witness))
    assert violations == []
