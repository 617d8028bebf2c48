"""The list of failures and the tests name the same rows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "failures.md").read_text()
ROW = re.compile(r"\b[WLPGCASVHFK]\d{1,2}\b")


def rows_of(part: str) -> list[str]:
    return re.findall(r"^\| ([A-Z]\d+) \|", part, re.MULTILINE)


def docstrings() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield str(path.relative_to(ROOT)), ast.get_docstring(node) or ""


DONE, OPEN = map(rows_of, PAGE.split("## Known and open"))
NAMED = {row: path for path, text in docstrings() for row in ROW.findall(text)}


def test_each_row_stands_once():
    assert len({*DONE, *OPEN}) == len(DONE) + len(OPEN)


def test_each_row_that_is_done_has_a_test():
    """Name the row in the docstring of the test that proves it, or move the row to *Known and open*."""
    assert [row for row in DONE if row not in NAMED] == []


def test_each_row_that_a_test_names_is_done():
    """Move the row to its table under *What is done*; if it stays open, take its name out of the docstring."""
    assert {row: path for row, path in NAMED.items() if row not in DONE} == {}
