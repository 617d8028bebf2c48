"""Admission: whether one more pod may be created, and what keeps it waiting.

What belongs here: the limits of live pods and of outcomes that no caller has read, and when they do not hold. In which
order launches are admitted, and how many requests run at once, is decided in ``podrunner.runner.submission``.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from podrunner.errors import RunnerClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from podrunner.config import RunnerConfig
    from podrunner.runner.context import Fence
    from podrunner.runner.supervisor import Supervisor
    from podrunner.runner.tracked import TrackedPods

__all__ = ["Admission"]

_logger = logging.getLogger(__name__)


class Admission:
    """The limits that a launch waits for.

    Args:
        pods: All pods: how many are live, and of how many the outcome is not read.
        supervisor: Knows how many are being created.
        config: The limits.
        fence: Whether the runner may act.

    Attributes:
        is_refusing: Whether nothing is launched any more.
    """

    def __init__(self, pods: TrackedPods, supervisor: Supervisor, config: RunnerConfig, fence: Fence) -> None:
        self.is_refusing: bool = False
        self._pods = pods
        self._supervisor = supervisor
        self._config = config
        self._fence = fence
        self._is_draining = False
        self._waits_for_all = 0
        self._unreadable = 0  # pods of calls that are under way: their callers cannot have read them
        self._is_warned = False

    async def admitted(self, is_wanted: Callable[[], object], *, is_waited_for: Callable[[], object]) -> None:
        """Returns when one more pod is within the limits, or none is wanted any more, or launches are refused.

        One for whose end a caller waits goes beyond ``max_undelivered_pods``: it may read the others only then.
        """
        while self._is_full(is_waited_for) and is_wanted() and not self.is_refusing:
            self._warn_of_undelivered()
            await self._pods.changed()
        self._is_warned = self._is_warned and self.is_undelivered_beyond()

    def check(self) -> None:
        """Refuses what comes too late.

        Raises:
            RunnerClosedError: The runner launches nothing any more.
            OwnershipError: It lost its Lease.
        """
        if self.is_refusing:
            raise RunnerClosedError("the runner is being closed")
        self._fence.check_owner()

    def is_undelivered_beyond(self) -> bool:
        """Whether the outcomes of so many pods are not read that only a pod that is waited for may be created."""
        # Not those that wait for another try of their run: they are delivered by its pod, which waits here.
        if self._is_draining or self._waits_for_all:
            return False
        return self._pods.unread >= self._config.max_undelivered_pods + self._unreadable

    @property
    def limit_reached(self) -> str:
        """The limit that keeps launches waiting; "": none does."""
        if self.is_undelivered_beyond():
            limit, count = self._config.max_undelivered_pods, self._pods.unread
            return (
                f"max_undelivered_pods={limit}: the outcomes of {count} pods are not delivered; "
                "take them (poll_events, events, wait) or acknowledge them"
            )
        if self._is_active_beyond():
            return f"max_active_pods={self._config.max_active_pods}: {self._pods.active} pods are not over"
        return ""

    @contextmanager
    def all_waited_for(self) -> Iterator[None]:
        """Meanwhile a caller waits for all pods, and may read their outcomes only then."""
        self._waits_for_all += 1
        self._pods.notify()
        try:
            yield
        finally:
            self._waits_for_all -= 1

    def drain(self) -> None:
        """Launches what waits, however many outcomes are not delivered: the caller may read none any more."""
        self._is_draining = True
        self._pods.notify()

    def refuse(self) -> None:
        """Launches nothing any more."""
        self.is_refusing = True
        self._pods.notify()

    def count_unreadable(self, count: int) -> None:
        """Counts pods of a call that is under way; with a negative count, when it has returned."""
        self._unreadable += count
        if count > 0 and self._is_warned:  # others wait for room
            self._pods.notify()

    def _is_full(self, is_waited_for: Callable[[], object]) -> bool:
        return self._is_active_beyond() or (self.is_undelivered_beyond() and not is_waited_for())

    def _is_active_beyond(self) -> bool:
        limit = self._config.max_active_pods
        return limit is not None and self._pods.active + self._supervisor.launching >= limit

    def _warn_of_undelivered(self) -> None:
        if self.is_undelivered_beyond() and not self._is_warned:
            self._is_warned = True
            _logger.warning("no pod is created: %s", self.limit_reached)
