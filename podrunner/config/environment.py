"""``PODRUNNER_*`` variables: each names a setting, and wins over the files.

What belongs here: which variable means which setting, and reading its text. Airflow's variables do not.
"""

from __future__ import annotations

import json
import os
import re
import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel

from podrunner.config.draft import Draft, Place
from podrunner.config.frozen import did_you_mean, models_in, shown
from podrunner.config.model import RunnerConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.errors import ConfigError

__all__ = ["PREFIX", "environment_layer", "load_environ"]

PREFIX = "PODRUNNER_"
_SOURCE = "environment"

_NOT_SETTINGS = re.compile(r"(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?|TEST_.*|KUBECTL)")
"""Kubernetes tells every pod about each Service: of one named "podrunner" by these. The last two are the tests'."""


def load_environ(environ: Mapping[str, str] | None = None) -> RunnerConfig:
    """Read a configuration from ``PODRUNNER_*`` variables only.

    Args:
        environ: The environment to read; None: this process's.

    Raises:
        ConfigError: A variable names no setting, or its value does not fit.
    """
    draft = Draft(_SOURCE)
    draft.lay_over(environment_layer(os.environ if environ is None else environ))
    return draft.build()


def environment_layer(environ: Mapping[str, str]) -> dict[tuple[str, ...], tuple[Any, Place]]:
    """Return the settings that ``PODRUNNER_*`` variables give: path to value and place.

    Raises:
        ConfigError: A variable names no setting, or holds broken JSON.
    """
    names = sorted(name for name in environ if name.startswith(PREFIX))
    ours = [name for name in names if not _NOT_SETTINGS.fullmatch(name.removeprefix(PREFIX))]
    return dict(_entry(name, environ[name]) for name in ours)


def _entry(name: str, text: str) -> tuple[tuple[str, ...], tuple[Any, Place]]:
    place = Place(_SOURCE, None, name)
    path, annotation = _setting(name, place)
    return path, (_read(text, annotation, place), place)


def _setting(name: str, place: Place) -> tuple[tuple[str, ...], Any]:
    """Find the setting that a variable names, and its type: ``PODRUNNER_WATCH__PAGE_SIZE`` is watch.page_size."""
    parts = name.removeprefix(PREFIX).split("__")
    path: list[str] = []
    annotation: Any = RunnerConfig
    for index, part in enumerate(parts):
        models = models_in(annotation)
        if not models:
            return (*path, _mapping_key(parts[index:], annotation, place)), str
        fields = {field: info.annotation for model in models for field, info in model.model_fields.items()}
        if part.lower() not in fields:
            raise _unknown(place, parts[:index], fields)
        path.append(part.lower())
        annotation = fields[part.lower()]
    return tuple(path), annotation


def _mapping_key(parts: list[str], annotation: Any, place: Place) -> str:
    """Take the rest of a variable's name as a mapping's key, as written: variables' names may hold ``__``."""
    if dict not in _types(annotation):
        raise place.error("leads into a setting that has no parts", remedy=f"Leave out __{'__'.join(parts)}")
    return "__".join(parts)


def _unknown(place: Place, before: list[str], fields: Mapping[str, Any]) -> ConfigError:
    known = [PREFIX + "__".join((*before, field.upper())) for field in fields]
    return place.error("names no setting", remedy=did_you_mean(place.key or "", known))


def _read(text: str, annotation: Any, place: Place) -> Any:
    """Turn a variable's text into what its setting takes: JSON for mappings, JSON or commas for lists, else text."""
    allowed = _types(annotation)
    if not text and types.NoneType in allowed:
        return None
    if not allowed & {dict, tuple, BaseModel}:
        return text
    if tuple in allowed and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise place.error(
            f"is not JSON: column {error.colno}: {error.msg.lower()}",
            value=shown(text),
            remedy='Write a JSON value, as {"key": "value"} or ["item"]',
        ) from None


def _types(annotation: Any) -> set[type]:
    """Tell the plain types that a setting's annotation allows; BaseModel stands for all nested settings."""
    origin = get_origin(annotation)
    if origin in {Union, types.UnionType}:
        return {found for part in get_args(annotation) for found in _types(part)}
    if models_in(annotation):
        return {BaseModel}
    found = origin or annotation
    return {found} if isinstance(found, type) else _types(get_args(annotation)[0]) if origin else set()
