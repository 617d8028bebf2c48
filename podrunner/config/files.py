"""podrunner's own configuration files, TOML, YAML or JSON; and telling by the suffix what a file is.

What belongs here: reading and layering. Writing is in ``dump.py``; ``airflow.cfg`` in ``airflow_cfg.py``.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.config.airflow_cfg import load_airflow_cfg
from podrunner.config.airflow_ini import read_text
from podrunner.config.draft import Draft, Place, overrides_layer
from podrunner.config.environment import environment_layer
from podrunner.config.findings import LoadedConfig
from podrunner.config.pod_template import load_pod_template
from podrunner.config.yaml_text import parse_yaml
from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load_file"]


def load_file(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    allow_commands: bool = False,
) -> LoadedConfig:
    """Read a configuration file of any kind and tell what was found.

    ``.toml``, ``.yaml``, ``.yml`` and ``.json`` are podrunner's own; ``.cfg`` and ``.ini`` Airflow's, and so is a file
    of any other name that has a section of Airflow's.

    Args:
        path: The file.
        environ: The environment to read; None: this process's.
        overrides: Settings that win over all sources, by their dotted names.
        allow_commands: For an ``airflow.cfg``: run the commands of ``…_cmd`` options.

    Raises:
        ConfigError: The file cannot be read, or says something that cannot be meant.
    """
    suffix = Path(path).suffix.lower()
    if suffix in {".cfg", ".ini"} or (suffix not in _PARSERS and _AIRFLOW_SECTION.search(read_text(path))):
        return load_airflow_cfg(path, environ=environ, overrides=overrides, allow_commands=allow_commands)
    if suffix not in _PARSERS:
        raise ConfigError(
            "is of no known kind",
            source=str(path),
            remedy="Name it .toml, .yaml, .json, or .cfg for Airflow's",
        )
    values = _PARSERS[suffix](read_text(path), Place(str(path)))
    draft = _draft_of(values, Path(path))
    draft.lay_over(environment_layer(os.environ if environ is None else environ))
    draft.lay_over(overrides_layer(overrides))
    return LoadedConfig(draft.build())


def _draft_of(values: Any, path: Path) -> Draft:
    if not isinstance(values, dict):
        raise ConfigError("holds no settings", source=str(path), remedy="Write 'setting: value' lines")
    draft = Draft(str(path))
    for name, value in values.items():
        place = Place(str(path), None, str(name)) if name == "pod_template" else Place(str(path))
        draft.put((str(name),), _content(name, value, path.parent, place), place)
    return draft


def _content(name: str, value: Any, folder: Path, place: Place) -> Any:
    """Put a file's content in the place of its name, where a setting may name a file."""
    names_file = name == "pod_template" and isinstance(value, str)
    return load_pod_template(folder / value, place=place) if names_file else value


def _toml(text: str, place: Place) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise place.error(f"is not TOML: {error}", remedy="Correct that line") from None


def _json(text: str, place: Place) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _without_repetition(pairs, place))
    except json.JSONDecodeError as error:
        raise place.error(f"line {error.lineno}, column {error.colno}: {error.msg.lower()}") from None


def _without_repetition(pairs: list[tuple[str, Any]], place: Place) -> dict[str, Any]:
    """Refuse what JSON parsers pass over in silence: a key that is set twice."""
    counted = Counter(key for key, _ in pairs)
    if repeated := [key for key, count in counted.items() if count > 1]:
        raise place.error(f"{repeated[0]!r} is set twice", remedy="Keep one of them")
    return dict(pairs)


_AIRFLOW_SECTION = re.compile(r"^\[(core|kubernetes|kubernetes_executor)\]", re.MULTILINE)
_PARSERS = {".toml": _toml, ".yaml": parse_yaml, ".yml": parse_yaml, ".json": _json}
