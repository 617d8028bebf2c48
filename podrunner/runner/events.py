"""What happens to a runner's pods: the events. Records only.

The queues in which they wait for a reader are :mod:`podrunner.runner.event_queue`; what happens when is decided in
:mod:`podrunner.runner.lifecycle`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, cast

import msgspec

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import TypeVar

    from podrunner.outcome import Outcome
    from podrunner.workload import WorkloadKey

    P = TypeVar("P", default=Any)
else:
    from typing import TypeVar

    P = TypeVar("P")

__all__ = ["EventKind", "RunnerEvent", "note_handle", "note_pod", "noted_pod"]


class EventKind(StrEnum):
    """What happened. The values are stable."""

    CREATED = "created"
    """The pod exists."""
    ADOPTED = "adopted"
    """The pod of another runner is now this runner's."""
    STATUS_CHANGED = "status-changed"
    """What ``kubectl get pod`` shows as its status changed, or only why it waits: the message says that. A failed image
    pull and the kubelet's back-off after it are one, as long as the words are the same but for numbers."""
    FINISHED = "finished"
    """The pod's one outcome. Terminal."""
    DELETED = "deleted"
    """The pod is no longer there. Terminal."""
    LOST = "lost"
    """The pod is another runner's, which took it over or had it first, or the attempt had ended before: no outcome
    comes from here. Terminal."""
    STALE = "stale"
    """The watch is interrupted for too long: what is known of the pod may be out of date; the message says why."""
    RECOVERED = "recovered"
    """The watch is well again, and what is known of the pod is up to date."""
    LOG_GAP = "log-gap"
    """Lines of the pod's log are missing; the message says which."""
    LOG_TROUBLE = "log-trouble"
    """The log of the pod could not be collected; the message says why."""


_MAKE_HANDLE = "make_handle"
_TERMINAL = frozenset({EventKind.FINISHED, EventKind.DELETED, EventKind.LOST})


class RunnerEvent(msgspec.Struct, Generic[P], frozen=True, dict=True):
    """Something happened to a pod.

    Its fields are plain data, and compare and encode as such; :attr:`pod` is the handle beside them.

    Attributes:
        kind: What.
        key: Whose pod.
        namespace: The pod's namespace.
        name: The pod's name.
        uid: The pod's UID; "" if there never was one.
        status: The pod's status as ``kubectl get pod`` prints it, at that time; "" if there is none.
        outcome: With ``finished``: the outcome.
        message: More in words, or "".
        will_retry: With ``finished``: whether the pod is a try of a run, and another one follows.
        replayed: With ``finished``: whether the outcome is that of an earlier launch of the attempt, which had ended
            before this one.
    """

    kind: EventKind
    key: WorkloadKey
    namespace: str
    name: str
    uid: str
    status: str = ""
    outcome: Outcome | None = None
    message: str = ""
    will_retry: bool = False
    replayed: bool = False

    @property
    def is_terminal(self) -> bool:
        """Whether the event is never left out."""
        return self.kind in _TERMINAL

    @property
    def pod(self) -> P:
        """The pod's handle, also of one that is adopted, or gone by now.

        Raises:
            UsageError: The event is a copy, or was made by the caller: it comes from no runner.
        """
        if (pod := noted_pod(self)) is None:
            raise UsageError(
                f"this event of {self.key} has no handle: only those that a runner gives out have one"
            )
        make_handle = self.__dict__.get(_MAKE_HANDLE)
        return cast("P", pod if make_handle is None else make_handle(pod))


def note_pod(event: RunnerEvent, pod: object) -> RunnerEvent:
    """Notes beside an event's fields of which pod it is: as the runner tracks it, and then its handle."""
    event.__dict__["pod"] = pod
    return event


def note_handle(event: RunnerEvent, make_handle: Callable[[Any], object]) -> RunnerEvent:
    """Notes how a handle is made of the pod that :func:`note_pod` noted: few readers ask for one."""
    event.__dict__[_MAKE_HANDLE] = make_handle
    return event


def noted_pod(event: RunnerEvent) -> object:
    """Returns what :func:`note_pod` noted; None: nothing."""
    return event.__dict__.get("pod")
