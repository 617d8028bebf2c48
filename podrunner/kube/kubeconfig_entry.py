"""One kubeconfig file as plain data, and one named entry of it, whose fields are read by type.

As kubectl, fields are taken by their type: a number is no text, for ``0123`` is the number 83 and never the password
that it was meant to be. Which entries count does not belong here (``kubeconfig``), nor what they mean.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from podrunner.errors import ConfigError
from podrunner.redaction import shown_value
from podrunner.workload.files import read_bounded, shown_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    import yaml

    from podrunner.kube.tls import Pem

__all__ = ["Entry", "parse_document", "read_document"]


_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A named entry, and the file that its relative paths start from.

    Attributes:
        kind: The list that it stands in: ``clusters``, ``users``, ``contexts``.
        name: Its name there.
        fields: Its settings.
        source: Its file.
    """

    kind: str
    name: str
    fields: Mapping[str, Any] = field(repr=False)
    source: Path

    def text(self, key: str) -> str | None:
        """Return a text; None if it is missing or empty."""
        value = self.fields.get(key)
        if value is None or isinstance(value, str):
            return value or None
        raise self.error(key, f"this is no text but {_kind_of(value)}", "Put it in quotes.")

    def flag(self, key: str) -> bool:
        """Return whether a flag is set."""
        value = self.fields.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.error(
            key, f"this is neither true nor false but {_kind_of(value)}", "Write it without quotes."
        )

    def texts(self, key: str) -> list[str]:
        """Return a list of texts; empty if it is missing."""
        value = self.fields.get(key)
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        raise self.error(key, "this is no list of texts", "Put each item in quotes.")

    def file(self, key: str) -> Path | None:
        """Return the path of a file, from the kubeconfig's folder on; None if none is named."""
        name = self.text(key)
        return None if name is None else self.source.parent / Path(name).expanduser()

    def pem(self, key: str) -> Pem | None:
        """Return a PEM file, or its content, given as ``{key}-data``; None if there is neither.

        Raises:
            ConfigError: It cannot be read, or both are given, which kubectl refuses.
        """
        data, path = self.text(f"{key}-data"), self.file(key)
        if data is not None and path is not None:
            raise self.error(key, f"both this and {key}-data are given", "Keep one of them.")
        if data is not None:
            return self._decoded(f"{key}-data", data)
        if path is not None and not os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises where a folder may not be entered
            problem = f"there is no file {path}, or it may not be read"
            raise self.error(key, problem, "Correct the path, or give the data inline.")
        return path

    def _decoded(self, key: str, data: str) -> bytes:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise self.error(key, "this is not base64", "Give PEM, encoded in base64.") from None

    def error(self, key: str, problem: str, remedy: str) -> ConfigError:
        """Return the error that names file, entry and key; raise it."""
        return ConfigError(
            problem, source=str(self.source), key=f"{self.kind}[{self.name}].{key}", remedy=remedy
        )


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return f"the value {str(value).lower()}"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else shown_value(value)


def read_document(path: Path) -> Mapping[str, Any] | None:
    """Read a kubeconfig file; None if there is nothing in it but comments.

    Raises:
        ConfigError: It cannot be read, is neither YAML nor JSON, or holds something else.
    """
    try:
        content = read_bounded(path)
    except OSError as error:
        raise ConfigError(f"the kubeconfig cannot be read: {error.strerror}", source=str(path)) from error
    except ValueError as error:  # too large, or a path that no system takes
        raise ConfigError(f"the kubeconfig cannot be read: {error}", source=shown_path(path)) from None
    try:
        document = parse_document(content)
    except ValueError as error:
        raise ConfigError(f"the kubeconfig is not YAML{error}", source=str(path)) from None
    if document is None:
        return None
    if not isinstance(document, dict):
        raise ConfigError(
            "this is no kubeconfig: it holds no mapping",
            source=str(path),
            remedy="Give a file as kubectl writes it.",
        )
    _check_kind(document, path)
    return document


def _check_kind(document: Mapping[str, Any], path: Path) -> None:
    for key, wanted in (("kind", "Config"), ("apiVersion", "v1")):
        found = document.get(key)
        if found not in (None, "", wanted):
            raise ConfigError(
                f"this is no kubeconfig: {key} is not {wanted}",
                source=str(path),
                key=key,
                value=shown_value(found),
                remedy="Give a file as kubectl writes it.",
            )


def parse_document(content: bytes) -> Any:
    """Return the first document of a YAML or JSON text as plain data, its scalars as kubectl reads them.

    Raises:
        ValueError: It is none; the text is " (line N)" or "", and never quotes the document, which may hold secrets.
    """
    import yaml

    if content.lstrip().startswith(b"{"):
        try:
            return _encodable(json.loads(content))  # YAML is a superset but for tabs
        except (ValueError, RecursionError):
            pass  # YAML in flow style, or an error whose line the other parser says
    try:
        return next(iter(yaml.load_all(content, _loader())), None)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f" (line {mark.line + 1})" if mark is not None else "") from None


def _encodable(found: Any) -> Any:
    """Put U+FFFD, as Go does, for each half of a surrogate pair in the texts of a JSON document."""
    if isinstance(found, str):
        return _SURROGATE.sub("\ufffd", found)
    if isinstance(found, list):
        return [_encodable(item) for item in found]
    if isinstance(found, dict):
        return {_encodable(key): _encodable(value) for key, value in found.items()}
    return found


@cache
def _loader() -> type[yaml.SafeLoader]:
    """Make the loader: dates and ``12:30`` are texts, as for Go's YAML; PyYAML reads a date and the number 750.

    A ``!!binary`` is the text that it encodes, and a ``!!set`` a mapping.
    """
    import yaml

    from podrunner.yaml_loader import BoundedLoader

    class Loader(BoundedLoader):
        pass

    def construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        return node.value if ":" in node.value else loader.construct_yaml_int(node)

    def construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        return node.value if ":" in node.value else loader.construct_yaml_float(node)

    def construct_text(_: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        if _SURROGATE.search(node.value):  # "\\ud800": UTF-8 cannot write it, and Go's YAML refuses it
            raise yaml.constructor.ConstructorError(None, None, "half a surrogate pair", node.start_mark)
        return node.value

    def construct_binary(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        return loader.construct_yaml_binary(node).decode()

    for name, construct in (
        ("str", construct_text),
        ("binary", construct_binary),
        ("set", yaml.SafeLoader.construct_yaml_map),
        ("int", construct_int),
        ("float", construct_float),
        ("timestamp", construct_text),
    ):
        Loader.add_constructor(f"tag:yaml.org,2002:{name}", construct)
    return Loader
