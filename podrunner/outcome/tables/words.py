"""The form of the tables' entries, and the search for them in a message."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from podrunner.outcome.category import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.outcome.category import Category

__all__ = ["StatusReason", "Word", "bare", "fault_of", "find"]

_LONGEST = 8192
"""Characters of a message that are searched."""

_DESCRIPTION = re.compile(r'desc = "((?:[^"\\]|\\.)*)"')
"""What gRPC quotes is an error's words, not a name."""
_NAMES = re.compile(r"""\w+://[^\s"',]*[^\s"',:]|"[^"\n]*\"""")
"""Addresses and quoted text: names that a user chose, which may spell any word."""


class Word(NamedTuple):
    """Words of a component, and whose fault they mean.

    Attributes:
        said: The words as they are printed; ``…`` stands for any text within the line.
        fault: The party at fault.
        source: Where the component prints them.
        pattern: A regular expression to search for in place of ``said``; None: the words themselves.
    """

    said: str
    fault: Fault
    source: str
    pattern: str | None = None


class StatusReason(NamedTuple):
    """A reason that ends a pod, with the category and fault of the outcome.

    Attributes:
        reason: The reason. An entry that ends in ``…`` is a prefix.
        category: What became of the pod.
        fault: The party at fault.
        source: Where the component writes it.
    """

    reason: str
    category: Category
    fault: Fault
    source: str


def find(words: Iterable[Word], message: str | None) -> Word | None:
    """Return the first entry whose words are in a message, regardless of case; None if none is.

    Quoted text and addresses do not count: the names in them are a user's, and no component's words.
    """
    text = bare(message or "")
    return next((word for word in words if _pattern(word).search(text)), None) if text else None


def fault_of(words: Iterable[Word], message: str | None) -> Fault:
    """Return whose fault a message means: ``unknown`` if no entry's words are in it."""
    word = find(words, message)
    return Fault.UNKNOWN if word is None else word.fault


def bare(message: str) -> str:
    """Return a message without what it quotes and without addresses."""
    text = _DESCRIPTION.sub(r"desc = \1", message[:_LONGEST])
    return _NAMES.sub(lambda name: '"…"' if name[0].startswith('"') else "…", text)


@lru_cache(maxsize=512)
def _pattern(word: Word) -> re.Pattern[str]:
    return re.compile(word.pattern or _spelled(word.said), re.IGNORECASE)


def _spelled(said: str) -> str:
    """Return a pattern for words that stand alone, not as a part of a path or of another word."""
    before = r"(?<![\w./-])" if said[0].isalnum() else ""
    after = r"(?![\w/-])" if said[-1].isalnum() else ""
    return before + r"[^\n]*?".join(re.escape(part) for part in said.split("…")) + after
