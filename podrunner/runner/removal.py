"""Which pods are deleted after their end, and how long a deletion is waited for. Pure; ``deletion`` deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podrunner.outcome import Category, goes_on

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.outcome import Outcome
    from podrunner.runner.tracked import TrackedPod

__all__ = ["is_lost", "is_to_be_deleted", "patience_with_deletion_s"]

# A deletion that the server accepted is normally followed by DELETED within the grace period; after so much
# longer the outcome is given without it, because a dead node may keep a terminating pod for ever.
_DELETION_MARGIN_S: Final = 60.0
_DEFAULT_GRACE_S: Final = 30
# A lost node had its time already.
_LOST_MARGIN_S: Final = 10.0


def is_to_be_deleted(tracked: TrackedPod, outcome: Outcome, config: RunnerConfig) -> bool:
    """Whether a pod that is over is deleted now, by the configuration's policy."""
    if tracked.gone or tracked.intent is not None:
        return False
    if tracked.pod is not None and goes_on(tracked.pod):
        return True  # a sidecar, or a node that came back, would keep it running for nobody
    return config.delete_pods and (outcome.succeeded or config.delete_pods_on_failure)


def is_lost(verdict: Outcome | None) -> bool:
    """Whether a pod is given up because its node is."""
    return verdict is not None and verdict.category is Category.NODE_LOST


def patience_with_deletion_s(tracked: TrackedPod) -> float:
    """Seconds until the outcome is given though the deleted pod is still there."""
    if is_lost(tracked.verdict):
        return _LOST_MARGIN_S
    marked = tracked.pod.metadata.deletion_grace_period_seconds if tracked.pod is not None else None
    known = (tracked.grace_period_s, marked, _DEFAULT_GRACE_S)
    return next(grace_s for grace_s in known if grace_s is not None) + _DELETION_MARGIN_S
