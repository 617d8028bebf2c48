"""Faults of a LocalCluster itself: a compacted history, a clock that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podrunner.local import LocalCluster

__all__ = ["compact", "skew_clock"]


def compact(cluster: LocalCluster) -> None:
    """Forget all history, as etcd's compaction does: a client that is behind is answered 410.

    Args:
        cluster: A started LocalCluster.

    Raises:
        UsageError: It does not run.
    """
    cluster.call(cluster.control.store.compact)


def skew_clock(cluster: LocalCluster, by_s: float) -> None:
    """Set the API server's clock wrong: what it stamps from now on (creation, deletion, events) is off by so much.

    Args:
        cluster: A started LocalCluster.
        by_s: Seconds, positive for a clock that is fast; 0 sets it right.

    Raises:
        UsageError: It does not run.
    """
    later = timedelta(seconds=by_s)

    def now() -> datetime:
        return datetime.now(UTC) + later

    cluster.call(setattr, cluster.control.store, "now", now)
