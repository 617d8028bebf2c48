"""The health of a watch, and the counters and times behind it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WatchHealth", "WatchStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchHealth:
    """The state of one watch, at one moment.

    Attributes:
        namespace: The namespace that is watched; None: all.
        synced: Whether a complete list was ever taken in.
        stale: Whether what is known is older than it may be: out of contact for longer than
            ``watch.stale_after_s``, or not synced for as long.
        last_event_age_s: Seconds since the last activity (an event, a bookmark, an answered list); None before
            the first.
        interrupted_s: Seconds since the watch broke; 0 while the watch is connected.
        relists: Complete lists after the first.
        reconnects: Watch connections after the first.
        failures: Requests and connections that failed, ever.
        skipped: Objects that could not be read, or are not ours, ever.
        pods: How many pods are known.
        unconfirmed: Pods that left the selection and wait for a read that verifies whether they are deleted.
        error: What was wrong at the last failure, or None once the watch works again.
    """

    namespace: str | None = None
    synced: bool = False
    stale: bool = False
    last_event_age_s: float | None = None
    interrupted_s: float = 0.0
    relists: int = 0
    reconnects: int = 0
    failures: int = 0
    skipped: int = 0
    pods: int = 0
    unconfirmed: int = 0
    error: str | None = None

    def covers(self, namespace: str) -> bool:
        """Whether what is known of a namespace's pods comes from this watch."""
        return self.namespace is None or self.namespace == namespace


class WatchStatus:
    """Counts and times of one reflector, on its own clock."""

    def __init__(self, now_s: float) -> None:
        self.lists: int = 0
        self.connections: int = 0
        self.failures: int = 0
        self.skipped = 0
        self.error: str | None = None
        self.last_sign_s: float | None = None
        self.connected_since_s: float | None = None
        self._interrupted_since_s: float | None = now_s

    @property
    def synced(self) -> bool:
        """Whether a complete list was ever taken in."""
        return self.lists > 0

    def sign(self, now_s: float) -> None:
        """Note activity."""
        self.last_sign_s = now_s

    def connected(self, now_s: float) -> None:
        """Note that a watch stands."""
        self.connections += 1
        self.connected_since_s = now_s
        self._interrupted_since_s = None
        self.error = None
        self.sign(now_s)

    def listed(self, now_s: float) -> None:
        """Note a complete list: what is known is as of now, watched or not."""
        self.lists += 1
        if self._interrupted_since_s is not None:
            self._interrupted_since_s = now_s
        self.sign(now_s)

    def disconnected(self, since_s: float) -> None:
        """Note that there is no watch any more; ``since_s`` may lie back, when silence was noticed late."""
        self.connected_since_s = None
        if self._interrupted_since_s is None:
            self._interrupted_since_s = since_s

    def failed(self, error: BaseException) -> None:
        """Note a failure."""
        self.failures += 1
        self.error = f"{type(error).__name__}: {error}"

    def interrupted_s(self, now_s: float) -> float:
        """Return for how long there has been no contact."""
        return 0.0 if self._interrupted_since_s is None else now_s - self._interrupted_since_s

    def healthy_s(self, now_s: float) -> float:
        """Return for how long the present watch has stood."""
        return 0.0 if self.connected_since_s is None else now_s - self.connected_since_s

    def report(
        self, now_s: float, *, namespace: str | None, stale_after_s: float, pods: int, unconfirmed: int
    ) -> WatchHealth:
        """Return the state at a moment."""
        interrupted_s = self.interrupted_s(now_s)
        return WatchHealth(
            namespace=namespace,
            synced=self.synced,
            stale=interrupted_s > stale_after_s,
            last_event_age_s=None if self.last_sign_s is None else now_s - self.last_sign_s,
            interrupted_s=interrupted_s,
            relists=max(0, self.lists - 1),
            reconnects=max(0, self.connections - 1),
            failures=self.failures,
            skipped=self.skipped,
            pods=pods,
            unconfirmed=unconfirmed,
            error=self.error,
        )
