"""Schedulers that are killed between any two steps, on a real node: each attempt runs once, its outcome is delivered.

The programs, the witness and the judge are those of ``tests/processes/delivery``. The pods leave their side effects in
a folder of this machine: that needs our own node.
"""

from __future__ import annotations

import os

import pytest
from tests.processes.delivery.campaign import Place, play, report
from tests.processes.delivery.judge import judge
from tests.processes.delivery.plan import Round

ROUNDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("ROUNDS", "2")))
PODS = 40

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("seed", ROUNDS)
def test_each_attempt_runs_once_and_its_outcome_is_delivered(
    node, cluster, kubeconfig, namespace, tmp_path, seed
):
    """Whatever the moment of each kill, a witness and the pods' own traces agree with what was stored."""
    place = Place(kubeconfig=kubeconfig, namespace=namespace, image=cluster.image, open_http=cluster.http)
    played = play(Round.of(seed, PODS), place, tmp_path)
    assert judge(played.exhibits) == [], report(played)
    assert "killed" in played.ends, report(played)
