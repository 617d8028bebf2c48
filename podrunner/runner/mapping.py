"""``map``: the outcomes of many workloads in their order, while a bounded number of them is under way."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import anyio.lowlevel

from podrunner.errors import PodrunnerError, QueueFullError, SpecError
from podrunner.outcome import Outcome, refused_by_api
from podrunner.runner.run_handle import AsyncRun, wait_until_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from podrunner.config import RunnerConfig
    from podrunner.runner.submission import SubmissionQueue
    from podrunner.workload import Workload

__all__ = ["AsyncOutcomes", "RunWindow", "window_size"]

_Place: TypeAlias = "AsyncRun | Outcome | PodrunnerError"
"""What stands for a workload: its run, or what became of it instead."""

# A manifest takes a few kilobytes; and as many may be over before the one whose outcome is next.
_UNDER_WAY: Final = 1_000


def window_size(config: RunnerConfig, concurrency: int | None) -> int:
    """Returns how many workloads ``map`` has under way at most.

    The outcomes of all but the first may be there and not delivered: were they ``max_undelivered_pods``, nothing but
    the first would be launched, one try after the other.
    """
    wanted = max(_UNDER_WAY, config.max_active_pods or 0) if concurrency is None else concurrency
    return max(1, min(wanted, config.max_undelivered_pods // 2))


class RunWindow:
    """The workloads that are under way, in order.

    Giving the next outcome takes the one before.

    Args:
        run: Begins the run of a workload.
        queue: Says whether a submission has room.
        size: How many are under way at most.
    """

    def __init__(self, run: Callable[[Workload], AsyncRun], queue: SubmissionQueue, *, size: int) -> None:
        self._run = run
        self._queue = queue
        self._size = size
        self._given: deque[Workload] = deque()
        self._begun: deque[_Place] = deque()
        self._in_hand: AsyncRun | None = None

    def give(self, workloads: Iterator[Workload]) -> None:
        """Reads as many workloads as there is room for; they begin with the next outcome that is asked for."""
        for workload in islice(workloads, self._size - len(self._given) - len(self._begun)):
            self._given.append(workload)

    async def next_outcome(self) -> Outcome | None:
        """Gives the outcome of the first workload that is under way; None: there is none.

        Raises:
            PodrunnerError: No outcome of the first one comes from here. The next call gives the second one's.
        """
        if self._in_hand is not None:
            _ = self._in_hand.outcome  # reading it takes it
            self._in_hand = None
        await self._begin_given()
        return await self._first() if self._begun else None

    async def _begin_given(self) -> None:
        while self._given:
            if self._begun and not self._queue.has_room:
                return
            await self._queue.wait_for_room()
            await anyio.lowlevel.checkpoint()
            try:
                self._begun.append(self._begin(self._given[0]))
            except QueueFullError:
                continue  # another caller's submission was quicker
            self._given.popleft()

    def _begin(self, workload: Workload) -> _Place:
        try:
            return self._run(workload)
        except SpecError as error:
            return refused_by_api(error)
        except QueueFullError:
            raise
        except PodrunnerError as error:
            return error

    async def _first(self) -> Outcome:
        first = self._begun[0]
        if isinstance(first, AsyncRun):
            await wait_until_over(first)
        self._begun.popleft()
        match first:
            case AsyncRun():
                self._in_hand = first
                return _not_taken(first)
            case Outcome():
                return first
            case _:
                raise first


def _not_taken(run: AsyncRun) -> Outcome:
    """Returns the outcome of a run that is over; raises why there is none."""
    outcome = run._run.outcome  # noqa: SLF001
    return run.result() if outcome is None else outcome


class AsyncOutcomes:
    """The outcomes of workloads, in their order.

    Args:
        workloads: What to run; read as far as there is room.
        window: What is under way.
    """

    def __init__(self, workloads: Iterable[Workload], window: RunWindow) -> None:
        self._workloads = iter(workloads)
        self._window = window

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        self._window.give(self._workloads)
        outcome = await self._window.next_outcome()
        if outcome is None:
            raise StopAsyncIteration
        return outcome
