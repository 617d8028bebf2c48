"""What launching many workloads at once returns. Records only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import msgspec

if TYPE_CHECKING:
    from podrunner.errors import PodrunnerError
    from podrunner.workload import Workload

__all__ = ["FailedLaunch", "LaunchBatch"]

P = TypeVar("P")


class FailedLaunch(msgspec.Struct, frozen=True):
    """A workload of a batch that did not become a pod, or was not queued.

    Attributes:
        index: Its place in the batch, from 0.
        workload: The workload.
        error: Why.
    """

    index: int
    workload: Workload
    error: PodrunnerError


class LaunchBatch(Sequence[P], Generic[P]):
    """The handles of a batch, of pods or of runs, one per workload and in its order.

    A workload that could not be launched has a handle too: its outcome (``rejected-by-api``) is there
    already, so that waiting for all of them tells the whole story. One that was not queued because too many wait has
    none: it may be handed in again, and its handle's ``wait`` raises ``QueueFullError``. ``errors`` lists them all,
    ``raise_for_errors()`` raises.
    """

    def __init__(self, pods: Sequence[P], errors: Sequence[FailedLaunch]) -> None:
        self._pods = tuple(pods)
        self.errors: tuple[FailedLaunch, ...] = tuple(errors)

    @overload
    def __getitem__(self, index: int) -> P: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[P]: ...
    def __getitem__(self, index: int | slice) -> P | Sequence[P]:
        return self._pods[index]

    def __len__(self) -> int:
        return len(self._pods)

    def __iter__(self) -> Iterator[P]:
        return iter(self._pods)

    def __repr__(self) -> str:
        return f"<LaunchBatch of {len(self._pods)} pods, {len(self.errors)} failed>"

    @property
    def launched(self) -> tuple[P, ...]:
        """The handles of those that became pods, or were queued."""
        failed = {failure.index for failure in self.errors}
        return tuple(pod for index, pod in enumerate(self._pods) if index not in failed)

    def raise_for_errors(self) -> None:
        """Raises all failures together, if there are any.

        Raises:
            ExceptionGroup: Of the errors of those that failed.
        """
        if self.errors:
            problems = [failure.error for failure in self.errors]
            raise ExceptionGroup(f"{len(problems)} of {len(self._pods)} launches failed", problems)
