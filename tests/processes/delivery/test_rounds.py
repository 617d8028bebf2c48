"""Schedulers that are killed between any two steps: each attempt runs once, and its outcome is delivered and true.

Real processes: a LocalCluster, the schedulers, the pods. ``ROUNDS=20`` plays more rounds than the five of CI;
``SEED=17`` plays that round alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.processes.delivery.campaign import Place, play, report
from tests.processes.delivery.judge import judge
from tests.processes.delivery.plan import Round

ROUNDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("ROUNDS", "5")))
PODS = 200

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]


@pytest.mark.parametrize("seed", ROUNDS)
def test_each_attempt_runs_once_and_its_outcome_is_delivered(place: Place, tmp_path: Path, seed: int):
    """Whatever the moment of each kill, a witness and the pods' own traces agree with what was stored."""
    plan = Round.of(seed, PODS)
    played = play(plan, place, tmp_path)
    assert judge(played.exhibits) == [], report(played)
    assert "killed" in played.ends, report(played)
