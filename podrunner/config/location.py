"""The location at which a configuration value was written, and errors about it."""

from __future__ import annotations

from dataclasses import dataclass

from podrunner.errors import ConfigError

__all__ = ["SourceLocation"]


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where a value was written.

    Attributes:
        source: The file, ``environment``, or another name for errors to show.
        section: The section of the file, or None.
        key: The key as written; None: the setting's own path.
    """

    source: str
    section: str | None = None
    key: str | None = None

    def error(self, problem: str, *, value: str | None = None, remedy: str | None = None) -> ConfigError:
        """Return an error about this location."""
        return ConfigError(
            problem, source=self.source, section=self.section, key=self.key, value=value, remedy=remedy
        )
