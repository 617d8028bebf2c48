"""Delivery: when an outcome counts as delivered, so that its pod may be deleted or marked as reported.

Pure but for :class:`Deliveries`, which passes on what follows. What a delivered outcome means for its pod is decided in
:mod:`podrunner.runner.lifecycle`; here is decided what counts.

- ``taken``: the outcomes of a batch count once its reader comes back for more, or leaves without an error. What
  ``wait`` returns, and what the caller's own code reads off a handle, counts at once.
- ``acknowledged``: nothing counts but :meth:`Deliveries.acknowledge`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from podrunner.runner.inputs import OutcomeTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from podrunner.runner.events import RunnerEvent
    from podrunner.runner.inputs import Input
    from podrunner.runner.tracked import TrackedPod, TrackedPods

__all__ = ["Deliveries", "DeliveryMode", "Reader", "came_back", "closing_counts", "handed_out", "left"]

DeliveryMode: TypeAlias = Literal["taken", "acknowledged"]


class Reader(msgspec.Struct, frozen=True):
    """What a reader of events has in hand.

    Attributes:
        in_hand: UIDs of the pods whose outcomes were in its last batch.
    """

    in_hand: tuple[str, ...] = ()


def handed_out(reader: Reader, uids: Iterable[str]) -> Reader:
    """The reader was given the outcomes of these pods."""
    return Reader((*reader.in_hand, *uids))


def came_back(reader: Reader) -> tuple[Reader, tuple[str, ...]]:
    """The reader asks for more: returns it empty-handed, and the UIDs of the pods whose outcomes it took."""
    return Reader(), reader.in_hand


def left(reader: Reader, *, failed: bool) -> tuple[str, ...]:
    """The reader leaves: returns the UIDs of the pods whose outcomes it took. One that failed took none."""
    return () if failed else reader.in_hand


def closing_counts(mode: DeliveryMode, *, is_drain: bool, is_clean: bool) -> bool:
    """Decides whether closing the runner delivers what no reader took.

    Args:
        mode: The configuration's ``outcome_delivery``.
        is_drain: Whether the runner closes by ``drain``.
        is_clean: Whether neither the runner's block nor the closing was ended by an error.
    """
    return mode == "taken" and is_drain and is_clean


class Deliveries:
    """Passes on to the pods of one runner that their outcomes are delivered.

    Args:
        mode: The configuration's ``outcome_delivery``.
        pods: All pods.
        send: Applies an input to a pod.
    """

    def __init__(
        self, mode: DeliveryMode, pods: TrackedPods, send: Callable[[TrackedPod, Input], None]
    ) -> None:
        self.mode: DeliveryMode = mode
        self._pods = pods
        self._send = send

    def take(self, uids: Iterable[str]) -> None:
        """A reader took the outcomes of these pods; counts in the mode ``taken``."""
        if self.mode == "taken":
            self.acknowledge(pod for uid in uids if (pod := self._pods.get(uid)) is not None)

    def take_pod(self, pod: TrackedPod) -> None:
        """The caller read the outcome of a pod; counts in the mode ``taken``."""
        if self.mode == "taken":
            self.acknowledge((pod,))

    def acknowledge(self, pods: Iterable[TrackedPod]) -> None:
        """These pods' outcomes are delivered. What has none, or is delivered already, stays as it is."""
        for pod in pods:
            if pod.state.is_undelivered:
                self._send(pod, OutcomeTaken())

    def is_concluded(self, uid: str) -> bool:
        """Whether the outcome of a pod is delivered and nothing more is done about it, or it is no pod of ours."""
        pod = self._pods.get(uid)
        return pod is None or pod.state.is_done

    def undelivered(self) -> list[RunnerEvent]:
        """Returns the events of all outcomes that are not delivered: with them a reader begins."""
        return [pod.finished_event() for pod in self._pods if pod.state.is_undelivered]

    def close(self, *, is_drain: bool, is_clean: bool) -> None:
        """The runner closes, and what no reader took is delivered by that, or stays for a successor."""
        if closing_counts(self.mode, is_drain=is_drain, is_clean=is_clean):
            self.acknowledge(tuple(self._pods))
