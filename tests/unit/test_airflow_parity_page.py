"""The page that compares worker pods with Airflow's has the table by which the tests compare them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.airflow_parity.differences import as_table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "airflow-parity.md"


def test_the_page_lists_the_differences():
    """``python -m tests.airflow_parity.differences`` prints the table."""
    shown = re.search(r"<!-- begin: [^\n]*-->\n(.*?)\n<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] == as_table()
