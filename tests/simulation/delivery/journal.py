"""What schedulers keep: the items that are to be run, and the outcomes that were stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import anyio
from podrunner.outcome import Outcome
from podrunner.runner import RetryPolicy
from podrunner.runner.retries import next_try
from podrunner.workload import Workload, WorkloadKey

__all__ = ["POLICY", "Entry", "Item", "Journal", "order"]

POLICY = RetryPolicy(attempts=2, infrastructure_retries=4, wait=lambda state: state.attempt_number % 3)
"""Of all runs."""


class Item(NamedTuple):
    """Something to be run once.

    Attributes:
        workload: It.
        is_run: Whether it is a run, with as many pods as its retries need.
        slot: Which scheduler's it is.
    """

    workload: Workload
    is_run: bool
    slot: int

    @property
    def key(self) -> WorkloadKey:
        return self.workload.key

    @property
    def identity(self) -> str:
        return self.key.identity


class Entry(NamedTuple):
    """An outcome in the journal.

    Attributes:
        key: The pod's.
        uid: The pod; "": there was none.
        outcome: What became of it.
        by: The runner that said it.
        handed_in_s: When the attempt was handed in to that runner; 0: it was not.
    """

    key: WorkloadKey
    uid: str
    outcome: Outcome
    by: str
    handed_in_s: float


class Journal:
    """What survives every process.

    Attributes:
        items: All that is to be run.
        entries: The outcomes, in the order in which they were stored; some more than once.
        stored_at: When the outcome of a key, or of a UID, was first stored.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.entries: list[Entry] = []
        self.stored_at: dict[WorkloadKey | str, float] = {}
        self._over: set[str] = set()
        self._newest: dict[str, Entry] = {}

    def store(self, entry: Entry) -> None:
        """Store an outcome; what was stored before stays."""
        self.entries.append(entry)
        for name in (entry.key, entry.uid):
            self.stored_at.setdefault(name, anyio.current_time())
        identity = entry.key.identity
        if self.following(entry) is None:
            self._over.add(identity)
        newest = self._newest.get(identity)
        if newest is None or order(newest.key) < order(entry.key):
            self._newest[identity] = entry

    def following(self, entry: Entry) -> WorkloadKey | None:
        """The try after this one, if there is another."""
        item = next(item for item in self.items if item.identity == entry.key.identity)
        return next_try(POLICY, entry.outcome, key=entry.key, first=item.key) if item.is_run else None

    def close(self, item: Item) -> None:
        """A run is over, whatever its retries would allow."""
        self._over.add(item.identity)

    def holds(self, uid: str) -> bool:
        """Whether the outcome of a pod is stored."""
        return uid in self.stored_at

    def is_over(self, item: Item) -> bool:
        """Whether the last outcome of an item is stored."""
        return item.identity in self._over

    def lacking(self, slot: int | None = None) -> list[Item]:
        """What is not over yet; of one scheduler, or of all."""
        return [item for item in self.items if not self.is_over(item) and slot in {None, item.slot}]

    def next_key(self, item: Item) -> WorkloadKey:
        """What is to be handed in: a run goes on behind the last outcome that is stored."""
        newest = self._newest.get(item.identity)
        return (self.following(newest) if newest is not None else None) or item.key


def order(key: WorkloadKey) -> tuple[int, int]:
    """A later try of a run is greater."""
    return key.attempt, key.relaunch
