"""What a runner says about its own state. Records only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def combine(watches: Sequence[WatchHealth], **counts: Any) -> RunnerHealth:
    """What all watches say together, with what the runner says itself: the other fields of :class:`RunnerHealth`."""
    synced, stale, relists, reconnects, skipped = True, False, 0, 0, 0
    oldest_s: float | None = -1.0
    for watch in watches:  # one pass: a scheduler asks in each iteration of its loop
        synced = synced and watch.synced
        stale = stale or watch.stale
        relists += watch.relists
        reconnects += watch.reconnects
        skipped += watch.skipped
        age_s = watch.last_event_age_s
        oldest_s = None if age_s is None or oldest_s is None else max(oldest_s, age_s)
    return RunnerHealth(
        synced=synced,
        stale=stale,
        last_event_age_s=oldest_s if watches else None,
        relists=relists,
        reconnects=reconnects,
        skipped=skipped,
        watches=tuple(watches),
        **counts,
    )
