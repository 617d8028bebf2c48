"""Programs that are cancelled anywhere, once or twice, in both faces: opening, launching, waiting, cancelling, closing.

Whatever the moment, nothing is left: no pod that is not over, no Lease, task, thread, descriptor or file; and the pods
that are over are a successor's. ``ROUNDS=300`` plays more rounds than the five of CI; ``SEED=17`` plays that one alone.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.processes.closing.programs import Plan, play_and_judge
from tests.processes.delivery.campaign import Place

ROUNDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("ROUNDS", "5")))

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Ctrl-C works here, even where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("seed", ROUNDS)
def test_wherever_a_program_is_cancelled_nothing_is_left(
    place: Place, tmp_path: Path, temporary: Path, seed: int
):
    """H3."""
    play_and_judge(Plan(seed, place, tmp_path, own_clusters=0.1), place, temporary=temporary)
