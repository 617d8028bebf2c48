"""Reading an ``airflow.cfg`` and the environment over it.

What belongs here: the order of the steps, and warnings about unknown and old names. The steps are in ``ini.py``
(syntax), ``sources.py`` (precedence), ``conversion.py`` and ``volumes.py`` (meaning).
"""

from __future__ import annotations

import difflib
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from podrunner.config.airflow.checks import check_options
from podrunner.config.airflow.conversion import Conversion, convert_options, convert_version
from podrunner.config.airflow.ini import IniFile
from podrunner.config.airflow.options import (
    FREE_SECTIONS,
    KUBERNETES_SECTIONS,
    OPTIONS,
    SENSITIVE,
    options_of,
)
from podrunner.config.airflow.options.record import HYBRID
from podrunner.config.airflow.report import report_options
from podrunner.config.airflow.sources import ENVIRONMENT, PREFIX, AirflowSources, run_command
from podrunner.config.airflow.template_checks import check_template
from podrunner.config.airflow.volumes import convert_volumes
from podrunner.config.builder import ConfigBuilder, overrides_layer
from podrunner.config.environment import environment_layer, section_layer
from podrunner.config.location import SourceLocation
from podrunner.config.origin import PodOrigin
from podrunner.config.text_file import read_text
from podrunner.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from podrunner.config.builder import Layer
    from podrunner.config.frozen import SettingsT

__all__ = ["read_airflow_cfg", "read_airflow_conf"]

_FREE_NAMES = tuple(section.name for section in FREE_SECTIONS)
OWN_SECTION = "podrunner"
"""The section of podrunner's own settings: ``[podrunner]``, or ``AIRFLOW__PODRUNNER__…``."""
_KNOWN_SECTIONS = (*KUBERNETES_SECTIONS, *_FREE_NAMES, OWN_SECTION)
_OTHER_EXECUTORS = tuple(place.section for place in HYBRID)
"""Sections of Airflow that choose an executor and have no options about pods."""


def read_airflow_cfg(
    path: str | os.PathLike[str],
    model: type[SettingsT],
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    allow_commands: bool = False,
    unread: Collection[str] = (),
) -> ConfigBuilder[SettingsT]:
    """Read an ``airflow.cfg``, with the environment and the overrides laid over it.

    Args:
        path: The file.
        model: The class of the configuration.
        environ: The environment to read; None: this process's.
        overrides: Settings that win over all sources, by their dotted names.
        allow_commands: Run the commands of ``…_cmd`` options.
        unread: Options that may hold a secret and that the caller does not need. Where a command or a secrets backend
            stands for one, its value is ``UNREAD`` instead.

    Returns:
        The settings, and the findings about the file and the environment.

    Raises:
        ConfigError: The file cannot be read, or holds a value that cannot be converted.
    """
    environ = os.environ if environ is None else environ
    file = IniFile(read_text(path), source=str(path))
    sources = AirflowSources(file, environ, run=run_command if allow_commands else None, unread=unread)
    return _read(sources, model, over=[environment_layer(environ, model), overrides_layer(overrides)])


def read_airflow_conf(
    sections: Mapping[str, Mapping[str, Any]],
    model: type[SettingsT],
    *,
    overrides: Mapping[str, Any] | None = None,
) -> ConfigBuilder[SettingsT]:
    """Read a configuration that Airflow has read already, with the overrides laid over it.

    Args:
        sections: Section → option → value, as ``conf.as_dict()`` gives them. Airflow has looked at the environment.
        model: The class of the configuration.
        overrides: Settings that win over all sources, by their dotted names.

    Returns:
        The settings, and the findings about the sections.

    Raises:
        ConfigError: A value cannot be converted.
    """
    file = IniFile.of_sections(sections, source="Airflow's configuration")
    return _read(AirflowSources(file, {}), model, over=[overrides_layer(overrides)])


def _read(sources: AirflowSources, model: type[SettingsT], *, over: list[Layer]) -> ConfigBuilder[SettingsT]:
    builder = ConfigBuilder(model, source=sources.file.source)
    own = {key: (given.text, given.location) for key, given in sources.entries(OWN_SECTION).items()}
    over = [section_layer(own, model), *over]
    conversion = convert_version(Conversion(sources, builder), explicit=_explicit_version(over))
    sources.versions = conversion.scope.versions
    _warn_of_unknown_sections(conversion)
    _warn_of_unknown_keys(conversion)
    _warn_of_unknown_variables(conversion)
    _warn_of_old_names(conversion)
    convert_options(conversion)
    convert_volumes(conversion)
    report_options(conversion)
    check_options(conversion)
    check_template(conversion)
    builder.origin = PodOrigin(conversion.scope.versions, conversion.template_file or None)
    for layer in over:
        builder.lay_over(layer)
    return builder


def _explicit_version(layers: Iterable[Layer]) -> str | None:
    """Return the ``airflow.version`` that the environment or the overrides set, the later one first."""
    found = None
    for layer in layers:
        for path, (value, _) in layer.items():
            if path == ("airflow", "version"):
                found = value
            elif path == ("airflow",) and isinstance(value, dict) and "version" in value:
                found = value["version"]
    return found


def _warn_of_unknown_sections(conversion: Conversion) -> None:
    for section in conversion.sources.file.sections:
        if section in _KNOWN_SECTIONS or section in _OTHER_EXECUTORS:
            continue
        if section.startswith("kubernetes") or difflib.get_close_matches(
            section, _KNOWN_SECTIONS, cutoff=0.85
        ):
            conversion.warn(
                SourceLocation(conversion.sources.file.source, section),
                "unknown section",
                remedy=did_you_mean(section, _KNOWN_SECTIONS),
            )


def _warn_of_unknown_keys(conversion: Conversion) -> None:
    file = conversion.sources.file
    for section in KUBERNETES_SECTIONS:
        for key in file.keys(section):
            if key.lower() not in _names_of(section):
                _warn_of_unknown(conversion, SourceLocation(file.source, section, key), key, section)


def _warn_of_unknown_variables(conversion: Conversion) -> None:
    for section in KUBERNETES_SECTIONS:
        prefix = f"{PREFIX}{section.upper()}__"
        for name in sorted(name for name in conversion.sources.environ if name.startswith(prefix)):
            key = name.removeprefix(prefix).lower()
            if key not in _names_of(section):
                _warn_of_unknown(conversion, SourceLocation(ENVIRONMENT, None, name), key, section)


def _warn_of_unknown(conversion: Conversion, location: SourceLocation, key: str, section: str) -> None:
    conversion.warn(location, "unknown option, ignored", remedy=did_you_mean(key, _names_of(section)))


@cache
def _names_of(section: str) -> frozenset[str]:
    """Return all names that may stand in a section: options, their old names, and the forms for secrets."""
    options = options_of(section)
    names = {name for option in options for name in (option.key, *option.aliases)}
    return frozenset(names) | {f"{name}_{form}" for name in names & SENSITIVE for form in ("cmd", "secret")}


def _warn_of_old_names(conversion: Conversion) -> None:
    file = conversion.sources.file
    for option in OPTIONS:
        for section in option.section:
            for written in filter(None, (file.find(section, alias) for alias in option.aliases)):
                conversion.warn(
                    SourceLocation(file.source, section, written),
                    f"is an old name of {option.key}",
                    remedy=f"Rename it to {option.key}",
                )
