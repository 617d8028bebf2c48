"""Representations for people: a short table of facts, as HTML for notebooks and as a table of rich. Pure.

What a fact means, and which facts an object shows, does not belong here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Facts", "html_table", "rich_table"]

Facts: TypeAlias = Iterable[tuple[str, object]]
"""Names with their values; one that is None, or "", is left out."""


def html_table(title: str, facts: Facts) -> str:
    """Returns facts as an HTML table; whatever a value says, it is text."""
    from html import escape  # with the names of all characters: loaded where it is used

    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left"><pre style="margin:0">{escape(text)}</pre></td></tr>'
        for name, text in _shown(facts)
    )
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def rich_table(title: str, facts: Facts) -> Table:
    """Returns facts as a table of rich, which calls this: it is there."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), show_header=False, title_justify="left")
    for name, text in _shown(facts):
        table.add_row(Text(name, style="bold"), Text(text))
    return table


def _shown(facts: Facts) -> Iterable[tuple[str, str]]:
    return ((name, str(value)) for name, value in facts if value is not None and str(value))
