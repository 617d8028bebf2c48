"""Loading an ``airflow.cfg``: the file, the environment over it, and what is worth telling about both.

What belongs here: the order of the steps, and finding names that nobody knows. The steps are in
``airflow_ini.py`` (syntax), ``airflow_sources.py`` (precedence), ``airflow_conversion.py`` and
``airflow_volumes.py`` (meaning), with the table of options in ``airflow_options.py``.
"""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any

from podrunner.config.airflow_conversion import Conversion, convert_options
from podrunner.config.airflow_ini import IniFile, read_text
from podrunner.config.airflow_options import (
    FREE_SECTIONS,
    KUBERNETES_SECTIONS,
    OPTIONS,
    SENSITIVE,
    options_of,
)
from podrunner.config.airflow_sources import ENVIRONMENT, PREFIX, AirflowSources, run_command
from podrunner.config.airflow_volumes import convert_volumes
from podrunner.config.draft import Draft, Place, overrides_layer
from podrunner.config.environment import environment_layer
from podrunner.config.findings import LoadedConfig
from podrunner.config.frozen import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load_airflow_cfg"]

_FREE_NAMES = tuple(section.name for section in FREE_SECTIONS)
_KNOWN_SECTIONS = (*KUBERNETES_SECTIONS, *_FREE_NAMES)
_OTHERS_LIKE_OURS = ("local_kubernetes_executor", "celery_kubernetes_executor")
"""Sections of Airflow itself that choose an executor and say nothing about pods."""


def load_airflow_cfg(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    allow_commands: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedConfig:
    """Read an ``airflow.cfg`` and tell what was found.

    Args:
        path: The file.
        environ: The environment to read; None: this process's.
        allow_commands: Run the commands of ``…_cmd`` options.
        overrides: Settings that win over all sources, by their dotted names.

    Raises:
        ConfigError: The file cannot be read, or says something that cannot be meant.
    """
    environ = os.environ if environ is None else environ
    file = IniFile(read_text(path), source=str(path))
    sources = AirflowSources(file, environ, run=run_command if allow_commands else None)
    conversion = Conversion(sources, Draft(str(path)))
    _tell_unknown_sections(conversion)
    _tell_unknown_keys(conversion)
    _tell_unknown_variables(conversion)
    _tell_old_names(conversion)
    convert_options(conversion)
    convert_volumes(conversion)
    conversion.draft.lay_over(environment_layer(environ))
    conversion.draft.lay_over(overrides_layer(overrides))
    return LoadedConfig(conversion.draft.build(), tuple(conversion.findings))


def _tell_unknown_sections(conversion: Conversion) -> None:
    for section in conversion.sources.file.sections:
        if section in _KNOWN_SECTIONS or section in _OTHERS_LIKE_OURS:
            continue
        if section.startswith("kubernetes") or difflib.get_close_matches(
            section, _KNOWN_SECTIONS, cutoff=0.85
        ):
            conversion.warn(
                Place(conversion.sources.file.source, section),
                "unknown section",
                remedy=did_you_mean(section, _KNOWN_SECTIONS),
            )


def _tell_unknown_keys(conversion: Conversion) -> None:
    file = conversion.sources.file
    for section in KUBERNETES_SECTIONS:
        for key in file.keys(section):
            if key.lower() not in _names_of(section):
                _tell_unknown(conversion, Place(file.source, section, key), key, section)


def _tell_unknown_variables(conversion: Conversion) -> None:
    for section in KUBERNETES_SECTIONS:
        prefix = f"{PREFIX}{section.upper()}__"
        for name in sorted(name for name in conversion.sources.environ if name.startswith(prefix)):
            key = name.removeprefix(prefix).lower()
            if key not in _names_of(section):
                _tell_unknown(conversion, Place(ENVIRONMENT, None, name), key, section)


def _tell_unknown(conversion: Conversion, place: Place, key: str, section: str) -> None:
    conversion.warn(place, "unknown option, ignored", remedy=did_you_mean(key, _names_of(section)))


def _names_of(section: str) -> set[str]:
    """All names that may stand in a section: options, their old names, and the forms for secrets."""
    options = options_of(section)
    names = {name for option in options for name in (option.key, *option.aliases)}
    return names | {f"{name}_{form}" for name in names & SENSITIVE for form in ("cmd", "secret")}


def _tell_old_names(conversion: Conversion) -> None:
    file = conversion.sources.file
    for option in OPTIONS:
        for section in option.section:
            for written in filter(None, (file.find(section, alias) for alias in option.aliases)):
                conversion.warn(
                    Place(file.source, section, written),
                    f"is an old name of {option.key}",
                    remedy=f"Rename it to {option.key}",
                )
