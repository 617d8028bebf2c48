"""Which of Airflow's lines of versions a configuration is written for.

What belongs here: the version in an image's tag, and the decision from what is known. Pure: where the signs are found
in a file does not belong here (``signs.py``), nor what a line's pods look like (``podrunner.builder``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podrunner.workload.airflow_line import AirflowLine, line_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.config.location import SourceLocation

__all__ = ["ALL_LINES", "AirflowLine", "Detected", "Sign", "detect", "line_of", "version_in_image"]

ALL_LINES = frozenset(AirflowLine)

_IMAGE = re.compile(r"(?:.*/)?(?:docker-)?airflow:(?P<tag>[^@/]+)(?:@.*)?")
_TAG = re.compile(
    r"(?:slim-)?v?(?P<version>(?:1\.10|[23]\.\d+)(?:\.\d+)?(?:(?:a|b|rc|\.dev)\d+)?)(?:[-_+].*)?"
)


def version_in_image(image: str) -> str | None:
    """Return the version that the tag of an Airflow image names; None for any other image or tag.

    The last part of the image's name must be ``airflow`` (or ``docker-airflow``): tags of other images count the
    versions of something else.
    """
    named = _IMAGE.fullmatch(image)
    found = _TAG.fullmatch(named["tag"]) if named else None
    return found["version"] if found else None


@dataclass(frozen=True, slots=True)
class Sign:
    """Something in a configuration that only some lines of Airflow have.

    Attributes:
        lines: These lines.
        meaning: What it is, for messages: ``the image's tag 2.9.2``.
        location: Where it is.
        version: The exact version, if it names one.
    """

    lines: frozenset[AirflowLine]
    meaning: str
    location: SourceLocation
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Detected:
    """What the signs of a configuration say together.

    Attributes:
        lines: The lines that are possible; all, where there is no sign.
        version: The version: an exact one, or a line's name; None: more than one line is possible.
        location: Where the sign stands that decided; None where ``version`` is None.
        conflicts: The pairs of signs that exclude each other: the one that was followed, and the other.
    """

    lines: frozenset[AirflowLine]
    version: str | None = None
    location: SourceLocation | None = None
    conflicts: tuple[tuple[Sign, Sign], ...] = ()


def detect(signs: Iterable[Sign]) -> Detected:
    """Decide from signs, the most reliable first: a later one that contradicts those before it is a conflict."""
    followed: list[Sign] = []
    conflicts: list[tuple[Sign, Sign]] = []
    lines = ALL_LINES
    for sign in signs:
        if lines & sign.lines:
            lines &= sign.lines
            followed.append(sign)
        else:
            against = next((other for other in followed if not other.lines & sign.lines), followed[-1])
            conflicts.append((against, sign))
    exact = next((sign for sign in followed if sign.version is not None), None)
    if exact is not None:
        return Detected(lines, exact.version, exact.location, tuple(conflicts))
    if len(lines) > 1:
        return Detected(lines, conflicts=tuple(conflicts))
    deciding = min(followed, key=lambda sign: len(sign.lines))
    return Detected(lines, next(iter(lines)).value, deciding.location, tuple(conflicts))
