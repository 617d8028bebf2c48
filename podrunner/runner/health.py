"""What a runner says about its own state. Records only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podrunner.watch import WatchHealth

__all__ = ["RunnerHealth", "combine"]


class RunnerHealth(msgspec.Struct, frozen=True):
    """The state of a runner, at one moment.

    Attributes:
        synced: Whether every watch has taken in a complete list.
        stale: Whether some watch has been interrupted for longer than it may be.
        last_event_age_s: Seconds since the last sign of life of the watch that is silent longest; None before
            the first.
        relists: Complete lists after the first, of all watches.
        reconnects: Watch connections after the first, of all watches.
        skipped: Objects that could not be read or are not ours, ever.
        pods: Pods that are tracked.
        active: Pods without an outcome.
        undelivered: Pods whose outcome is not delivered; each stays in the cluster until it is.
        submitted: Submissions that wait or are being created.
        runs: Runs that are not over.
        events_waiting: Events that wait for :meth:`poll_events`.
        events_coalesced: Events that gave way to newer ones of the same pod because they were not taken in time.
        log_troubles: Gaps and other troubles with logs, ever.
        logs_waiting: Logs that wait for their turn because ``logs.max_follows`` connections are taken.
        deletes_failing: Pods whose deletion keeps failing.
        lease: ``held``, ``off``, or why it was lost.
        launches_wait_for: What keeps launches waiting: the setting that is exhausted, with its value and the remedy;
            "": nothing does.
        watches: Each watch's own health, in detail.
    """

    synced: bool
    stale: bool
    last_event_age_s: float | None
    relists: int
    reconnects: int
    skipped: int
    pods: int
    active: int
    undelivered: int
    submitted: int
    runs: int
    events_waiting: int
    events_coalesced: int
    log_troubles: int
    logs_waiting: int
    deletes_failing: int
    lease: str
    launches_wait_for: str
    watches: tuple[WatchHealth, ...]


def combine(watches: Sequence[WatchHealth], **counts: int) -> dict[str, object]:
    """What all watches say together, with the runner's own counts: :class:`RunnerHealth` but for the lease."""
    ages = [watch.last_event_age_s for watch in watches]
    known = [age for age in ages if age is not None]
    return {
        "synced": all(watch.synced for watch in watches),
        "stale": any(watch.stale for watch in watches),
        "last_event_age_s": max(known) if known and len(known) == len(ages) else None,
        "relists": sum(watch.relists for watch in watches),
        "reconnects": sum(watch.reconnects for watch in watches),
        "skipped": sum(watch.skipped for watch in watches),
        "watches": tuple(watches),
        **counts,
    }
