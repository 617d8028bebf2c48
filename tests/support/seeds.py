"""Which random worlds the simulations play: few by default, ``SEEDS=1000`` plays more, ``SEED=17`` that one."""

from __future__ import annotations

import os

__all__ = ["SEEDS"]

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("SEEDS", "2")))
