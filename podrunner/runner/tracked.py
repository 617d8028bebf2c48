"""One pod as the runner knows it: its last record, its one outcome, and who waits for it.

State only. What an observation means and what is done about it is :mod:`podrunner.runner.supervision`; what
users see is the handle in :mod:`podrunner.runner.handle`. A pod's outcome is settled here and nowhere else,
once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from podrunner.logs import ContainerView, FileLogSink, LogCollector, PodAddress, container_view
from podrunner.runner.notify import Notify

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from podrunner.errors import PodrunnerError
    from podrunner.outcome import Outcome, Waiting
    from podrunner.outcome.record import Pod
    from podrunner.workload import WorkloadKey

__all__ = ["Intent", "TrackedPod"]


class Intent(StrEnum):
    """Why the runner itself ends a pod."""

    CANCEL = "cancel"
    """The caller wants it."""
    GIVE_UP = "give-up"
    """It did not start within the pending policy's patience."""
    RUN_TIMEOUT = "run-timeout"
    """It ran longer than it may."""


class TrackedPod:
    """A pod that this runner owns, or is about to create.

    Attributes:
        key: What it is for.
        namespace: Its namespace.
        name: Its name.
        main_container: The container whose end is the pod's.
        log_path: Where its log goes below the log folder; None: nowhere.
        pod: The last record; None before it exists.
        outcome: Its one outcome; None while it is not over.
        launch_error: What kept it from being created; None if nothing did.
        intent: Why the runner ends it; None: it does not.
        verdict: The outcome that goes with ``intent``, if it is not a plain cancel.
        ended_first: Whether the answer to its deletion showed that it had ended before.
        asked_at: When its deletion was asked for, by the server's clock; None: it was not, or nobody knows.
        ending: Whether its end was seen, and the outcome is about to be settled.
        heard_out: Whether its own last word is awaited, or was.
        deletion_told: Whether its deletion was told as an event.
        gone: Whether it is no longer there.
        lost: Whether another runner took it over.
        status: Its last printed status.
        collector: What collects its log, if something does.
        files: Its log files, whose cursors are removed when the pod is gone.
        readers: How many read its log just now.
        seen_at: When (on the runner's clock) the pod was first tracked.
        started_at: When its main container was first looked at as running; None: it was not yet.
        waiting: What it waits for, and since when.
        suspect_since: Since when its node is suspect, or None.
        done: Set when nothing more will be done about it.
        on_end: Called once, when the outcome is there or will not come from here.
    """

    def __init__(
        self,
        key: WorkloadKey,
        namespace: str,
        name: str,
        *,
        main_container: str = "base",
        log_path: str | None = None,
    ) -> None:
        self.key = key
        self.namespace = namespace
        self.name = name
        self.main_container = main_container
        self.log_path = log_path
        self.pod: Pod | None = None
        self.outcome: Outcome | None = None
        self.launch_error: PodrunnerError | None = None
        self.intent: Intent | None = None
        self.verdict: Outcome | None = None
        self.grace_period_s: int | None = None
        self.ended_first = False
        self.asked_at: datetime | None = None
        self.ending = False
        self.heard_out = False
        self.deletion_told = False
        self.gone = False
        self.lost: bool = False
        self.status = ""
        self.collector: LogCollector | None = None
        self.files: list[FileLogSink] = []
        self.readers: int = 0
        self.seen_at: float = 0.0
        self.started_at: float | None = None
        self.waiting: Waiting | None = None
        self.suspect_since: float | None = None
        self.done: bool = False
        self.on_end: Callable[[], None] = _nothing
        self._change = Notify()
        self._end = Notify()

    def __repr__(self) -> str:
        return f"<pod {self.namespace}/{self.name} {self.status or 'not created'}>"

    @property
    def uid(self) -> str:
        """The pod's UID; "" before it exists."""
        return self.pod.metadata.uid if self.pod is not None else ""

    @property
    def address(self) -> PodAddress:
        """Where to find it."""
        return PodAddress(self.namespace, self.name, self.uid)

    # The pod's life, as log collection sees it

    def container(self, name: str) -> ContainerView:
        """A container's state as it is now known."""
        if self.pod is None:
            return ContainerView(final=self.outcome is not None)
        return container_view(self.pod, name, gone=self.gone)

    async def changed(self) -> None:
        """Returns when something about the pod has changed after the call."""
        await self._change.wait()

    def notify(self) -> None:
        """Wakes those who wait for a change."""
        self._change.notify_all()

    def begin_reading(self) -> None:
        """Somebody reads the log: the pod is not deleted before they are through, within the drain time."""
        self.readers += 1

    def end_reading(self) -> None:
        """Somebody is through with the log."""
        self.readers -= 1
        self.notify()

    # The outcome

    def settle(self, outcome: Outcome) -> None:
        """Gives the pod its outcome: the only place where that happens, and it happens once."""
        assert self.outcome is None, f"{self!r} has an outcome already"
        assert not self.lost, f"{self!r} is another runner's"
        self.outcome = outcome
        self._end_told()

    def lose(self) -> None:
        """The pod is another runner's now: no outcome will come from here."""
        if self.outcome is None:
            self.lost = True
        self._end_told()

    def finish(self) -> None:
        """Nothing more will be done about this pod."""
        self.done = True
        self._wake()

    async def settled(self) -> None:
        """Returns when the outcome is there, or will not come from here."""
        while self.outcome is None and not self.lost:
            await self._end.wait()

    async def finished(self) -> None:
        """Returns when nothing more will be done: outcome settled, log read, deleted or kept by policy."""
        while not self.done:
            await self._end.wait()

    def _end_told(self) -> None:
        self._wake()
        told, self.on_end = self.on_end, _nothing
        told()

    def _wake(self) -> None:
        self.notify()
        self._end.notify_all()


def _nothing() -> None:
    """Nobody wants to be told."""
