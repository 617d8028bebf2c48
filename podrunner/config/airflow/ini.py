"""Reading the text of an ``airflow.cfg``: sections and keys as written, with Airflow's interpolation.

What belongs here: the file's syntax. What an option means does not.
"""

from __future__ import annotations

import configparser
from typing import TYPE_CHECKING, Any

from podrunner.config.location import SourceLocation
from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IniFile"]


class IniFile:
    """An ``airflow.cfg``, parsed. Keys keep their case; Airflow's own options are found in any case.

    Attributes:
        source: Where it comes from, for errors.
    """

    def __init__(self, text: str, *, source: str) -> None:
        """Parse the text.

        Args:
            text: The file's text.
            source: The file's path, for errors.

        Raises:
            ConfigError: The text has another syntax, or sets a key twice; the error names the line's number.
        """
        self.source: str = source
        self._parser = _parsed(text, source, default_section="DEFAULT")
        # Parsed again without the inheritance from [DEFAULT], to know which keys stand in a section itself.
        self._own = _parsed(text, source, default_section="")
        self._names: dict[str, dict[str, str]] = {}

    @classmethod
    def of_sections(cls, sections: Mapping[str, Mapping[str, Any]], *, source: str) -> IniFile:
        """Return the file that holds these sections; values are taken literally, without interpolation."""
        file = cls("", source=source)
        for parser in (file._parser, file._own):
            parser.read_dict({name: _literal(options) for name, options in sections.items()}, source)
        return file

    @property
    def sections(self) -> list[str]:
        """The sections, in the order of the file."""
        return self._parser.sections()

    def keys(self, section: str) -> list[str]:
        """Return the keys that stand in a section, as written; empty if there is no such section."""
        return self._own.options(section) if self._own.has_section(section) else []

    def find(self, section: str, key: str) -> str | None:
        """Return an option's name as written, whatever its case; None if it is not there."""
        if section not in self._names:
            written = self._parser.options(section) if self._parser.has_section(section) else []
            self._names[section] = {name.lower(): name for name in reversed(written)}
        return self._names[section].get(key.lower())

    def text(self, section: str, key: str) -> str:
        """Return an option's value, interpolated (``%%`` is a percent sign).

        Raises:
            ConfigError: The value has a lone percent sign, or refers to an option that is not there.
        """
        try:
            return self._parser.get(section, key)
        except configparser.InterpolationError as error:
            raise SourceLocation(self.source, section, key).error(
                _interpolation_problem(error), remedy="Write a percent sign as %%"
            ) from None


def _parsed(text: str, source: str, *, default_section: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(default_section=default_section)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    try:
        parser.read_string(text, source)
    except configparser.Error as error:
        raise ConfigError(_syntax_problem(error), source=source, remedy=_SYNTAX_REMEDY) from None
    return parser


def _literal(options: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value).replace("%", "%%") for key, value in options.items() if value is not None}


_SYNTAX_REMEDY = "Write [section] lines, then 'key = value' lines; indent what continues a value"


def _syntax_problem(error: configparser.Error) -> str:
    """Return what the parser found wrong and the line's number, without the line itself: it may hold a secret."""
    if isinstance(error, configparser.DuplicateOptionError):
        return f"line {error.lineno}: {error.option!r} is set twice in [{error.section}]"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"line {error.lineno}: section [{error.section}] begins twice"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno}: something stands before the first [section]"
    lines = error.errors if isinstance(error, configparser.ParsingError) else []
    return f"line {lines[0][0] if lines else '?'}: neither a [section] nor 'key = value'"


def _interpolation_problem(error: configparser.InterpolationError) -> str:
    if isinstance(error, configparser.InterpolationMissingOptionError):
        return f"refers to %({error.reference})s, which is not there"
    if isinstance(error, configparser.InterpolationDepthError):
        return "refers to itself"
    return "has a lone percent sign"
