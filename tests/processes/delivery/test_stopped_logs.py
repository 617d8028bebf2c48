"""A scheduler that is stopped past its Lease while it follows logs, and comes back while its successor writes them.

``ROUNDS=10`` plays more rounds than the two of CI; ``SEED=7`` plays that round alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.processes.delivery.campaign import Place
from tests.processes.delivery.stopped import play_stopped

ROUNDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("ROUNDS", "2")))

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", ROUNDS)
def test_a_scheduler_that_wakes_after_its_lease_writes_to_no_log(place: Place, tmp_path: Path, seed: int):
    """H4: each line is in its log once, wherever the scheduler was stopped, and whenever it comes back."""
    assert play_stopped(seed, place, tmp_path) == [], f"SEED={seed} plays it again"
