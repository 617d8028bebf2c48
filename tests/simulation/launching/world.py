"""What the simulations of this folder share: a cluster that remembers, a line that breaks, a scheduler that dies."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
from podrunner.errors import OwnershipError, PodrunnerError, RequestTimeoutError, TransportError
from podrunner.kube import KubeClient, Request, Response, RetryAfterGate
from podrunner.ownership import CLOCK_SKEW_S, LeaseKeeper, ScopeReader
from podrunner.runner import AsyncPodRunner, EventKind, RunnerEvent
from podrunner.runner.supervisor import Supervisor
from tests.support.event_loops import run_in_virtual_time
from tests.support.fake_server import EPOCH
from tests.unit.runner.harness import Cluster, configured

LEASE_S = 12.0
ADOPT_EACH_S = 2.0
HEARTBEAT_S = 6.0
"""The longest time between two looks at the events."""
OWNED_WITHIN_S = LEASE_S + CLOCK_SKEW_S + ADOPT_EACH_S + 5
"""After the death of its owner a pod has another: the lease's time, the next look, and what lost answers cost."""


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
                if phase == "Pending" and self.random.random() < 0.3 and not is_deleted(pod):
                    self.run(name)
                elif phase == "Running" and self.random.random() < 0.08:
                    self.finish(name)
            self.expire_overdue()

    def orphans(self, living: set[str]) -> list[str]:
        owners = {
            name: pod["metadata"]["annotations"]["podrunner.io/owner"] for (_, name), pod in self.pods.items()
        }
        return [name for name, owner in owners.items() if owner not in living]


def is_deleted(pod: dict[str, Any]) -> bool:
    """Whether a pod was deleted, and only its grace or a finalizer holds it."""
    return "deletionTimestamp" in pod["metadata"]


class Line:
    """A runner's way to the server: loses answers, and breaks at one point."""

    def __init__(self, world: World, *, breaks_at: int | None = None, loses: float = 0.0) -> None:
        self.world = world
        self.broken = anyio.Event()
        self.is_cut = False
        self._left = breaks_at
        self._loses = loses

    def client(self) -> KubeClient:
        return KubeClient(self, timeout_s=30, gate=RetryAfterGate())

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
    """A runner with a name, and what it reported while it lived. It reads now and then, as a heartbeat does."""

    def __init__(self, name: str, line: Line, **settings: Any) -> None:
        self.name = name
        self.line = line
        self.reported: list[RunnerEvent] = []
        self.dead = False
        self.scope = anyio.CancelScope()
        self.runner = AsyncPodRunner(
            configured(
                owner=name,
                lease_duration_s=LEASE_S,
                create_retry={"attempts": 0, "initial_s": 0.2, "max_s": 2.0},
                retry={"attempts": 0, "initial_s": 0.2, "max_s": 2.0},
                **{"delete_pods_on_failure": True, **settings},
            ),
            client=line.client(),
            on_exit="detach",
            random=Random(line.world.random.random()),
        )

    async def live(self, work: Any) -> None:
        """Do the work, then adopt until it dies."""
        self._emit, self.runner._bus.emit = self.runner._bus.emit, self._report
        with self.scope:
            async with self.runner, anyio.create_task_group() as tasks:
                tasks.start_soon(work, self.runner)
                tasks.start_soon(self._read)
                await self._adopt()

    def _report(self, event: RunnerEvent) -> None:
        """What is reported, is reported at that instant, whenever it is read."""
        if not self.dead:
            self.reported.append(event)
        self._emit(event)

    async def _read(self) -> None:
        """Each heartbeat takes what the one before had read."""
        while True:
            await anyio.sleep(self.line.world.random.uniform(0.1, HEARTBEAT_S))
            self.runner.poll_events()

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
        return Counter(event.uid for event in self.reported if event.kind is EventKind.FINISHED and event.uid)


def play_in_virtual_time(play: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One world, the same each time."""
    for place in (LeaseKeeper, ScopeReader, Supervisor):  # the time of day is the world's
        monkeypatch.setitem(place.__init__.__kwdefaults__, "now", virtual_now)
    monkeypatch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    trio._core._run._r.seed(seed)
    run_in_virtual_time(play, seed)
