"""Events that a watch could not use, and from which version they are asked for again. Pure.

Where a connection is not protected by TLS, a byte may change on the way. An event that cannot be read then, or that
contradicts what is known, may have been the last of its pod, and is not passed over. The watch goes back to the version
before it, as no list shows the ends of pods that are gone meanwhile. If it cannot be used after some tries, a list
follows. (client-go's reflector lists at once: its ``StreamWatcher`` makes an ``ERROR`` of what it cannot decode.)
What a record means does not belong here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.outcome.record import ContainerState

if TYPE_CHECKING:
    from podrunner.kube import WatchEvent
    from podrunner.outcome.record import Pod, PodStatus

__all__ = ["UnreadEvents", "contradicts", "is_plausible"]

_ORDER = {"": 0, "Pending": 0, "Running": 1, "Unknown": 1, "Succeeded": 2, "Failed": 2}
"""The phases of a pod (core/v1, ``PodPhase``; "" before its API server has set one), in the order of a pod's life."""

_NO_STATE = ContainerState()
_TRIES = 5
"""How often the same events are asked for again before a list follows: what is spoilt by chance is right then."""


def is_plausible(pod: Pod, known: Pod | None) -> bool:
    """Whether a record may be true: its phase is one that exists, and nothing is missing that does not go away.

    A field whose name was changed on the way is missing, and a phase that is missing reads as ``Pending``.
    """
    place = _ORDER.get(pod.status.phase)
    if place is None:
        return False
    return known is None or not _lacks(pod.status, known.status, place)


def _lacks(status: PodStatus, known: PodStatus, place: int) -> bool:
    """Whether a status lacks its phase, its containers or a container's state, and the one before had it.

    A kubelet that lost a container begins anew: then the phase goes back, and the containers wait.
    """
    if status.phase != known.phase and place < _ORDER.get(known.phase, 0) and not _begins_anew(status):
        return True
    if not known.container_statuses:
        return False
    containers = status.container_statuses
    if not containers:
        return not status.reason  # an eviction, and a node that is shut down, leave a reason alone
    for each in containers:
        if each.state == _NO_STATE:
            return True
    if containers[0].name == known.container_statuses[0].name:
        return False
    return {each.name for each in containers}.isdisjoint(each.name for each in known.container_statuses)


def _begins_anew(status: PodStatus) -> bool:
    states = [each.state for each in status.container_statuses or ()]
    is_waiting = any(state.waiting is not None for state in states)
    return is_waiting and not any(state.running or state.terminated for state in states)


def contradicts(event: WatchEvent, known: Pod | None, *, is_ours: bool, was_known: bool) -> bool:
    """Whether an event cannot follow on what is known.

    Args:
        event: The event of a pod.
        known: The pod as it is known; None: it is not.
        is_ours: Whether the event's pod is the runner's.
        was_known: Whether it is being verified, or remembered as deleted.
    """
    assert event.pod is not None, "it is the event of a pod"
    if not is_ours:
        return known is not None  # the watch would have said that it left the selection
    if known is None:
        begins = event.type == "ADDED" or was_known  # all others follow on an ADDED, or on a list
        return not (begins and is_plausible(event.pod, None))
    meta, before = event.pod.metadata, known.metadata
    if meta.name != before.name or meta.namespace != before.namespace:
        return True
    return not is_plausible(event.pod, known)


class UnreadEvents:
    """The stretch of versions that has to be asked for again."""

    def __init__(self) -> None:
        self._from: str | None = None
        self._asked: str | None = None
        self._tries = 0

    @property
    def pending(self) -> bool:
        """Whether something has to be asked for again."""
        return self._from is not None

    @property
    def is_asking(self) -> bool:
        """Whether the present watch asks for something again."""
        return self._tries > 0

    @property
    def exhausted(self) -> bool:
        """Whether it was asked for often enough: only a list helps."""
        return self._tries > _TRIES

    def note(self, version: str) -> None:
        """Note that an event could not be used; the last one before it had this version."""
        if self._from is None:
            self._from = version

    def ask_again(self, version: str) -> str:
        """Return the version from which the next watch begins; ``version`` if there is nothing to ask for."""
        begin, self._from = self._from, None
        if begin is None:
            return version
        self._tries = self._tries + 1 if begin == self._asked else 1
        self._asked = begin
        return begin

    def listed(self) -> None:
        """Forget all: a complete list was taken in."""
        self._from, self._asked, self._tries = None, None, 0
