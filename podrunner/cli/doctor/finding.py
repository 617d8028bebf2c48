"""What a check found. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Finding", "Level", "as_document", "lines_of", "summary"]

Level = Literal["ok", "warning", "error", "skipped"]
_MARKS: dict[Level, tuple[str, str, str]] = {
    "ok": ("✓", "ok  ", "32"),
    "warning": ("!", "warn", "33"),
    "error": ("✗", "FAIL", "31"),
    "skipped": ("-", "-   ", "2"),
}
"""The mark, the mark in ASCII, and the colour (SGR) of each level."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        check: Which check.
        level: ``ok``; ``warning``: pods run, but something will be missing; ``error``: pods will not run, or be lost
            sight of; ``skipped``: it could not be checked.
        message: What was found, in one sentence.
        remedy: What to do about it; None: nothing.
    """

    check: str
    level: Level
    message: str
    remedy: str | None = None


def lines_of(finding: Finding, *, width: int, unicode: bool, colour: bool) -> list[str]:
    """Return the lines that show a finding.

    Args:
        finding: The finding.
        width: Of the column of checks.
        unicode: Whether marks may be other than ASCII.
        colour: Whether marks are coloured.
    """
    sign, plain, code = _MARKS[finding.level]
    mark = sign if unicode else plain
    shown = f"\x1b[{code}m{mark}\x1b[0m" if colour else mark
    margin = " " * (len(mark) + 1 + width + 2)
    lines = [f"{shown} {finding.check:<{width}}  {finding.message}"]
    if finding.remedy:
        first, *more = finding.remedy.splitlines()
        lines += [f"{margin}{'→' if unicode else '->'} {first}", *(f"{margin}  {line}" for line in more)]
    return lines


def summary(findings: Sequence[Finding]) -> str:
    """Return how many findings of each kind there are: ``12 ok, 1 warning, no error``."""
    counts = {level: sum(1 for each in findings if each.level == level) for level in _MARKS}
    parts = [f"{counts['ok']} ok"]
    for level, word in (("warning", "warning"), ("error", "error")):
        count = counts[level]  # type: ignore[index]  # both are levels
        parts.append(f"{count or 'no'} {word}{'' if count == 1 or not count else 's'}")
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} not checked")
    return ", ".join(parts)


def as_document(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return what ``--json`` prints: whether all is well, and each finding."""
    rows = [asdict(finding) for finding in findings]
    return {"ok": all(row["level"] != "error" for row in rows), "findings": rows}
