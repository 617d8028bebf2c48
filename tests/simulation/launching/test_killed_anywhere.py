"""A runner that dies, or is cut off, between any two of its requests: its successors finish its work, once.

A seed is one world in virtual time: a runner that launches, cancels and adopts, on a network that loses answers. At one
of its requests (before the server sees it, or after it did what was asked) the runner dies or is cut off for longer
than its lease. Two others adopt. Between two requests nothing changes that anybody else can see, so these are all the
instants that count. ``SEEDS=1000`` plays more worlds, ``SEED=17`` one.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio.testing
from podrunner.errors import OwnershipError, PodrunnerError, RequestTimeoutError, TransportError
from podrunner.kube import KubeClient, Request, Response, RetryGate
from podrunner.ownership import CLOCK_SKEW_S, Adopter, LeaseKeeper
from podrunner.runner import AsyncPodRunner, EventKind, RunnerEvent
from tests.unit.fake_server import EPOCH
from tests.unit.runner.harness import Cluster, configured, workload

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("SEEDS", "25")))

LEASE_S = 12.0
ADOPT_EACH_S = 2.0
POINTS = 70
"""The first runner makes about so many requests, two instants each, until its pods have begun to end."""
OWNED_WITHIN_S = LEASE_S + CLOCK_SKEW_S + ADOPT_EACH_S + 5
"""After the death of its owner a pod has another: the lease's time, the next look, and what lost answers cost."""
INHERITED, LAUNCHED, SUCCESSORS_OWN = range(3), range(3, 8), range(8, 10)


def virtual_now() -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=anyio.current_time() % 1_000_000)


class World(Cluster):
    """The cluster, and what it saw of each attempt."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.made: Counter[str] = Counter()
        self.deleted: set[str] = set()

    def _create(self, namespace, pod):
        self.made[pod["metadata"]["name"]] += 1
        return super()._create(namespace, pod)

    def _delete(self, namespace, name, options):
        self.deleted.add(self.pods[namespace, name]["metadata"]["uid"])
        return super()._delete(namespace, name, options)

    async def live(self) -> None:
        """Each second some pods start, and some end."""
        while True:
            await anyio.sleep(1)
            for (_, name), pod in list(self.pods.items()):
                phase = pod["status"]["phase"]
                if phase == "Pending" and self.random.random() < 0.3:
                    self.run(name)
                elif phase == "Running" and self.random.random() < 0.08:
                    self.finish(name)

    def orphans(self, living: set[str]) -> list[str]:
        owners = {
            name: pod["metadata"]["annotations"]["podrunner.io/owner"] for (_, name), pod in self.pods.items()
        }
        return [name for name, owner in owners.items() if owner not in living]


class Line:
    """A runner's way to the server: loses answers, and breaks at one point."""

    def __init__(self, world: World, *, breaks_at: int | None = None, loses: float = 0.0) -> None:
        self.world = world
        self.broken = anyio.Event()
        self.is_cut = False
        self._left = breaks_at
        self._loses = loses

    def client(self) -> KubeClient:
        return KubeClient(self, timeout_s=30, gate=RetryGate())

    async def request(self, request: Request) -> Response:
        await self._point(sent=False)
        answer = await self.world.request(request)
        await self._point(sent=True)
        if self.world.random.random() < self._loses:
            raise RequestTimeoutError("no answer", method=request.method)
        return answer

    async def _point(self, *, sent: bool) -> None:
        if self._left is not None and not self.broken.is_set():
            self._left -= 1
            if self._left <= 0:
                self.is_cut = True
                self.broken.set()
                for watch in list(self.world.watches):
                    watch.end(TransportError("connection reset", method="GET"))
        if self.is_cut:
            raise TransportError("no route", method="GET", sent=sent)
        await anyio.lowlevel.checkpoint()

    @asynccontextmanager
    async def stream(self, request: Request):
        if self.is_cut:
            raise TransportError("no route", method="GET", sent=False)
        async with self.world.stream(request) as stream:
            yield stream

    def upgrade(self, request: Request, subprotocols: object) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


class Scheduler:
    """A runner with a name, and what it was told while it lived."""

    def __init__(self, name: str, line: Line) -> None:
        self.name = name
        self.line = line
        self.told: list[RunnerEvent] = []
        self.dead = False
        self.scope = anyio.CancelScope()
        self.runner = AsyncPodRunner(
            configured(
                owner=name,
                lease_duration_s=LEASE_S,
                create_retry={"attempts": 0, "initial_s": 0.2, "max_s": 2.0},
                retry={"attempts": 0, "initial_s": 0.2, "max_s": 2.0},
                delete_pods_on_failure=True,
            ),
            client=line.client(),
            on_exit="detach",
            random=Random(line.world.random.random()),
        )

    async def live(self, work: Any) -> None:
        """Do the work, then adopt until it dies."""
        with self.scope:
            async with self.runner, anyio.create_task_group() as tasks:
                self.runner._bus.emit = self._tell  # what is told, is told at that instant
                tasks.start_soon(work, self.runner)
                await self._adopt()

    def _tell(self, event: RunnerEvent) -> None:
        if not self.dead:
            self.told.append(event)

    async def _adopt(self) -> None:
        while True:
            try:
                await self.runner.adopt()
            except OwnershipError:
                await anyio.sleep_forever()
            except PodrunnerError:
                pass
            await anyio.sleep(ADOPT_EACH_S)

    def die(self) -> None:
        self.dead = True
        self.scope.cancel()

    def outcomes(self) -> Counter[str]:
        return Counter(event.uid for event in self.told if event.kind is EventKind.FINISHED and event.uid)


async def leave_pods(world: World) -> None:
    """Somebody was here before."""
    async with AsyncPodRunner(configured(owner="old"), client=world.client(), on_exit="detach") as runner:
        await runner.launch_many(map(workload, INHERITED))


async def first_work(runner: AsyncPodRunner) -> None:
    """Launch by each way; cancel one that is queued or being made, one by its task, and one that is there."""
    pods = [runner.submit(workload(number)) for number in LAUNCHED[:3]]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pods[0].cancel)
        with anyio.move_on_after(0.5):
            await runner.launch(workload(LAUNCHED[3]))
        tasks.start_soon(_launch, runner, LAUNCHED[4])
        await anyio.sleep(6)
        tasks.start_soon(pods[1].cancel)


async def second_work(runner: AsyncPodRunner) -> None:
    for number in SUCCESSORS_OWN:
        runner.submit(workload(number))
    await anyio.lowlevel.checkpoint()


async def no_work(runner: AsyncPodRunner) -> None:
    await anyio.lowlevel.checkpoint()


async def _launch(runner: AsyncPodRunner, number: int) -> None:
    try:
        await runner.launch(workload(number))
    except OwnershipError:
        return  # it lost its lease meanwhile


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
        cut_off = random.random() < 0.4 and first.runner._opened is not None
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
    assert first.outcomes() == before, "who lost its lease tells nothing more"
    by_living = sum((each.outcomes() for each in successors), Counter())
    tellers: dict[str, list[str]] = defaultdict(list)
    for each in (first, *successors):
        for uid in each.outcomes():
            tellers[uid].append(each.name)
    assert set(by_living.values()) <= {1}, "never an outcome twice"
    assert set(before.values()) <= {1}
    for uid, names in tellers.items():
        # Told to a process that died, or was cut off, before the pod could be deleted: its successor tells it too.
        assert len(names) == 1 or (len(names) == 2 and names[0] == "first"), (uid, names)


@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_dies_anywhere_leaves_nothing_and_nothing_happens_twice(
    seed: int, monkeypatch: pytest.MonkeyPatch
):
    """A1, A2, A3, A5, C1, C2, C3, L1: launch, cancel and adopt, killed between any two requests."""
    for place in (LeaseKeeper, Adopter):  # the time of day is the world's
        monkeypatch.setitem(place.__init__.__kwdefaults__, "now", virtual_now)
    monkeypatch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    trio._core._run._r.seed(seed)
    clock = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(play, seed, backend="trio", backend_options={"clock": clock})
