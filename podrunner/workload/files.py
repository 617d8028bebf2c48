"""Reading workloads and pod templates from files: the only I/O of this room."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from podrunner.errors import SpecError
from podrunner.redaction import shown_value, syntax_problem

if TYPE_CHECKING:
    from pathlib import Path

    import yaml

__all__ = ["read_document", "read_pod_template"]


def read_document(path: Path) -> dict[str, Any]:
    """Read a JSON or YAML file that holds one object.

    Args:
        path: The file; ``.json`` is read as JSON, anything else as YAML (of which JSON is a part).

    Raises:
        SpecError: It cannot be read, is malformed, or does not hold one object; ``field`` is the path.
    """
    try:
        document = _parsed(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(f"cannot be read: {reason}", field=str(path)) from error
    if not isinstance(document, dict):
        raise SpecError("must hold one object (a mapping)", field=str(path), value=shown_value(document))
    return document


def _parsed(path: Path, text: str) -> Any:
    import yaml  # costs 20 ms, and most programs make their workloads in Python

    try:
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, _loader())  # noqa: S506 - a SafeLoader
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"is malformed: {syntax_problem(error)}", field=str(path)) from None


def _loader() -> type[yaml.SafeLoader]:
    """Return a YAML loader without timestamps: Kubernetes reads a date in an annotation as text."""
    import yaml

    class ManifestLoader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it so
            first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
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
