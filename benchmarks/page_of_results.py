"""Puts the tables of a benchmark's figures into a page of the documentation, between marks that stay."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PART = re.compile(r"(<!-- measured (\d+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(page: Path, parts: Sequence[str]) -> None:
    """Write the parts into the page, each at the mark with its number (``<!-- measured 0 -->``)."""
    text = page.read_text(encoding="utf-8")
    page.write_text(filled(text, parts), encoding="utf-8")


def filled(text: str, parts: Sequence[str]) -> str:
    """Return the text with the parts in it."""
    return _PART.sub(lambda found: f"{found[1]}\n{parts[int(found[2])]}\n\n{found[3]}", text)


def machine_line(machine: dict[str, Any]) -> str:
    """Return where the figures were measured, in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {machine['system']}, {machine['cores']} cores, Python {machine['python']}; {versions}."
    )
