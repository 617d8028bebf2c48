"""The scheduler: it hands the attempt in, reads outcomes, stores them in its journal, and acknowledges them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from podrunner.runner.delivery import Reader
from podrunner.runner.event_queue import EventQueue
from podrunner.runner.events import EventKind, RunnerEvent
from tests.model.process import Processes
from tests.model.records import NAME, NAMESPACE, WORKLOAD
from tests.model.world import Event, Move, Runner, World

__all__ = ["Scheduler"]

_SUBMITS = 0
"""The place whose processes are given the attempt; the other one only adopts."""


class Scheduler:
    """The steps of the scheduler in each process.

    Args:
        processes: The runners.
        reads_by: ``events``, or ``wait``: it waits for the pod, and nothing delivers but that.
        acknowledges: Whether it acknowledges what it has stored.
    """

    def __init__(self, processes: Processes, *, reads_by: str, acknowledges: bool) -> None:
        self._processes = processes
        self._reads_by = reads_by
        self._acknowledges = acknowledges
        _polled.cache_clear()

    def moves(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        """Gives the steps of the scheduler at one process."""
        if self._submits(world, place, runner):
            yield Move(
                f"{runner.owner} is given the attempt",
                world.put(place, self._processes.submit(runner)),
                place,
            )
        if runner.hand and not runner.is_stored:
            stored = world._replace(journal=tuple(sorted({*world.journal, *runner.hand})))
            label = f"the scheduler stores what {runner.owner} reported"
            yield Move(label, stored.put(place, runner._replace(is_stored=True)), place)
        elif runner.hand and self._acknowledges:
            # Coming back delivers nothing more, so the hand is empty at once.
            acknowledged = self._processes.deliver(runner, runner.hand)._replace(hand=(), is_stored=False)
            yield Move(
                f"the scheduler acknowledges it at {runner.owner}", world.put(place, acknowledged), place
            )
        elif runner.events or runner.hand:
            yield self._poll(world, place, runner)

    def _submits(self, world: World, place: int, runner: Runner) -> bool:
        is_new = not runner.has_submitted
        # What another runner had is handed in again when that has come to nothing.
        is_again = runner.is_lost and (world.pod is None or self._processes.may_adopt(world))
        return (
            place == _SUBMITS
            and (is_new or is_again)
            and not world.journal
            and runner.is_held
            and runner.life is None
        )

    def _poll(self, world: World, place: int, runner: Runner) -> Move:
        batch, taken = _polled(runner.events, runner.hand)
        if self._reads_by == "wait":
            taken = batch
        world = world._replace(taken=tuple(sorted({*world.taken, *batch})))
        runner = runner._replace(hand=batch, events=(), is_stored=False)
        if not self._acknowledges:
            runner = self._processes.deliver(runner, taken)
            # What wait returned counts at once: a process that dies before it stores that loses it.
            is_gap = self._reads_by == "wait" and bool(batch)
            world = world._replace(is_excused=world.is_excused or is_gap)
        return Move(f"the scheduler asks {runner.owner} for outcomes", world.put(place, runner), place)


@cache
def _polled(
    events: tuple[Event, ...], hand: tuple[Event, ...]
) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Returns what the code's queue gives a reader that asks for more, and which outcomes that takes."""
    taken: list[str] = []
    queue = EventQueue(100, taken.extend)
    queue._reader = Reader(tuple(str(event.uid) for event in hand))
    for event in events:
        told = RunnerEvent(
            EventKind.FINISHED, WORKLOAD.key, NAMESPACE, NAME, str(event.uid), message=str(event.outcome)
        )
        queue.put(told)
    batch = tuple(Event(int(each.uid), int(each.message)) for each in queue.poll())
    return batch, tuple(event for event in (*hand, *batch) if str(event.uid) in taken)
