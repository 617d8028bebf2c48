"""Suggestions for misspelt names, as error messages show them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return ``Did you mean 'image'?`` for the known name nearest to a misspelt one; None if none is near.

    Upper and lower case count as the same.
    """
    folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"Did you mean {folded[near[0]]!r}?" if near else None
