"""What the builder hands to the launcher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from podrunner.workload import WorkloadKey

__all__ = ["PodPlan"]


class PodPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A pod to be made, and what belongs to it.

    A Struct, since there is one for each pod: it is made in a quarter of a dataclass's time.

    Attributes:
        manifest: The pod. Its parts may be shared with other plans of the same builder: copy before changing.
        secret: The Secret with the pod's credentials, to be made after the pod and owned by it; None: it has
            none.
        key: The workload's identity and attempt.
        namespace: Where both go.
        main_container: Name of the container whose end is the pod's end.
        log_path: Where the log goes, below the log folder.
        warnings: What was said without effect, one sentence each.
    """

    manifest: dict[str, Any]
    secret: dict[str, Any] | None = None
    key: WorkloadKey
    namespace: str
    main_container: str
    log_path: str
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show which pod it is; neither its manifest nor its secret."""
        return f"PodPlan({self.namespace}/{self.name}, key={self.key!r})"

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.manifest["metadata"]["name"])
