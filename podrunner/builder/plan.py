"""The plan of a pod, which the builder makes and the launcher carries out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from podrunner.workload import WorkloadKey

__all__ = ["PodPlan"]


class PodPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A pod to create, and its Secret.

    A Struct, since there is one for each pod: creating it takes a quarter of a dataclass's time.

    Attributes:
        manifest: The pod. Its parts may be shared with other plans of the same builder: copy before changing.
        secret: The Secret with the pod's credentials, to be created after the pod and owned by it; None: there is
            none.
        key: The workload's identity and attempt.
        namespace: The namespace of both.
        main_container: Name of the container whose end is the pod's end.
        log_path: Where the log goes, below the log folder.
        warnings: What has no effect, one sentence each.
        manifest_hash: What the workload says about what is run, as a hash (``podrunner.builder.manifest_hash``); None:
            it has none.
    """

    manifest: dict[str, Any]
    secret: dict[str, Any] | None = None
    key: WorkloadKey
    namespace: str
    main_container: str
    log_path: str
    warnings: tuple[str, ...] = ()
    manifest_hash: str | None = None

    def __repr__(self) -> str:
        """Return the pod's name and key, without its manifest and Secret."""
        return f"PodPlan({self.namespace}/{self.name}, key={self.key!r})"

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.manifest["metadata"]["name"])
