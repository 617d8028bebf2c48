"""Reading a pod template: a YAML or JSON file with one pod.

What belongs here: the file. Merging it does not (``podrunner.builder``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.config.location import SourceLocation
from podrunner.config.yaml_text import parse_yaml
from podrunner.workload.files import read_utf8

if TYPE_CHECKING:
    import os

__all__ = ["load_pod_template"]


def load_pod_template(
    path: str | os.PathLike[str], *, location: SourceLocation | None = None
) -> dict[str, Any]:
    """Read a pod template.

    Args:
        path: The file.
        location: Where the file is named, for errors; None: the file itself.

    Raises:
        ConfigError: It cannot be read, or is not one pod.
    """
    where = location or SourceLocation(str(path))
    try:
        text = read_utf8(Path(path))
    except (OSError, ValueError) as error:
        raise where.error(f"the pod template cannot be read: {error}", remedy="Check the path") from None
    pod = parse_yaml(text, SourceLocation(str(path)))
    if not isinstance(pod, dict) or pod.get("kind", "Pod") != "Pod":
        raise where.error(
            f"the pod template {path} is not a pod", remedy="Write one YAML document of kind: Pod"
        )
    return pod
