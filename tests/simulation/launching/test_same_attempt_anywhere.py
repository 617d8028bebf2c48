"""A scheduler that dies, or is cut off, between any two of its requests; its successor submits the same attempts again.

A seed is one world in virtual time. A scheduler submits workloads and keeps what was reported in a store that outlives
it. At one of its requests (before the server sees it, or after it did what was asked) it dies, or is cut off for longer
than its Lease. The successor, which may have begun while the first one was alive, submits whatever is not in the store,
again and again as long as another runner has it. It adopts nothing. ``SEEDS=1000`` plays more worlds, ``SEED=17`` one.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import anyio
import pytest
from podrunner.errors import OwnershipError, PodrunnerError
from podrunner.outcome import Category
from podrunner.runner import AsyncPodRunner
from podrunner.runner.supervisor import Supervisor
from tests.simulation.launching.world import LEASE_S, Line, World, play_in_virtual_time, virtual_now
from tests.support.seeds import SEEDS
from tests.unit.runner.harness import configured, workload

POINTS = 80
"""The first runner makes about so many requests, two instants each, until its pods are over and deleted."""
ATTEMPTS = range(6)


class Store:
    """What the schedulers' database knows: the outcomes by attempt and UID, and how often each came."""

    def __init__(self) -> None:
        self.outcomes: dict[str, dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))

    def knows(self, number: int) -> bool:
        return workload(number).key.identity in self.outcomes


class Client:
    """A scheduler with a name, on a line of its own."""

    def __init__(self, name: str, line: Line, store: Store, **settings: Any) -> None:
        self.line = line
        self.store = store
        self.scope = anyio.CancelScope()
        self.is_dead = False
        quick = {"attempts": 0, "initial_s": 0.2, "max_s": 2.0}
        self.runner = AsyncPodRunner(
            configured(owner=name, lease_duration_s=LEASE_S, create_retry=quick, retry=quick, **settings),
            client=line.client(),
            on_exit="detach",
            random=Random(line.world.random.random()),
        )

    async def live(self) -> None:
        """Submit what the store does not know, until it knows all or this scheduler dies."""
        with self.scope:
            async with self.runner, anyio.create_task_group() as tasks:
                tasks.start_soon(self._read)
                for number in ATTEMPTS:
                    tasks.start_soon(self._run, number)

    async def _read(self) -> None:
        async with self.runner.events() as events:
            async for event in events:
                if event.outcome is not None and event.uid and not self.is_dead:
                    said = (event.outcome.category, event.outcome.exit_code)
                    self.store.outcomes[event.key.identity][event.uid].add(said)

    async def _run(self, number: int) -> None:
        while not self.store.knows(number):
            try:
                await self.runner.submit(workload(number)).wait()
            except OwnershipError:
                if self.runner.health().lease != "held":
                    await anyio.sleep_forever()
            except PodrunnerError:
                pass
            await anyio.sleep(3)

    def die(self) -> None:
        self.is_dead = True
        self.scope.cancel()


async def play(seed: int) -> None:
    random = Random(seed)
    world, store = World(random), Store()
    loses = random.choice([0.0, 0.1, 0.3])
    settings = {"delete_pods_on_failure": random.random() < 0.5, "outcome_finalizer": random.random() < 0.3}
    first = Client("first", Line(world, breaks_at=1 + seed % POINTS, loses=loses), store, **settings)
    second = Client("second", Line(world, loses=min(loses, 0.1)), store, **settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.live)
        tasks.start_soon(first.live)
        await anyio.sleep(random.choice([0, 0, random.uniform(0, 40)]))
        tasks.start_soon(second.live)
        with anyio.move_on_after(120):  # it may be through before that request
            await first.line.broken.wait()
        if random.random() < 0.6 or first.runner._engine is None:
            first.die()
        else:
            await anyio.sleep(2 * LEASE_S)
            first.line.is_cut = False
        with anyio.fail_after(900):
            while not all(map(store.knows, ATTEMPTS)):
                await anyio.sleep(1)
        await anyio.sleep(60)
        tasks.cancel_scope.cancel()
    assert set(world.made.values()) == {1}, "never two pods for an attempt"
    for identity, by_uid in store.outcomes.items():
        (said,) = by_uid.values()
        assert said == {(Category.SUCCEEDED, 0)}, (identity, said)


@pytest.mark.parametrize("seed", SEEDS)
def test_wherever_a_scheduler_dies_its_successor_runs_no_attempt_twice(
    seed: int, monkeypatch: pytest.MonkeyPatch
):
    """H2, L1, A3: submitted again, never begun again, and never told otherwise than it was."""
    monkeypatch.setitem(Supervisor.__init__.__kwdefaults__, "now", virtual_now)
    play_in_virtual_time(play, seed, monkeypatch)
