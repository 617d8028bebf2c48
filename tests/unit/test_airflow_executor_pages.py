"""The pages about Airflow's executors name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/reference/airflow-executor.md", "docs/explanation/airflow-complaints.md")


@pytest.mark.parametrize("page", PAGES)
def test_each_test_that_is_named_exists(page):
    """``path::name``; ``::name`` alone is in the file that was named before it."""
    file = ROOT
    named = re.findall(
        r"`((?:tests|benchmarks)/[\w./]+)?(?:::(\w+))?`", (ROOT / page).read_text(encoding="utf-8")
    )
    assert len(named) > 10
    for path, test in named:
        file = ROOT / path if path else file
        assert file.is_file(), path
        assert not test or f"def {test}(" in file.read_text(encoding="utf-8"), f"{path}::{test}"
