"""Reading configuration files: podrunner's own TOML, YAML or JSON, and the choice of the format by the suffix.

What belongs here: reading and layering. Writing is in ``dump.py``, reading an ``airflow.cfg`` in ``airflow/cfg.py``.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.config.airflow.cfg import read_airflow_cfg
from podrunner.config.builder import ConfigBuilder, overrides_layer
from podrunner.config.environment import environment_layer
from podrunner.config.location import SourceLocation
from podrunner.config.pod_template import load_pod_template
from podrunner.config.text_file import read_text
from podrunner.config.yaml_text import BEYOND, parse_yaml
from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from podrunner.config.frozen import SettingsT

__all__ = ["read_file"]


def read_file(
    path: str | os.PathLike[str],
    model: type[SettingsT],
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    allow_commands: bool = False,
    unread: Collection[str] = (),
) -> ConfigBuilder[SettingsT]:
    """Read a configuration file of any format, with the environment and the overrides laid over it.

    ``.toml``, ``.yaml``, ``.yml`` and ``.json`` are podrunner's own; ``.cfg`` and ``.ini`` Airflow's, and so is a file
    of any other name that has a section of Airflow's.

    Args:
        path: The file.
        model: The class of the configuration.
        environ: The environment to read; None: this process's.
        overrides: Settings that win over all sources, by their dotted names.
        allow_commands: For an ``airflow.cfg``: run the commands of ``…_cmd`` options.
        unread: Options of an ``airflow.cfg`` that may hold a secret and that the caller does not need. Where a command
            or a secrets backend stands for one, its value is ``UNREAD`` instead.

    Raises:
        ConfigError: The file cannot be read, or holds a value that cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix in {".cfg", ".ini"} or (suffix not in _PARSERS and _AIRFLOW_SECTION.search(read_text(path))):
        return read_airflow_cfg(
            path, model, environ=environ, overrides=overrides, allow_commands=allow_commands, unread=unread
        )
    if suffix not in _PARSERS:
        raise ConfigError(
            "is of no known kind",
            source=str(path),
            remedy="Name it .toml, .yaml, .json, or .cfg for Airflow's",
        )
    values = _PARSERS[suffix](read_text(path), SourceLocation(str(path)))
    builder = ConfigBuilder(model, source=str(path))
    _put_all(builder, values, Path(path))
    builder.lay_over(environment_layer(os.environ if environ is None else environ, model))
    builder.lay_over(overrides_layer(overrides))
    return builder


def _put_all(builder: ConfigBuilder[SettingsT], values: Any, path: Path) -> None:
    if not isinstance(values, dict):
        raise ConfigError("holds no settings", source=str(path), remedy="Write 'setting: value' lines")
    for name, value in values.items():
        location = (
            SourceLocation(str(path), None, str(name))
            if name == "pod_template"
            else SourceLocation(str(path))
        )
        builder.put((str(name),), _content(name, value, path.parent, location), location)


def _content(name: str, value: Any, folder: Path, location: SourceLocation) -> Any:
    """Return the content of the file that a setting names, if the setting may name one; else the value."""
    names_file = name == "pod_template" and isinstance(value, str)
    return load_pod_template(folder / value, location=location) if names_file else value


def _toml(text: str, location: SourceLocation) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise location.error(f"is not TOML: {error}", remedy="Correct that line") from None
    except (ValueError, RecursionError):
        raise location.error(BEYOND) from None


def _json(text: str, location: SourceLocation) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _without_repetition(pairs, location))
    except json.JSONDecodeError as error:
        raise location.error(f"line {error.lineno}, column {error.colno}: {error.msg.lower()}") from None
    except (ValueError, RecursionError):
        raise location.error(BEYOND) from None


def _without_repetition(pairs: list[tuple[str, Any]], location: SourceLocation) -> dict[str, Any]:
    """Return the object of these members; refuse a key that is set twice, which JSON parsers accept silently."""
    counted = Counter(key for key, _ in pairs)
    if repeated := [key for key, count in counted.items() if count > 1]:
        raise location.error(f"{repeated[0]!r} is set twice", remedy="Keep one of them")
    return dict(pairs)


_AIRFLOW_SECTION = re.compile(r"^\[(core|kubernetes|kubernetes_executor)\]", re.MULTILINE)
_PARSERS = {".toml": _toml, ".yaml": parse_yaml, ".yml": parse_yaml, ".json": _json}
