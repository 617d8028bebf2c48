"""The page of the comparison shows the figures that were measured, in its tables and its picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.executors.picture import drawn, table

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference" / "airflow-benchmark.md"


@pytest.mark.parametrize("name", ["airflow-executors", "airflow-whole"])
def test_the_tables_are_the_figures(name):
    figures = json.loads((DOCS / "_static" / f"{name}.json").read_text(encoding="utf-8"))
    assert table(figures["summary"]) in PAGE.read_text(encoding="utf-8")


def test_the_picture_is_the_figures():
    """``python benchmarks/executors/picture.py`` draws it."""
    figures = json.loads((DOCS / "_static" / "airflow-executors.json").read_text(encoding="utf-8"))
    assert drawn(figures) == (DOCS / "_static" / "airflow-executors.svg").read_text(encoding="utf-8")
