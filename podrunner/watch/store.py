"""What is known of the pods: one writer (the reflector), any number of readers.

Keyed by UID, so that a pod that was deleted and made anew under its name is two pods. The store turns lists and
events into observations: what is new about which pod. It does no I/O and knows no time.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from podrunner.outcome.record import Pod

__all__ = ["Kind", "Observation", "PodStore", "PodView", "is_older"]

_MAX_TOMBSTONES = 10_000
"""Tombstones: UIDs of deleted pods that are remembered, so that a late event does not add them again: about 1 MB,
and more pods than end between two lists."""


class Kind(StrEnum):
    """What was observed."""

    ADDED = "added"
    """A pod that was not known."""
    MODIFIED = "modified"
    """A known pod changed."""
    DELETED = "deleted"
    """The server said that it is deleted; the record is its last, from that very event."""
    VANISHED = "vanished"
    """It is missing in a complete list: deleted between two lists; the record is the last that was known."""
    LEFT = "left"
    """It is still there but no longer selected (another owner's label); the record is as it is now. No end."""


class Observation(msgspec.Struct, frozen=True, gc=False):
    """One change of one pod.

    Attributes:
        kind: What.
        pod: Its last known record.
        previous: The record before, or None.
        rewound: Whether the record is the valid one although its version is older than that of ``previous``: the
            server's data went back, as after a restore, or ``previous`` was changed on the way.
    """

    kind: Kind
    pod: Pod
    previous: Pod | None = None
    rewound: bool = False


class PodView:
    """Read access to a store. It shows the pods as they are at the moment of each call."""

    __slots__ = ("_store",)

    def __init__(self, store: PodStore) -> None:
        self._store = store

    def get(self, uid: str) -> Pod | None:
        """Return the pod of a UID, or None."""
        return self._store.get(uid)

    def __contains__(self, uid: object) -> bool:
        return isinstance(uid, str) and self._store.get(uid) is not None

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[Pod]:
        """Go through the pods as they are now; changes meanwhile do not disturb."""
        return iter(self._store.pods())


class PodStore:
    """The pods of one reflector. Only the reflector calls what changes it."""

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        self._tombstones: OrderedDict[str, str] = OrderedDict()

    @property
    def view(self) -> PodView:
        """Read-only access to the pods."""
        return PodView(self)

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, uid: str) -> Pod | None:
        """Return the pod of a UID, or None."""
        return self._pods.get(uid)

    def pods(self) -> list[Pod]:
        """Return all pods as they are now."""
        return list(self._pods.values())

    def replace(self, pods: Mapping[str, Pod]) -> list[Observation]:
        """Take a complete list, by UID, as the truth, and return the differences to what was known."""
        before, self._pods = self._pods, dict(pods)
        seen = [_compared(before.get(uid), pod) for uid, pod in pods.items()]
        gone = [Observation(Kind.VANISHED, pod) for uid, pod in before.items() if uid not in pods]
        return gone + [observation for observation in seen if observation is not None]

    def apply(self, kind: str, pod: Pod) -> Observation | None:
        """Take a watch event; None if it is not new (repeated, or older than what is known).

        Args:
            kind: ``ADDED``, ``MODIFIED`` or ``DELETED``.
            pod: The event's object.
        """
        uid = pod.metadata.uid
        known = self._pods.get(uid)
        if kind == "DELETED":
            return self._removed(pod, known)
        if uid in self._tombstones if known is None else pod == known or is_older(pod, known):
            return None
        self._pods[uid] = pod
        return Observation(Kind.ADDED if known is None else Kind.MODIFIED, pod, known)

    def correct(self, pod: Pod, known: Pod) -> Observation:
        """Take a pod as a request showed it, which a list or an event had shown as gone."""
        self._pods[pod.metadata.uid] = pod
        return Observation(Kind.MODIFIED, pod, known, rewound=is_older(pod, known))

    def add_tombstone(self, pod: Pod) -> None:
        """Remember that a pod is deleted for good: no later event about it counts."""
        self._tombstones[pod.metadata.uid] = pod.metadata.resource_version
        self._tombstones.move_to_end(pod.metadata.uid)
        if len(self._tombstones) > _MAX_TOMBSTONES:
            self._tombstones.popitem(last=False)

    def has_tombstone(self, uid: str) -> bool:
        """Whether a pod is remembered as deleted."""
        return uid in self._tombstones

    def _removed(self, pod: Pod, known: Pod | None) -> Observation | None:
        if known is None:
            # Never in the store, or the deletion is repeated.
            return None if self.has_tombstone(pod.metadata.uid) else Observation(Kind.DELETED, pod)
        if is_older(pod, known):
            return None
        del self._pods[pod.metadata.uid]
        return Observation(Kind.DELETED, pod, known)


def _compared(known: Pod | None, pod: Pod) -> Observation | None:
    """Compare a pod of a complete list with what was known.

    Not by its version alone: an event that was changed on the way may have had the right one. For the same reason, and
    after a restore, the list's record counts although its version is older.
    """
    if known is None:
        return Observation(Kind.ADDED, pod)
    return None if pod == known else Observation(Kind.MODIFIED, pod, known, rewound=is_older(pod, known))


def is_older(pod: Pod, known: Pod) -> bool:
    """Whether one record of a pod is older than another.

    Versions of the same resource are decimal numbers that grow (KEP-5504 makes it a promise; etcd always did). Where
    a server writes anything else, nothing is older.
    """
    new, old = pod.metadata.resource_version, known.metadata.resource_version
    return new.isdecimal() and old.isdecimal() and int(new) < int(old)
