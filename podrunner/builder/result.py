"""The result file of a workload: its volume, and the container from which it can be read.

The container waits beside the main one and keeps the volume readable after the main container has ended. It is a plain
container, since the kubelet ends native sidecars together with the main container. Reading the file does not belong
here (``podrunner.runner.results``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.errors import SpecError
from podrunner.merge.json_value import clone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "RESULT_CONTAINER",
    "RESULT_VOLUME",
    "fill_image",
    "result_container",
    "result_mount",
    "result_volume",
]

RESULT_CONTAINER = "podrunner-result"
"""Name of the container that waits until the result has been read."""
RESULT_VOLUME = "podrunner-result"
"""Name of the volume that both containers mount."""

# Ends at once on SIGTERM, and never before: the longest sleep that the program accepts in every image.
_WAIT = "trap 'exit 0' TERM INT; sleep 2147483647 & wait"
# As Airflow's xcom sidecar has (PodDefaults.SIDECAR_CONTAINER of the cncf.kubernetes provider).
_REQUESTS = {"cpu": "1m", "memory": "10Mi"}


def result_volume() -> dict[str, Any]:
    """Return the volume: an emptyDir, deleted with the pod."""
    return {"name": RESULT_VOLUME, "emptyDir": {}}


def result_mount(path: str, mounts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mount of the result's folder.

    Args:
        path: The result file.
        mounts: The main container's other mounts.

    Raises:
        SpecError: Something else is mounted there.
    """
    folder = path.rpartition("/")[0]
    if any(mount["mountPath"].rstrip("/") == folder for mount in mounts):
        problem = f"something is mounted at {folder} already; the result needs a folder of its own"
        raise SpecError(problem, field="Workload.result_path", value=path)
    return {"name": RESULT_VOLUME, "mountPath": folder}


def result_container(
    mount: Mapping[str, Any], *, main: Mapping[str, Any], image: str | None
) -> dict[str, Any]:
    """Return the container that waits.

    Args:
        mount: The mount of the result's folder.
        main: The main container, whose security context this one shares.
        image: An image with ``sh``, ``sleep``, ``wc`` and ``cat``; None: the main container's.
    """
    container: dict[str, Any] = {"name": RESULT_CONTAINER}
    if image is not None:
        container["image"] = image
    container |= {
        "command": ["sh", "-c", _WAIT],
        "resources": {"requests": dict(_REQUESTS)},
        "volumeMounts": [dict(mount)],
    }
    if main.get("securityContext"):
        container["securityContext"] = clone(main["securityContext"])
    return container


def fill_image(pod: dict[str, Any], main_name: str) -> None:
    """Set the waiting container's image and pull policy to the main container's, if it has no image of its own."""
    containers = {container.get("name"): container for container in pod["spec"].get("containers") or []}
    waiting, main = containers.get(RESULT_CONTAINER), containers.get(main_name, {})
    if waiting is not None and "image" not in waiting:
        waiting |= {field: main[field] for field in ("image", "imagePullPolicy") if field in main}
