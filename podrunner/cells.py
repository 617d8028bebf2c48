"""How many cells a text takes on a terminal, and texts cut to so many. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["ELLIPSIS", "cells_of_character", "clipped", "head_of", "middle_clipped", "width_of"]

ELLIPSIS: Final = "…"


def width_of(text: str) -> int:
    """Return the cells that a text takes on a terminal: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(cells_of_character(character) for character in text)


def cells_of_character(character: str) -> int:
    """Return the cells of one character."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clipped(text: str, width: int, *, ellipsis: str = ELLIPSIS) -> str:
    """Return a text in at most so many cells; what is cut off is an ellipsis. What is cut off costs nothing."""
    if len(head_of(text, width)) == len(text):
        return text
    return head_of(text, max(0, width - width_of(ellipsis))) + ellipsis[: max(0, width)]


def middle_clipped(text: str, width: int, *, ellipsis: str = ELLIPSIS) -> str:
    """Return a text in at most so many cells, with its beginning and its end: keys differ at either."""
    if width_of(text) <= width:
        return text
    room = max(0, width - width_of(ellipsis))
    end = head_of(text[::-1], room // 2)[::-1]
    return head_of(text, room - width_of(end)) + ellipsis[: max(0, width)] + end


def head_of(text: str, width: int) -> str:
    """Return as many of the first characters as take at most so many cells."""
    if text.isascii():
        return text[: max(0, width)]
    taken = 0
    for index, character in enumerate(text):
        taken += cells_of_character(character)
        if taken > width:
            return text[:index]
    return text
