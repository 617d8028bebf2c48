"""The page about access has the table of the cases."""

from __future__ import annotations

import runpy
from pathlib import Path

from tests.support.access.cases import CASES

ROOT = Path(__file__).parents[3]


def test_the_page_matches_the_cases():
    """If not: ``python docs/access_table.py``."""
    drawn = runpy.run_path(str(ROOT / "docs" / "access_table.py"))
    text = drawn["PAGE"].read_text(encoding="utf-8")
    assert text == drawn["page"](text)


def test_each_case_stands_once_and_says_why_both_differ():
    """There are forty at least."""
    assert len({case.name for case in CASES}) == len(CASES) >= 40
    for case in CASES:
        differ = bool(case.kubectl) != bool(case.podrunner) or case.kubectl_sends is not None
        assert case.remark or not differ, case.name
        assert bool(case.arrives) == (not case.podrunner or not (case.kubectl or case.kubectl_sends)), (
            case.name
        )
