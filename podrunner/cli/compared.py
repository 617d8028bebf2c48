"""The pods that two configurations make, as texts that can be compared: credentials hidden, equal ones alike. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from podrunner.redaction import redact, secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from podrunner.builder import PodPlan

__all__ = ["coloured", "difference", "texts_of"]

_COLOURS = {"+": "32", "-": "31", "@": "36"}


def texts_of(plans: Sequence[PodPlan]) -> list[str]:
    """Return each pod, and the Secret that podrunner makes for it, as YAML.

    A credential becomes ``<hidden 1>``, the next one ``<hidden 2>``: those that are equal have the same number, also in
    another pod. Where one is part of a text, asterisks stand for it.
    """
    documents = [[each for each in (plan.manifest, plan.secret) if each is not None] for plan in plans]
    numbers: dict[str, int] = {}
    for text in _credentials(documents):
        numbers.setdefault(text, len(numbers) + 1)
    return [
        yaml.safe_dump_all([_hidden(each, numbers) for each in pair], sort_keys=True, allow_unicode=True)
        for pair in documents
    ]


def _credentials(documents: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for pair in documents:
        for document in pair:
            yield from (text for text in secrets_in(document) if text)
            if document.get("kind") == "Secret":
                for field in ("data", "stringData"):
                    yield from (str(value) for value in (document.get(field) or {}).values())


def _hidden(value: Any, numbers: Mapping[str, int]) -> Any:
    if isinstance(value, Mapping):
        return {key: _hidden(inner, numbers) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(inner, numbers) for inner in value]
    if not isinstance(value, str):
        return value
    if value in numbers:
        return f"<hidden {numbers[value]}>"
    return redact(value, secrets=numbers)


def difference(texts: Sequence[str], names: Sequence[str], *, context: int) -> list[str]:
    """Return the unified difference of two texts, without line ends; nothing if they are equal.

    Args:
        texts: The two texts.
        names: Of the two texts.
        context: Lines around each change.
    """
    before, after = (text.splitlines() for text in texts)
    from_name, to_name = names
    return [*difflib.unified_diff(before, after, from_name, to_name, lineterm="", n=context)]


def coloured(line: str) -> str:
    """Return a line of a difference in its colour."""
    code = "1" if line.startswith(("+++", "---")) else _COLOURS.get(line[:1])
    return f"\x1b[{code}m{line}\x1b[0m" if code else line
