"""A scheduler that is stopped past its Lease, on a real node: it wakes, and leaves its successor's logs and pods alone.

The programs, the witness and the judge are those of ``tests/processes/delivery``. The pods leave their side effects in
a folder of this machine: that needs our own node. ``ROUNDS=10`` plays more rounds than one; ``SEED=7`` that one alone.
"""

from __future__ import annotations

import os

import pytest
from tests.processes.delivery.campaign import Place
from tests.processes.delivery.stopped import play_stopped

ROUNDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("ROUNDS", "1")))

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("seed", ROUNDS)
def test_a_scheduler_that_wakes_after_its_lease_changes_nothing(
    node, cluster, kubeconfig, namespace, tmp_path, seed
):
    """H4, A3: SIGSTOP, a successor that adopts and follows, SIGCONT: each line, outcome and pod is there once."""
    place = Place(kubeconfig=kubeconfig, namespace=namespace, image=cluster.image, open_http=cluster.http)
    assert play_stopped(seed, place, tmp_path) == [], f"SEED={seed} plays it again"
