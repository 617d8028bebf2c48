"""Reading workloads and pod templates from files: the only I/O of this room."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from podrunner.errors import SpecError
from podrunner.redaction import shown_value, syntax_problem

if TYPE_CHECKING:
    from pathlib import Path

    import yaml

__all__ = ["read_bounded", "read_document", "read_pod_template", "read_utf8", "shown_path"]

_MAX_BYTES = 16 << 20
"""More than any configuration has: an API server takes 3 MiB at most."""


def read_document(path: Path) -> dict[str, Any]:
    """Read a JSON or YAML file that holds one object.

    Args:
        path: The file; ``.json`` is read as JSON, anything else as YAML (of which JSON is a part).

    Raises:
        SpecError: It cannot be read, is malformed, or does not hold one object; ``field`` is the path.
    """
    try:
        document = _parsed(path, read_utf8(path))
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", field=str(path)) from error
    except UnicodeDecodeError as error:
        raise SpecError(f"cannot be read: it is not UTF-8 (at byte {error.start})", field=str(path)) from None
    except ValueError as error:  # too large, or a path that no system takes
        raise SpecError(f"cannot be read: {error}", field=shown_path(path)) from None
    if not isinstance(document, dict):
        raise SpecError("must hold one object (a mapping)", field=str(path), value=shown_value(document))
    return document


def read_utf8(path: Path) -> str:
    """Return the text of a file that a person has written, without its byte order mark.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
        ValueError: It is larger than 16 MiB, as a device or a pipe without end is; or the path is none.
    """
    return read_bounded(path).decode("utf-8-sig")


def read_bounded(path: Path) -> bytes:
    """Return the bytes of a file that a person has written.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger than 16 MiB, as a device or a pipe without end is; or the path is none.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES >> 20} MiB")
    return content


def shown_path(path: Path) -> str:
    """Return a path for a message, quoted if it has characters that are not shown."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def _parsed(path: Path, text: str) -> Any:
    import yaml  # costs 20 ms, and most programs make their workloads in Python

    try:
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, _loader())  # noqa: S506 - a SafeLoader
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"is malformed: {syntax_problem(error)}", field=str(path)) from None


def _loader() -> type[yaml.SafeLoader]:
    """Return a YAML loader without timestamps: Kubernetes reads a date in an annotation as text."""
    from podrunner.yaml_loader import BoundedLoader

    class ManifestLoader(BoundedLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it so
            first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in BoundedLoader.yaml_implicit_resolvers.items()
        }

    return ManifestLoader


def read_pod_template(path: Path) -> dict[str, Any]:
    """Read a pod template: a manifest of kind Pod, in YAML or JSON.

    Raises:
        SpecError: It cannot be read, or is of another kind.
    """
    template = read_document(path)
    kind = template.get("kind", "Pod")
    if kind != "Pod":
        raise SpecError("a pod template must be of kind Pod", field=f"{path}: kind", value=shown_value(kind))
    return template
