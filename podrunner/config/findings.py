"""What is worth reporting about a configuration that can be used.

What belongs here: the findings and how they are reported. A configuration that cannot be used raises a ``ConfigError``
instead.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConfigFinding", "ConfigWarning", "report_findings"]


class ConfigWarning(UserWarning):
    """A configuration says something odd that podrunner can live with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFinding:
    """Something about a configuration that its author should know.

    Attributes:
        level: ``warning``: the file asks for something that podrunner does not do, or does in another way than
            Airflow; ``note``: what runs is what Airflow would run, though an option has no effect: Airflow itself
            passes it over in this version or beside a pod template, or it stands at Airflow's own default.
        message: What was found, in one sentence.
        source: The file, or ``environment``.
        section: The section, or None.
        key: The option as written, or None.
        remedy: What to do about it, or None.
    """

    level: Literal["warning", "note"]
    message: str
    source: str
    section: str | None = None
    key: str | None = None
    remedy: str | None = None

    def as_error(self) -> ConfigError:
        """Return the finding as an error, for a strict reading."""
        return ConfigError(
            self.message, source=self.source, section=self.section, key=self.key, remedy=self.remedy
        )

    def __str__(self) -> str:
        return str(self.as_error())


def report_findings(findings: Iterable[ConfigFinding], *, strict: bool, stacklevel: int) -> None:
    """Issue a :class:`ConfigWarning` for each finding that is a warning.

    Args:
        findings: The findings; notes are passed over.
        strict: Raise the first warning as a ConfigError instead.
        stacklevel: As in :func:`warnings.warn`, seen from here.

    Raises:
        ConfigError: There is a warning, and ``strict`` is set.
    """
    for finding in findings:
        if finding.level != "warning":
            continue
        if strict:
            raise finding.as_error()
        warnings.warn(str(finding), ConfigWarning, stacklevel=stacklevel + 1)
