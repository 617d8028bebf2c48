"""The page about a real API server shows the figures that were measured."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "benchmarks"


def test_the_table_is_the_figures(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # the programs import each other
    kwok_walk = import_module("kwok_walk")
    figures = json.loads((PAGES / "real-server.json").read_text(encoding="utf-8"))
    summary = kwok_walk.summary(figures["rounds"])
    assert kwok_walk.table(summary) in (PAGES / "real-server.md").read_text(encoding="utf-8")
