"""A runner that dies, or is cut off, between any two of its requests: its successors finish its work, once.

A seed is one world in virtual time: a runner that launches, cancels and adopts, on a network that loses answers. At one
of its requests (before the server sees it, or after it did what was asked) the runner dies or is cut off for longer
than its lease. Two others adopt. Between two requests nothing changes that another client can see, so these are all the
instants that count. ``SEEDS=1000`` plays more worlds, ``SEED=17`` one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from podrunner.errors import OwnershipError
from podrunner.runner import AsyncPodRunner
from tests.simulation.launching.world import OWNED_WITHIN_S, Line, Scheduler, World, play_in_virtual_time
from tests.support.seeds import SEEDS
from tests.unit.runner.harness import configured, workload

POINTS = 70
"""The first runner makes about so many requests, two instants each, until its pods have begun to end."""
INHERITED, LAUNCHED, SUCCESSORS_OWN = range(3), range(3, 8), range(8, 10)


async def leave_pods(world: World) -> None:
    """An earlier runner left pods."""
    async with AsyncPodRunner(configured(owner="old"), client=world.client(), on_exit="detach") as runner:
        await runner.launch_many(map(workload, INHERITED))


async def first_work(runner: AsyncPodRunner) -> None:
    """Launch by each way; cancel one that is queued or being made, one by its task, and one that is there."""
    pods = [runner.submit(workload(number)) for number in LAUNCHED[:3]]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_unless_fenced, pods[0].cancel)
        with anyio.move_on_after(0.5):
            await runner.launch(workload(LAUNCHED[3]))
        tasks.start_soon(_unless_fenced, runner.launch, workload(LAUNCHED[4]))
        await anyio.sleep(6)
        tasks.start_soon(_unless_fenced, pods[1].cancel)


async def second_work(runner: AsyncPodRunner) -> None:
    for number in SUCCESSORS_OWN:
        runner.submit(workload(number))
    await anyio.lowlevel.checkpoint()


async def no_work(runner: AsyncPodRunner) -> None:
    await anyio.lowlevel.checkpoint()


async def _unless_fenced(act: Callable[..., Awaitable[Any]], *args: Any) -> None:
    with suppress(OwnershipError):  # it lost its lease meanwhile
        await act(*args)


async def play(seed: int) -> None:
    random = Random(seed)
    world = World(random)
    await leave_pods(world)
    loses = random.choice([0.0, 0.1, 0.3])
    first = Scheduler("first", Line(world, breaks_at=1 + seed % POINTS, loses=loses))
    second = Scheduler("second", Line(world, loses=min(loses, 0.1)))
    third = Scheduler("third", Line(world, loses=min(loses, 0.1)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.live)
        tasks.start_soon(first.live, first_work)
        await anyio.sleep(random.uniform(0, 3))
        tasks.start_soon(second.live, second_work)
        tasks.start_soon(third.live, no_work)
        await first.line.broken.wait()
        # Cut off before it had its lease, it would just begin later.
        cut_off = random.random() < 0.4 and first.runner._engine is not None
        if not cut_off:
            first.die()
        await anyio.sleep(OWNED_WITHIN_S)
        assert not world.orphans({"second", "third"})
        before = first.outcomes()
        first.line.is_cut = not cut_off
        with anyio.fail_after(600):
            while world.pods:
                await anyio.sleep(1)
        await anyio.sleep(60)
        check(world, first, second, third, before=before)
        tasks.cancel_scope.cancel()


def check(world: World, first: Scheduler, *successors: Scheduler, before: Counter[str]) -> None:
    """One pod per attempt, one outcome per pod."""
    assert set(world.made.values()) == {1}, "never two pods for an attempt"
    assert first.outcomes() == before, "a runner that lost its lease reports nothing more"
    by_living = sum((each.outcomes() for each in successors), Counter())
    tellers: dict[str, list[str]] = defaultdict(list)
    for each in (first, *successors):
        for uid in each.outcomes():
            tellers[uid].append(each.name)
    assert set(by_living.values()) <= {1}, "never an outcome twice"
    assert set(before.values()) <= {1}
    for uid, names in tellers.items():
        # Reported by a process that died, or was cut off, before it could delete the pod: its successor reports it too.
        assert len(names) == 1 or (len(names) == 2 and names[0] == "first"), (uid, names)


@pytest.mark.parametrize("seed", SEEDS)
def test_wherever_a_runner_dies_it_leaves_nothing_and_nothing_happens_twice(
    seed: int, monkeypatch: pytest.MonkeyPatch
):
    """A1, A2, A3, A5, C1, C2, C3, L1: launch, cancel and adopt, killed between any two requests."""
    play_in_virtual_time(play, seed, monkeypatch)
