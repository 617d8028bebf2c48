"""The pictures of the terminal show what the code shows, and need nothing from another host."""

from __future__ import annotations

import html
import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
_spec = importlib.util.spec_from_file_location("terminal_picture", DOCS / "terminal_picture.py")
assert _spec is not None
assert _spec.loader is not None
terminal_picture = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(terminal_picture)

NAMES = [*terminal_picture.PICTURES]
_TEXT = re.compile(r'<text [^>]*clip-path="url\(#[^)]*line-\d+\)">(.*?)</text>')
"""rich draws each run of one style; how it does so is its own business, and changes with its versions."""


def _texts(picture: str) -> str:
    drawn = " ".join(html.unescape(text).replace("\xa0", " ") for text in _TEXT.findall(picture))
    return " ".join(drawn.split())


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_what_its_script_makes(name) -> None:
    lines, styles = terminal_picture.PICTURES[name][0]()
    assert len(lines) == len(styles)
    drawn = _texts((DOCS / "_static" / name).read_text(encoding="utf-8"))
    assert drawn == " ".join(" ".join(lines).split()), "python docs/terminal_picture.py writes it anew"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_needs_no_other_host(name) -> None:
    picture = (DOCS / "_static" / name).read_text(encoding="utf-8")
    assert "@font-face" not in picture
    assert re.findall(r"(?:url\(|href=)[\"']?https?:", picture) == []
