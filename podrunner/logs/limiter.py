"""Limits how many logs are read at once: however many logs are followed, they share a bounded number of streams.

Readers are of two kinds:

- A reader that follows a running container may have to wait for long. It holds its permit for a time slice; if other
  readers wait then, it closes its stream, releases the permit and queues again.
- A reader that drains the log of an ended container delays the deletion of the pod. It comes to an end by itself, is
  never made to leave a log that flows, and has a share of the permits that no follower takes.

How a reader leaves a log and resumes it is :mod:`podrunner.logs.follow`.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from podrunner.event_loop import Event, current_time, make_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["LogStreamLimiter", "StreamPermit"]

# One stream in five is for logs of ended containers: a thousand pods that end at once are drained in a few
# seconds, and the followers of running containers lose little.
_DRAINS_SHARE: Final = 5


class StreamPermit:
    """One reader's permit: requested, then held, then released.

    Attributes:
        draining: Whether the container has ended, so that the pod's deletion waits.
        is_held: Whether the reader may connect now.
        slice_s: Seconds for which the permit is held at least.
        ends_at: When the time slice ends, on anyio's clock: never, unless other readers wait.
        on_recall: Called when other readers begin to wait for this permit.
        is_overdue: Whether the time slice has ended and the reader cannot release the permit yet.
    """

    def __init__(self, limiter: LogStreamLimiter, *, draining: bool, slice_s: float) -> None:
        self.draining = draining
        self.slice_s = slice_s
        self.is_held: bool = False
        self.is_overdue: bool = False
        self.ends_at: float = math.inf
        self.on_recall: Callable[[], object] = lambda: None
        self._limiter = limiter
        self._granted_at = 0.0
        self._granted: Event | None = None

    async def held(self) -> None:
        """Returns when the permit is held."""
        if not self.is_held:
            self._granted = make_event()
            await self._granted.wait()

    def promote(self) -> None:
        """Moves a waiting follower to the queue of drains: its container has ended meanwhile."""
        self._limiter.promote(self)

    @property
    def limiter_has_spare(self) -> bool:
        """Whether more than half of all permits are free: holding one for too long then delays few readers."""
        return self._limiter.has_spare

    def pass_over(self) -> None:
        """Marks the permit as overdue: another one is recalled instead."""
        self._limiter.pass_over(self)

    def release(self) -> None:
        """Gives the permit back, or leaves the queue. A second call does nothing."""
        self._limiter.release(self)

    def grant(self) -> None:
        """Lets the reader connect."""
        self.is_held = True
        self._granted_at = current_time()
        if self._granted is not None:
            self._granted.set()

    def recall(self) -> None:
        """Ends the permit with its time slice, because other readers wait."""
        if self.ends_at == math.inf:
            self.ends_at = self._granted_at + self.slice_s
            self.on_recall()


class LogStreamLimiter:
    """Grants permits in the order of the requests.

    Args:
        limit: How many permits are held at once at most, at least 2; None: no limit.
        turn_s: How long, in seconds, a follower keeps its permit while other readers wait.
    """

    def __init__(self, limit: int | None = None, *, turn_s: float = 30.0) -> None:
        if limit is not None and limit < 2:
            raise ValueError(
                f"a limit of {limit} leaves no connection to logs of ended containers; at least 2"
            )
        self._limit = math.inf if limit is None else limit
        self._for_drains = 0 if limit is None else max(1, limit // _DRAINS_SHARE)
        self._turn_s = turn_s
        # Dictionaries for their order, and because any reader may leave at any time.
        self._follows: dict[StreamPermit, None] = {}
        self._drains: dict[StreamPermit, None] = {}
        self._waiting_follows: dict[StreamPermit, None] = {}
        self._waiting_drains: dict[StreamPermit, None] = {}

    @property
    def held(self) -> int:
        """How many permits are held."""
        return len(self._follows) + len(self._drains)

    @property
    def waiting(self) -> int:
        """How many readers wait for a permit."""
        return len(self._waiting_follows) + len(self._waiting_drains)

    @property
    def has_spare(self) -> bool:
        """Whether more than half of the permits are free."""
        return 2 * self.held < self._limit

    def request(self, *, draining: bool) -> StreamPermit:
        """Requests a permit; it may be held at once. The caller releases it, whatever happens."""
        permit = StreamPermit(self, draining=draining, slice_s=self._turn_s)
        (self._waiting_drains if draining else self._waiting_follows)[permit] = None
        self._grant_free()
        return permit

    @asynccontextmanager
    async def drain(self) -> AsyncIterator[None]:
        """Holds a permit for one short answer."""
        permit = self.request(draining=True)
        try:
            await permit.held()
            yield
        finally:
            permit.release()

    def promote(self, permit: StreamPermit) -> None:
        """Moves a waiting follower to the queue of drains."""
        if permit in self._waiting_follows:
            del self._waiting_follows[permit]
            permit.draining = True
            self._waiting_drains[permit] = None
            self._grant_free()

    def release(self, permit: StreamPermit) -> None:
        """Forgets a permit, whether it was held or waited for."""
        for permits in (self._follows, self._drains, self._waiting_follows, self._waiting_drains):
            permits.pop(permit, None)
        self._grant_free()

    def pass_over(self, permit: StreamPermit) -> None:
        """Recalls another permit instead of one whose reader cannot leave."""
        permit.is_overdue = True
        self._grant_free()

    def _grant_free(self) -> None:
        while (permit := self._next()) is not None:
            waiting, held = self._queues_of(permit)
            del waiting[permit]
            held[permit] = None
            permit.grant()
        self._recall(self._follows, len(self._waiting_follows))
        self._recall(self._drains, self.waiting)

    def _next(self) -> StreamPermit | None:
        if self.held >= self._limit:
            return None
        drain = next(iter(self._waiting_drains), None)
        follow = next(iter(self._waiting_follows), None)
        if len(self._follows) >= self._limit - self._for_drains:
            return drain
        # Both kinds have their share: drains go first until theirs is full, and take what no follower waits for.
        return follow if drain is None or (follow and len(self._drains) >= self._for_drains) else drain

    def _queues_of(self, permit: StreamPermit) -> tuple[dict[StreamPermit, None], dict[StreamPermit, None]]:
        if permit.draining:
            return self._waiting_drains, self._drains
        return self._waiting_follows, self._follows

    @staticmethod
    def _recall(held: dict[StreamPermit, None], wanted: int) -> None:
        """Recalls as many permits as are wanted, those that are held longest first."""
        if wanted:
            for permit in islice((permit for permit in held if not permit.is_overdue), wanted):
                permit.recall()
