"""Writes the tables of ``reference/access.md`` from the cases of the tests: ``python docs/access_table.py``.

They stand between marks on the page. A test compares the page with what this makes of ``tests.support.access.cases``;
another runs kubectl and podrunner on each case.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # as a script, it finds the tests only so

from tests.support.access.cases import GROUPS  # noqa: E402 - see above

if TYPE_CHECKING:
    from tests.support.access.case import Case

PAGE = ROOT / "docs" / "reference" / "access.md"
BEGIN, END = "<!-- written by docs/access_table.py -->", "<!-- end -->"


def tables() -> str:
    """Returns the tables, a heading before each."""
    parts = (
        f"### {name}\n\n| Input | kubectl | podrunner | Remark |\n|---|---|---|---|\n{''.join(map(_row, cases))}"
        for name, cases in GROUPS.items()
    )
    return "\n".join(parts)


def _row(case: Case) -> str:
    theirs = case.arrives if case.kubectl_sends is None else case.kubectl_sends
    cells = (
        case.name,
        _verdict(case.kubectl, theirs),
        _verdict(case.podrunner, case.arrives) if theirs != case.arrives or case.podrunner else _same(case),
        case.remark,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _same(case: Case) -> str:
    return _verdict("", case.arrives) if case.kubectl else "the same"


def _verdict(refusal: str, sent: tuple[str, ...]) -> str:
    return f"refused: `{refusal}`" if refusal else ", ".join(f"`{each}`" for each in sent)


def page(text: str) -> str:
    """Returns the page with the tables of now."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
