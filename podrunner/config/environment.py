"""Reading ``PODRUNNER_*`` variables: each names a setting, and wins over the files.

What belongs here: which variable means which setting, and reading its text. Airflow's variables do not belong here.
"""

from __future__ import annotations

import json
import os
import re
import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel

from podrunner.config.builder import ConfigBuilder
from podrunner.config.frozen import Settings, SettingsT, models_in
from podrunner.config.location import SourceLocation
from podrunner.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.config.builder import Layer
    from podrunner.errors import ConfigError

__all__ = ["PREFIX", "environment_layer", "read_environ", "section_layer"]

PREFIX = "PODRUNNER_"
_SOURCE = "environment"

_NOT_SETTINGS = re.compile(r"(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?|DEBUG|TEST_.*|KUBECTL)")
"""Variables that the kubelet sets for a Service named "podrunner", the command's ``PODRUNNER_DEBUG``, and (the last
two) of podrunner's own tests."""


def read_environ(
    model: type[SettingsT], environ: Mapping[str, str] | None = None
) -> ConfigBuilder[SettingsT]:
    """Read a configuration from ``PODRUNNER_*`` variables only.

    Args:
        model: The class of the configuration.
        environ: The environment to read; None: this process's.

    Raises:
        ConfigError: A variable names no setting, or holds broken JSON.
    """
    builder = ConfigBuilder(model, source=_SOURCE)
    builder.lay_over(environment_layer(os.environ if environ is None else environ, model))
    return builder


def environment_layer(environ: Mapping[str, str], model: type[Settings]) -> Layer:
    """Return the layer of settings that ``PODRUNNER_*`` variables give.

    Args:
        environ: The environment.
        model: The class of the configuration, whose fields are the settings.

    Raises:
        ConfigError: A variable names no setting, or holds broken JSON.
    """
    names = sorted(name for name in environ if name.startswith(PREFIX))
    ours = [name for name in names if not _NOT_SETTINGS.fullmatch(name.removeprefix(PREFIX))]
    return dict(_entry(name, environ[name], model) for name in ours)


def section_layer(entries: Mapping[str, tuple[str, SourceLocation]], model: type[Settings]) -> Layer:
    """Return the layer of settings that the options of a section give, such as ``[podrunner]`` of an ``airflow.cfg``.

    An option is named as a variable, without the prefix and in lower case: ``watch__page_size``; a dot does as well.

    Args:
        entries: The options: name → text, and where it is written.
        model: The class of the configuration, whose fields are the settings.

    Raises:
        ConfigError: An option names no setting, or holds broken JSON.
    """
    layer = {}
    for name, (text, location) in entries.items():
        path, annotation = _setting(name.replace(".", "__").split("__"), location, model, prefix="")
        layer[path] = (_read(text, annotation, location), location)
    return layer


def _entry(name: str, text: str, model: type[Settings]) -> tuple[tuple[str, ...], tuple[Any, SourceLocation]]:
    location = SourceLocation(_SOURCE, None, name)
    path, annotation = _setting(name.removeprefix(PREFIX).split("__"), location, model, prefix=PREFIX)
    return path, (_read(text, annotation, location), location)


def _setting(
    parts: list[str], location: SourceLocation, model: type[Settings], *, prefix: str
) -> tuple[tuple[str, ...], Any]:
    """Find the setting that a name leads to, and its type: ``PODRUNNER_WATCH__PAGE_SIZE`` is watch.page_size."""
    path: list[str] = []
    annotation: Any = model
    for index, part in enumerate(parts):
        models = models_in(annotation)
        if not models:
            return (*path, _mapping_key(parts[index:], annotation, location)), str
        fields = {field: info.annotation for model in models for field, info in model.model_fields.items()}
        if part.lower() not in fields:
            raise _unknown(location, parts[:index], fields, prefix=prefix)
        path.append(part.lower())
        annotation = fields[part.lower()]
    return tuple(path), annotation


def _mapping_key(parts: list[str], annotation: Any, location: SourceLocation) -> str:
    """Return the rest of a variable's name as a mapping's key, as written: names of variables may hold ``__``."""
    if dict not in _types(annotation):
        raise location.error(
            "leads into a setting that has no parts", remedy=f"Leave out __{'__'.join(parts)}"
        )
    return "__".join(parts)


def _unknown(
    location: SourceLocation, before: list[str], fields: Mapping[str, Any], *, prefix: str
) -> ConfigError:
    known = [prefix + "__".join((*before, field.upper() if prefix else field)) for field in fields]
    return location.error("names no setting", remedy=did_you_mean(location.key or "", known))


def _read(text: str, annotation: Any, location: SourceLocation) -> Any:
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
        raise location.error(
            f"is not JSON: column {error.colno}: {error.msg.lower()}",
            remedy='Write a JSON value, as {"key": "value"} or ["item"]',
        ) from None


def _types(annotation: Any) -> set[type]:
    """Return the plain types that a setting's annotation allows; BaseModel stands for all nested settings."""
    origin = get_origin(annotation)
    if origin in {Union, types.UnionType}:
        return {found for part in get_args(annotation) for found in _types(part)}
    if models_in(annotation):
        return {BaseModel}
    found = origin or annotation
    return {found} if isinstance(found, type) else _types(get_args(annotation)[0]) if origin else set()
