"""Writes the tables of ``reference/outcomes.md`` from the rules: ``python docs/outcome_tables.py``.

They stand between marks on the page. A test compares the page with what this makes of ``podrunner.outcome.tables``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from podrunner.outcome import Category, Fault
from podrunner.outcome.tables.answers import ANSWERS
from podrunner.outcome.tables.creation import CREATION_REASONS, CREATION_WORDS
from podrunner.outcome.tables.images import IMAGE_REASONS, IMAGE_WORDS
from podrunner.outcome.tables.nodes import (
    CONTAINER_ENDS,
    DISRUPTIONS,
    EVENTS,
    EVICTION_WORDS,
    REJECTION_WORDS,
    STATUS_REASONS,
)
from podrunner.outcome.tables.placement import PLACEMENT_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from podrunner.outcome.tables.words import StatusReason, Word

PAGE = Path(__file__).parent / "reference" / "outcomes.md"
BEGIN, END = "<!-- written by docs/outcome_tables.py -->", "<!-- end -->"


def tables() -> str:
    """Returns all tables as Markdown."""
    parts = [
        _section(
            "Reasons that end a pod",
            "The pod's status, its `DisruptionTarget` condition, events about its deletion, and its container's end."
            " Any other reason of a `DisruptionTarget` is `evicted` and `infrastructure`; any other reason of a pod"
            " that its node refused is `rejected-by-node`, and `unknown` unless its words are below.",
            "Reason",
            _reasons(),
        ),
        _section(
            "Words about images",
            "A reason that decides comes first. Else the first entry found in the container's message decides.",
            "Reason or words",
            _worded(Category.IMAGE, IMAGE_WORDS, IMAGE_REASONS),
        ),
        _section(
            "Words about containers that cannot be made",
            "As above, for a container that waits, and for one that ended without a process.",
            "Reason or words",
            _worded(Category.CONTAINER_CONFIG, CREATION_WORDS, CREATION_REASONS),
        ),
        _section(
            "Words of the scheduler",
            "Each cause of the message is looked up. One cause of the infrastructure's is enough for that fault: those"
            " nodes may take the pod later. The fault is the configuration's if each cause is, otherwise `unknown`.",
            "Words",
            _worded(Category.UNSCHEDULABLE, PLACEMENT_WORDS, {}),
        ),
        _answers(),
    ]
    return "\n".join(parts)


def _section(title: str, said: str, first: str, rows: Iterable[str]) -> str:
    head = f"| {first} | Category | Fault | Retryable | Source |"
    return "\n".join([f"### {title}", "", said, "", head, "|---|---|---|---|---|", *rows, ""])


def _reasons() -> Iterator[str]:
    for entry in STATUS_REASONS.values():
        yield _reason(entry, "")
    for word in EVICTION_WORDS:
        yield _row(f"`Evicted`: {_code(word.said)}", Category.EVICTED, word)
    for word in REJECTION_WORDS:
        yield _row(f"refused: {_code(word.said)}", Category.REJECTED_BY_NODE, word)
    for entry in DISRUPTIONS.values():
        yield _reason(entry, "`DisruptionTarget`: ")
    for entry in EVENTS.values():
        yield _reason(entry, "event ")
    for entry in CONTAINER_ENDS.values():
        yield _reason(entry, "container ")


def _reason(entry: StatusReason, kind: str) -> str:
    return _cells(f"{kind}{_code(entry.reason)}", entry.category, entry.fault, entry.source)


def _worded(
    category: Category, words: Iterable[Word], reasons: Mapping[str, tuple[Fault, str]]
) -> Iterator[str]:
    for reason, (fault, source) in reasons.items():
        shown = _code(reason) if fault is not Fault.UNKNOWN else f"{_code(reason)} without a known word"
        yield _cells(shown, category, fault, source)
    for word in words:
        yield _row(_code(word.said), category, word)


def _row(shown: str, category: Category, word: Word) -> str:
    return _cells(shown, category, word.fault, word.source)


def _cells(shown: str, category: Category, fault: Fault, source: str) -> str:
    return f"| {shown} | `{category}` | `{fault}` | {_retryable(fault)} | {source} |"


def _retryable(fault: Fault) -> str:
    return {Fault.INFRASTRUCTURE: "yes", Fault.UNKNOWN: "by your rule"}.get(fault, "no")


def _code(words: str) -> str:
    return f"`{words}`"


def _answers() -> str:
    """Returns the table of the API server's answers; each is ``rejected-by-api`` once the runner gives up."""
    said = (
        "Answers to the create request; the first entry that has the status and whose words are in the message counts."
        " The outcome, once the runner gives up, is `rejected-by-api`."
    )
    lines = ["### Answers of the API server", "", said, ""]
    lines += [
        "| Status | Words | What the runner does | Fault | Retryable | Source |",
        "|---|---|---|---|---|---|",
    ]
    for entry in ANSWERS:
        words = _code(entry.said) if entry.said else "any"
        status = "5xx" if entry.status == 500 else str(entry.status)
        lines.append(
            f"| {status} | {words} | {entry.follows} | `{entry.fault}` | {_retryable(entry.fault)} | {entry.source} |"
        )
    return "\n".join([*lines, ""])


def page(text: str) -> str:
    """Returns a page with the tables between its marks."""
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
