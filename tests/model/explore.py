"""Visits every world that can come about, breadth first, and checks the promises on the way."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from podrunner.config import RunnerConfig
from tests.model.cluster import cluster_moves
from tests.model.faults import KINDS, Faults
from tests.model.lives import Lives
from tests.model.process import Processes
from tests.model.promises import broken_at_end, broken_by
from tests.model.scheduler import Scheduler
from tests.model.wiring import Wiring
from tests.model.world import DefectError, Move, World

__all__ = ["CounterExampleError", "Explored", "Model", "explore"]


class CounterExampleError(AssertionError):
    """A promise is broken: the shortest way there.

    Attributes:
        promise: Which one.
        steps: The steps; the last one breaks it.
    """

    def __init__(self, promise: str, steps: list[str]) -> None:
        self.promise = promise
        self.steps = steps
        numbered = "\n".join(f"{number:3} {step}" for number, step in enumerate(steps, 1))
        super().__init__(f"{promise}\n{numbered}")


class Explored(NamedTuple):
    """What was visited.

    Attributes:
        states: How many worlds.
        moves: How many steps between them.
        depth: The longest shortest way to one.
        ends: In how many nothing happens any more.
    """

    states: int
    moves: int
    depth: int
    ends: int


class Model:
    """Everything that may happen.

    Args:
        config: The runners' configuration.
        ends: How the pod's container may end by itself.
        kinds: Which faults there are.
        adopters: The places whose processes adopt.
        reads_by: How the scheduler reads outcomes: ``events`` or ``wait``.
    """

    def __init__(
        self,
        config: RunnerConfig,
        *,
        ends: tuple[str, ...] = ("succeeded", "failed"),
        kinds: tuple[str, ...] = KINDS,
        adopters: tuple[int, ...] = (1,),
        reads_by: str = "events",
    ) -> None:
        wiring = Wiring(config)
        self.lives = Lives(wiring.rules)
        self._ends = ends
        self._processes = Processes(wiring, self.lives, adopters)
        acknowledges = config.outcome_delivery == "acknowledged"
        self._scheduler = Scheduler(self._processes, reads_by=reads_by, acknowledges=acknowledges)
        self._faults = Faults(self._processes, kinds)

    def moves(self, world: World) -> Iterator[Move]:
        """Gives every step that may follow, without a fault."""
        yield from cluster_moves(world, ends=self._ends)
        for place, runner in enumerate(world.runners):
            if runner is None:
                if place == 0 or self._processes.may_adopt(world):
                    yield self._processes.start(world, place)
            else:
                yield from self._processes.moves(world, place, runner)
                yield from self._scheduler.moves(world, place, runner)

    def faults(self, world: World) -> Iterator[Move]:
        """Gives every fault that may follow."""
        yield from self._faults.moves(world)

    def tidied(self, move: Move) -> Move:
        """Returns the step to a world in which nothing waits that would change nothing."""
        world = self._processes.tidied(move.world)
        return move if world is move.world else move._replace(world=world)


class _Graph:
    """The worlds that were visited, numbered in their order, and the steps between them."""

    def __init__(self, start: World, found: dict[str, CounterExampleError] | None) -> None:
        self.found = found
        self.worlds = [start]
        self.numbers = {start: 0}
        self.came: list[tuple[int, str]] = [(0, "")]
        self.depths = array("I", [0])
        self.before = array("I")
        self.after = array("I")
        self.ends: list[int] = []

    def add(self, number: int, move: Move) -> int:
        known = self.numbers.get(move.world)
        if known is None:
            known = self.numbers[move.world] = len(self.worlds)
            self.worlds.append(move.world)
            self.came.append((number, move.label))
            self.depths.append(self.depths[number] + 1)
        return known

    def way(self, number: int, *last: str) -> list[str]:
        steps = []
        while number:
            number, label = self.came[number]
            steps.append(label)
        return [*reversed(steps), *last]

    def break_off(self, promise: str, number: int, *last: str) -> None:
        error = CounterExampleError(promise, self.way(number, *last))
        if self.found is None:
            raise error
        self.found.setdefault(promise, error)

    def without_end(self) -> int | None:
        """Returns a world from which no end can be reached without a fault; None: there is none."""
        back: list[list[int]] = [[] for _ in self.worlds]
        for before, after in zip(self.before, self.after, strict=True):
            back[after].append(before)
        reached = bytearray(len(self.worlds))
        waiting = deque(self.ends)
        while waiting:
            number = waiting.popleft()
            if not reached[number]:
                reached[number] = True
                waiting.extend(back[number])
        return next((number for number, is_reached in enumerate(reached) if not is_reached), None)


def explore(
    model: Model, *, faults: int, limit: int = 10_000_000, found: dict[str, CounterExampleError] | None = None
) -> Explored:
    """Visits every world: first all that come about without a fault, then with one, and so on.

    A world that comes about with fewer faults is not visited again with more: it may do nothing then that it may not do
    now.

    Args:
        model: What may happen.
        faults: How many faults may happen.
        limit: How many worlds at most.
        found: Collects the first counter-example to each promise, and the steps that break one are left out; None: the
            first one ends it.

    Raises:
        CounterExampleError: A promise is broken.
    """
    graph = _Graph(World(), found)
    moves = begin = 0
    for used in range(faults + 1):
        number = begin
        while number < len(graph.worlds):
            moves += _expand(model, graph, number)
            number += 1
            assert number < limit, f"more than {limit} worlds"
        end = number
        if used < faults:
            moves += sum(_fail(model, graph, number) for number in range(begin, end))
        begin = end
    lost = graph.without_end()
    if lost is not None and found is None:
        graph.break_off("it ends: from here nothing ever comes to rest", lost)
    return Explored(len(graph.worlds), moves, max(graph.depths), len(graph.ends))


def _expand(model: Model, graph: _Graph, number: int) -> int:
    """Goes on from a world without a fault; returns how many steps there are."""
    world = graph.worlds[number]
    count = 0
    try:
        for move in model.moves(world):
            count += 1
            following = _checked(model, graph, number, move)
            if following is not None:
                graph.before.append(number)
                graph.after.append(following)
    except DefectError as defect:
        graph.break_off(str(defect), number)
    if not count:
        graph.ends.append(number)
        broken = broken_at_end(graph.worlds[number])
        if broken is not None:
            graph.break_off(broken, number)
    return count


def _fail(model: Model, graph: _Graph, number: int) -> int:
    """Goes on from a world with each fault; returns how many there are."""
    count = 0
    try:
        for move in model.faults(graph.worlds[number]):
            count += 1
            _checked(model, graph, number, move)
    except DefectError as defect:
        graph.break_off(str(defect), number)
    return count


def _checked(model: Model, graph: _Graph, number: int, move: Move) -> int | None:
    """Adds the world after a step, unless that breaks a promise; returns its number."""
    move = model.tidied(move)
    broken = broken_by(graph.worlds[number], move, model.lives)
    if broken is not None:
        graph.break_off(broken, number, move.label)
        return None
    return graph.add(number, move)
