"""How many pods were compared, and how often each difference was there: the tests count, the summary shows it."""

from __future__ import annotations

from collections import Counter

from tests.airflow_parity.cases import LINES

__all__ = ["PODS", "SEEN"]

PODS = "pods"
SEEN: dict[str, Counter[str]] = {line: Counter() for line in LINES}
