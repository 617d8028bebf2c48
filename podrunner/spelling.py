"""Suggestions for misspelt names, as error messages show them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["did_you_mean", "misspelt_name"]

_SHORT_NAME = 4


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return ``Did you mean 'image'?`` for the known name nearest to a misspelt one; None if none is near.

    Upper and lower case count as the same.
    """
    folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"Did you mean {folded[near[0]]!r}?" if near else None


def misspelt_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a name certainly means: one with up to two letters more, less, other or swapped.

    If one of the names has fewer than five letters, one letter may differ. Case does not count, nor do ``-`` and ``_``.
    """
    wanted = _folded(name)
    near = [
        (distance, each) for each in known if (distance := _misspelling(wanted, _folded(each))) is not None
    ]
    return min(near)[1] if near else None


def _misspelling(one: str, other: str) -> int | None:
    """Return how many letters differ; None if too many do."""
    limit = 2 if min(len(one), len(other)) > _SHORT_NAME else 1
    distance = _distance(one, other, limit=limit)
    return distance if distance <= limit else None


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _distance(one: str, other: str, *, limit: int) -> int:
    """Return how many letters differ, by optimal string alignment; any number over ``limit`` means too many."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, against in enumerate(other, 1):
            cost = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (letter != against))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
