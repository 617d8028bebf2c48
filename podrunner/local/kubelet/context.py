"""What all parts of the kubelet share: folders, the recorder of events, waits. Nothing happens here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from podrunner.local.contained import ContainedFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from podrunner.local.api.storage.events import EventRecorder
    from podrunner.local.api.storage.store import Store
    from podrunner.local.kubelet.images import Images
    from podrunner.local.kubelet.isolation import Isolation
    from podrunner.local.kubelet.memory import MemoryGuard

__all__ = ["ApiAccess", "Node", "Timing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAccess:
    """How programs in containers reach the API server.

    Attributes:
        host: Address, as ``KUBERNETES_SERVICE_HOST``.
        port: Port, as ``KUBERNETES_SERVICE_PORT``.
        token: Bearer token, written where a service account's is expected; secret, hence absent from ``repr``.
        ca: PEM certificate of the server's authority, None without TLS.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str = field(default="", repr=False)
    ca: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times in seconds; the defaults are the kubelet's own.

    Attributes:
        crash_loop_base_s: First wait before a container that crashed again is restarted; doubles.
        crash_loop_max_s: The longest such wait.
        image_base_s: First wait before an image is asked for again; doubles.
        image_max_s: The longest such wait.
        config_retry_s: Wait before a missing config map, secret or volume is looked for again, unless it appears.
        memory_poll_s: Between looks at the memory of containers, where there is no cgroup.
    """

    crash_loop_base_s: float = 10.0
    crash_loop_max_s: float = 300.0
    image_base_s: float = 10.0
    image_max_s: float = 300.0
    config_retry_s: float = 10.0
    memory_poll_s: float = 0.25


@dataclass(slots=True, kw_only=True)
class Node:
    """The node that pods run on.

    Attributes:
        name: Its name.
        folder: Everything that pods leave on disk is below it.
        store: The cluster's objects.
        events: Where events go.
        images: What image names mean.
        isolation: How containers are kept apart.
        memory: Holds containers to their memory limits.
        api: How programs in containers reach the API server.
        timing: Waits.
        capacity: Allocatable resources, as quantities.
        log_max_size: Bytes of a container's log file before it is rotated.
        log_max_files: Log files kept per container run.
        now: Clock, seconds since the epoch.
        ip: Address of the node and of all its pods.
        files: What all parts read, write and remove below the folder with.
    """

    name: str
    folder: Path
    store: Store
    events: EventRecorder
    images: Images
    isolation: Isolation
    memory: MemoryGuard
    api: ApiAccess = field(default_factory=ApiAccess)
    timing: Timing = field(default_factory=Timing)
    capacity: Mapping[str, str] = field(default_factory=dict)
    log_max_size: int = 10 << 20
    log_max_files: int = 5
    now: Callable[[], float] = time.time
    ip: str = "127.0.0.1"
    files: ContainedFolder = field(init=False)

    def __post_init__(self) -> None:
        self.files = ContainedFolder(self.folder)

    def base_environment(self) -> dict[str, str]:
        """Return the variables of the ``kubernetes`` service, which any container gets."""
        host, port = self.api.host, str(self.api.port)
        url = f"tcp://{host}:{port}"
        return {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            "KUBERNETES_SERVICE_PORT_HTTPS": port,
            "KUBERNETES_PORT": url,
            "KUBERNETES_PORT_443_TCP": url,
            "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
            "KUBERNETES_PORT_443_TCP_PORT": port,
            "KUBERNETES_PORT_443_TCP_ADDR": host,
        }
