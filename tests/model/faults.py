"""The faults, of which a few may happen: a process dies or stands still, an answer is lost, the caller cancels."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.process import Processes
from tests.model.world import Move, Runner, World

__all__ = ["KINDS", "Faults"]

KINDS = ("crash", "pause", "lost", "cancel")


class Faults:
    """The faults of a world.

    Args:
        processes: The runners.
        kinds: Which faults there are.
    """

    def __init__(self, processes: Processes, kinds: tuple[str, ...]) -> None:
        self._processes = processes
        self._kinds = frozenset(kinds)

    def moves(self, world: World) -> Iterator[Move]:
        """Gives every fault that may happen."""
        for place, runner in enumerate(world.runners):
            if runner is not None and runner != Runner(
                runner.owner
            ):  # of one that did nothing yet it is no fault
                yield from self._of(world, place, runner)

    def _of(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        if "crash" in self._kinds:
            yield from self._crash(world, place, runner)
        if "pause" in self._kinds and runner.is_held:
            yield self._pause(world, place, runner)
        if "cancel" in self._kinds and runner.is_held and not world.is_cancelled:
            yield from self._cancel(world, place, runner)
        if "lost" in self._kinds:
            yield from self._lose(world, place, runner)

    def _crash(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        """What it had sent may arrive later."""
        gone = world.put(place, None)
        yield Move(f"{runner.owner} is killed", gone)
        for request in self._processes.unsent(runner):
            stray = tuple(sorted((*gone.stray, (runner.owner, request))))
            yield Move(
                f"{runner.owner} is killed; its {request.verb} is on its way", gone._replace(stray=stray)
            )

    def _pause(self, world: World, place: int, runner: Runner) -> Move:
        leases = tuple(owner for owner in world.leases if owner != runner.owner)
        paused = world._replace(leases=leases).put(place, runner._replace(is_held=False))
        return Move(f"{runner.owner} stands still until its Lease is over", paused)

    def _cancel(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        cancelled = self._processes.cancel(runner)
        if cancelled is None:
            return
        world = world._replace(is_cancelled=True)
        yield Move(f"the caller cancels at {runner.owner}", world.put(place, cancelled), place)
        if runner.launch is None:
            return
        for request in self._processes.unsent(runner):
            if request.verb == "create":
                late = world._replace(stray=tuple(sorted((*world.stray, (runner.owner, request)))))
                label = f"the caller cancels at {runner.owner}; its create is on its way"
                yield Move(label, late.put(place, cancelled), place)

    def _lose(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        """The answer to a request that was carried out is lost."""
        for without in self._processes.lose(runner):
            yield Move(f"{runner.owner} gets no answer", world.put(place, without))
