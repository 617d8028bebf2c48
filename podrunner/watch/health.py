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
        last_event_age_s: Seconds since the last sign of life (an event, a bookmark, a complete list); None before
            the first.
        interrupted_s: Seconds since the watch broke, or brought anything else than events; 0 while it works. It lasts
            until an event, a bookmark or a complete list.
        versions_back: How often the server named an older version than before, as after etcd was restored.
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
    versions_back: int = 0
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
    """Counts and times of one reflector, on its own clock.

    Only an event, a bookmark or a complete list is a *sign of life*; a connection that brought one is *proven*. A
    connection alone ends an interruption as long as connections are *credible*: proven ones are, and those that were
    silent for a while, as a watch of idle pods is. After one that ended at once, or brought anything else than
    events, the next must prove itself, or stay silent for as long.

    Args:
        now_s: The present time.
        stale_after_s: Seconds that an interruption may last.
    """

    def __init__(self, now_s: float, *, stale_after_s: float) -> None:
        self.lists: int = 0
        self.connections: int = 0
        self.failures: int = 0
        self.skipped: int = 0
        self.versions_back: int = 0
        self.error: str | None = None
        self.last_sign_s: float | None = None
        self.connected_since_s: float | None = None
        self.silences: int = 0
        """How many connections in a row were silent, or ended without an event."""
        self.proven: bool = False
        """Whether the present connection, or the last, brought a sign of life."""
        self.unreadable: bool = False
        """Whether it brought bytes after it that are no event."""
        self._stale_after_s = stale_after_s
        self._interrupted_since_s: float | None = now_s
        self._before_s: float | None = now_s
        self.credible: bool = True
        """Whether a connection alone would end an interruption."""
        self._listing = True

    @property
    def synced(self) -> bool:
        """Whether a complete list was ever taken in."""
        return self.lists > 0

    def sign(self, now_s: float) -> None:
        """Note an event or a bookmark, of a watch whose list is complete."""
        self.last_sign_s = now_s
        if self.proven and not self.unreadable:  # nearly always
            return
        self.proven = self.credible = True
        self.unreadable = self._listing = False
        self.silences = 0
        self._well()

    def noise(self, now_s: float) -> bool:
        """Note bytes that are no event; return whether they are the first since the last event."""
        first = not self.unreadable
        self.unreadable = True
        if first:
            self._interrupt(now_s if self.proven else self._started_s(now_s))
        return first

    def connected(self, now_s: float, *, listing: bool) -> None:
        """Note that a watch stands; ``listing``: it brings the list first, and proves nothing before that."""
        self.connections += 1
        self.connected_since_s = now_s
        self.proven = self.unreadable = False
        self._listing = listing
        self._before_s = self._interrupted_since_s
        if self.credible and not listing:
            self._well()

    def listed(self, now_s: float) -> None:
        """Note a complete list: what is known is as of now, watched or not."""
        self.lists += 1
        self.silences = 0
        self.last_sign_s = now_s
        if self._interrupted_since_s is not None:
            self._interrupted_since_s = now_s

    def disconnected(self, since_s: float) -> None:
        """Note that there is no watch any more; ``since_s`` may lie back, when silence was noticed late."""
        if self._is_settled(since_s):
            self.credible = True
            self._interrupted_since_s = None
        elif (
            self.connected_since_s is not None and not self._listing and (self.unreadable or not self.proven)
        ):
            self.credible = False
            self._interrupt(self._started_s(since_s))
        self.connected_since_s = None
        self._interrupt(since_s)

    def silent(self, now_s: float) -> None:
        """Note that a watch was given up for its silence: interrupted since its last sign of life."""
        self.silences += 1
        self.credible = True
        if self._interrupted_since_s is None or self._is_settled(now_s):
            self._interrupted_since_s = (
                self.connected_since_s if self.last_sign_s is None else self.last_sign_s
            )
        self.connected_since_s = None

    def failed(self, error: BaseException) -> None:
        """Note a failure."""
        self.failures += 1
        self.error = f"{type(error).__name__}: {error}"

    def interrupted_s(self, now_s: float) -> float:
        """Return for how long there has been no contact."""
        since_s = self._interrupted_since_s  # once: another thread may look, while it changes
        return 0.0 if since_s is None or self._is_settled(now_s) else now_s - since_s

    def is_stale(self, now_s: float) -> bool:
        """Whether the interruption has lasted longer than it may."""
        return self.interrupted_s(now_s) > self._stale_after_s

    def healthy_s(self, now_s: float) -> float:
        """Return for how long the present watch has stood, unless it brings anything else than events."""
        return 0.0 if self.connected_since_s is None or self.unreadable else now_s - self.connected_since_s

    def report(self, now_s: float, *, namespace: str | None, pods: int, unconfirmed: int) -> WatchHealth:
        """Return the state at a moment."""
        return WatchHealth(
            namespace=namespace,
            synced=self.synced,
            stale=self.is_stale(now_s),
            last_event_age_s=None if self.last_sign_s is None else now_s - self.last_sign_s,
            interrupted_s=self.interrupted_s(now_s),
            versions_back=self.versions_back,
            relists=max(0, self.lists - 1),
            reconnects=max(0, self.connections - 1),
            failures=self.failures,
            skipped=self.skipped,
            pods=pods,
            unconfirmed=unconfirmed,
            error=None if self._is_settled(now_s) else self.error,
        )

    def _well(self) -> None:
        self._interrupted_since_s = None
        self.error = None

    def _interrupt(self, since_s: float) -> None:
        if self._interrupted_since_s is None:
            self._interrupted_since_s = since_s

    def _started_s(self, now_s: float) -> float:
        """Return since when there is no contact, if the present connection never was one."""
        if self._before_s is not None:
            return self._before_s if self.last_sign_s is None else max(self._before_s, self.last_sign_s)
        return now_s if self.connected_since_s is None else self.connected_since_s

    def _is_settled(self, now_s: float) -> bool:
        """Whether the present connection may be believed: proven, or silent for half of what may be interrupted."""
        since_s = self.connected_since_s
        if since_s is None or self.unreadable or self._listing:
            return False
        return self.proven or now_s - since_s >= self._stale_after_s / 2
