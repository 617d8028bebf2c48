"""What a loaded configuration is worth telling about: findings, and the result of loading.

An error is not a finding: it is raised. Reading files does not belong here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from podrunner.config.model import RunnerConfig

__all__ = ["ConfigWarning", "Finding", "LoadedConfig"]


class ConfigWarning(UserWarning):
    """A configuration says something odd that podrunner can live with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a configuration that its author should know.

    Attributes:
        level: ``warning``: the file says something that has no effect, or not the effect it seems to have;
            ``note``: podrunner does without this option of Airflow, and the option stands at Airflow's own
            default.
        message: What it is, in one sentence.
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
        """Return the same as an error, for those who want a spotless file."""
        return ConfigError(
            self.message, source=self.source, section=self.section, key=self.key, remedy=self.remedy
        )

    def __str__(self) -> str:
        return str(self.as_error())


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration and what was found on the way to it.

    Attributes:
        config: The configuration.
        findings: In the order of the file.
    """

    config: RunnerConfig
    findings: tuple[Finding, ...] = ()

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are warnings."""
        return tuple(finding for finding in self.findings if finding.level == "warning")

    def checked(self, *, strict: bool = False, stacklevel: int = 2) -> RunnerConfig:
        """Return the configuration, after one :class:`ConfigWarning` for each warning.

        Args:
            strict: Raise the first warning as a ConfigError instead.
            stacklevel: As in :func:`warnings.warn`.

        Raises:
            ConfigError: There is a warning, and ``strict`` is set.
        """
        for finding in self.warnings:
            if strict:
                raise finding.as_error()
            warnings.warn(str(finding), ConfigWarning, stacklevel=stacklevel)
        return self.config
