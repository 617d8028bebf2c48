"""Writing a configuration as plain data, TOML or YAML. ``files.py`` reads the same configuration back.

What belongs here: writing. Credentials are written as ``**********`` unless the caller asks for them; a file with
such a value is refused when it is read, so that it is never used by mistake.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from podrunner.config.frozen import REDACTED
from podrunner.config.model import SecretRef
from podrunner.config.yaml_text import write_yaml
from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from podrunner.config.model import RunnerConfig

__all__ = ["as_data", "as_toml", "as_yaml"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def as_data(
    config: RunnerConfig, *, reveal_secrets: bool = False, all_settings: bool = False
) -> dict[str, Any]:
    """Return a configuration as plain JSON data.

    Args:
        config: The configuration.
        reveal_secrets: Include credentials in plain text instead of ``**********``.
        all_settings: Include the settings that are at their defaults.
    """
    return _model_data(config, complete=all_settings, reveal=reveal_secrets)


def as_yaml(config: RunnerConfig, *, reveal_secrets: bool = False) -> str:
    """Return a configuration as a YAML file's text; see :func:`as_data`."""
    data = as_data(config, reveal_secrets=reveal_secrets)
    return write_yaml(data)


def as_toml(config: RunnerConfig, *, reveal_secrets: bool = False) -> str:
    """Return a configuration as a TOML file's text; see :func:`as_data`.

    Raises:
        ConfigError: A free-form part of a pod holds a null, which TOML does not have; YAML has it.
    """
    return "\n".join(_table(as_data(config, reveal_secrets=reveal_secrets), ())) + "\n"


def _model_data(model: BaseModel, *, complete: bool, reveal: bool) -> dict[str, Any]:
    fields = type(model).model_fields
    return {
        name: _plain(value, complete=complete, reveal=reveal)
        for name, value in model
        if value is not None and (complete or name == "kind" or value != _default(fields[name]))
    }


def _default(field: FieldInfo) -> Any:
    """Return a setting's default; None for one that is derived from others, so that it is always written."""
    if field.default_factory_takes_validated_data:
        return None
    return field.get_default(call_default_factory=True)


def _plain(value: Any, *, complete: bool, reveal: bool) -> Any:
    if isinstance(value, BaseModel):
        return _model_data(value, complete=complete, reveal=reveal)
    if isinstance(value, SecretStr):
        return value.get_secret_value() if reveal else REDACTED
    if isinstance(value, SecretRef):
        return f"{value.secret}={value.key}"
    if isinstance(value, Mapping):
        return {name: _plain(member, complete=complete, reveal=reveal) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member, complete=complete, reveal=reveal) for member in value]
    return str(value) if isinstance(value, PurePath) else value


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Write a TOML table: its own values first, then the tables in it."""
    for name, value in values.items():
        if not isinstance(value, Mapping):
            yield f"{_key(name)} = {_value(value, (*path, name))}"
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield f"\n[{'.'.join(map(_key, (*path, name)))}]"
            yield from _table(value, (*path, name))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    """Return a TOML basic string: JSON's, whose escapes it shares, with DEL escaped too, which JSON leaves."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any, path: tuple[str, ...]) -> str:
    if value is None:
        raise ConfigError("is null, which TOML cannot say", key=".".join(path), remedy="Write YAML instead")
    if isinstance(value, Mapping):
        members = (f"{_key(name)} = {_value(member, (*path, name))}" for name, member in value.items())
        return f"{{ {', '.join(members)} }}"
    if isinstance(value, list):
        return f"[{', '.join(_value(member, path) for member in value)}]"
    return _string(value) if isinstance(value, str) else json.dumps(value)
