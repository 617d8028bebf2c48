"""How the command writes: JSON documents, and columns like kubectl's."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from podrunner.cli.streams import takes_unicode

__all__ = ["column_line", "columns", "print_json"]

_GAP = 3
"""Spaces between columns, as kubectl prints them."""


def print_json(document: Any) -> None:
    """Print one JSON document; in ASCII where the output takes no more, which is the same document."""
    print(json.dumps(document, indent=2, ensure_ascii=not takes_unicode(sys.stdout)))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows (the first is the header) as kubectl does."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [column_line(row, widths) for row in rows]


def column_line(row: Sequence[str], widths: Sequence[int]) -> str:
    """One line of a table with given widths; a longer cell pushes the rest to the right."""
    cells = [cell.ljust(width + _GAP) for cell, width in zip(row, widths, strict=True)]
    return "".join(cells).rstrip()
