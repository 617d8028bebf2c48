"""YAML with JSON's values, plus octal numbers; a key that is set twice is an error.

YAML 1.1, PyYAML's dialect, also reads ``off`` as false, ``12:30`` as 750 and ``2019-08-15`` as a date. Here they stay
text: manifests and configurations never mean those values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from podrunner.redaction import syntax_problem
from podrunner.yaml_loader import BoundedLoader

if TYPE_CHECKING:
    from collections.abc import Hashable

    from podrunner.config.location import SourceLocation

__all__ = ["BEYOND", "parse_yaml", "write_yaml"]

BEYOND = "has a number that is too long, or is nested too deeply"
"""What a parser of any format cannot hold."""


class _Loader(BoundedLoader):
    """A safe loader with the scalars of JSON, and octal numbers (file modes of volumes)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is set twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes all text which either dialect would read as another type."""


_NUMBER_STARTS = "-+0123456789."
_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*|0[0-7]+|0x[0-9a-fA-F]+)", _NUMBER_STARTS),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?", _NUMBER_STARTS),
    ("null", r"~|null|Null|NULL", "~nN"),
    ("null", r"", ("",)),
    ("merge", r"<<", "<"),
)
for _tag, _pattern, _first in _SCALARS:
    for _dialect in (_Loader, _Dumper):
        _dialect.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
        )


def write_yaml(data: Any) -> str:
    """Write plain data as one YAML document, in ASCII: PyYAML loses some line ends (U+0085) otherwise."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=110)


def parse_yaml(text: str, location: SourceLocation) -> Any:
    """Parse one YAML document.

    Args:
        text: The document.
        location: The location that errors name.

    Raises:
        ConfigError: It is not YAML; the error names the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise location.error(syntax_problem(error), remedy="Write one YAML document") from None
    except yaml.YAMLError as error:
        raise location.error(f"is not YAML: {syntax_problem(error)}") from None
    except (ValueError, RecursionError):
        raise location.error(BEYOND) from None
