"""A scheduler with a journal: it hands in what the journal lacks, reads late, stores, and dies.

One process of it is a :class:`Process`; its successor has nothing but the journal. What a process does between two
checkpoints of its event loop, it does as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
from podrunner.errors import CloseTimeoutError, OwnershipError, PodrunnerError, RunnerClosedError
from podrunner.outcome import Outcome
from podrunner.runner import AsyncPod, AsyncPodRunner, AsyncRun, ClosePolicy, EventKind, RunnerEvent
from podrunner.workload import WorkloadKey
from tests.simulation.delivery.habits import Habits
from tests.simulation.delivery.journal import POLICY, Entry, Item, Journal
from tests.simulation.delivery.line import Line
from tests.simulation.delivery.world import IMAGE_GRACE_S, RUN_TIMEOUT_S, World
from tests.simulation.launching.world import LEASE_S, OWNED_WITHIN_S
from tests.unit.runner.harness import configured

__all__ = ["Process"]

QUICK = {"attempts": 0, "initial_s": 0.2, "max_s": 2.0, "jitter": 0}
PATIENCE_S = 3600.0
LONGEST_S = 200.0
"""For which a process lives that does not come to the point at which it would be killed."""
NOTICED_WITHIN_S = 60.0
"""For which a runner that was cut off may take to see that it lost its Lease."""


class _BrokenError(Exception):
    """The scheduler's own code fails."""


@dataclass
class Process:
    """One process of a scheduler.

    Attributes:
        name: Of its runner.
        world: The cluster.
        journal: What it stores.
        slot: Which scheduler it is.
        habits: How it behaves.
        random: The source of what is not fixed by them.
        settings: Of its runner.
        is_dead: Whether it was killed.
        ended: Set when it is dead, has closed its runner, or is cut off.
        handed_in: Identities that it has handed in and that are not lost, and when.
        history: All that it ever handed in, and when.
    """

    name: str
    world: World
    journal: Journal
    slot: int
    habits: Habits
    random: Random
    settings: dict[str, Any]
    is_dead: bool = False
    ended: anyio.Event = field(default_factory=anyio.Event)
    handed_in: dict[str, float] = field(default_factory=dict)
    history: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        habits = self.habits
        breaks_at = int(habits.at) if habits.ends == "request" else None
        self.line = Line(self.world, self.random, loses=habits.loses, breaks_at=breaks_at, on_break=self.die)
        self.runner = AsyncPodRunner(
            self._config(),
            client=self.line.client(),
            on_exit={"cancel": "cancel", "drain": "drain", "raises": "cancel"}.get(habits.ends, "detach"),
            random=Random(self.random.random()),
        )
        self._scope = anyio.CancelScope()
        self._handles: dict[str, AsyncPod | AsyncRun] = {}
        self._unacknowledged: list[RunnerEvent] = []
        self._steps = 0
        self._reading = anyio.Lock()
        self._leaving = anyio.Event()

    def _config(self) -> Any:
        return configured(
            owner=self.name,
            lease_duration_s=LEASE_S,
            create_retry=QUICK,
            retry=QUICK,
            outcome_finalizer=self.world.finalizer,
            run_timeout_s=RUN_TIMEOUT_S if self.world.run_timeout else None,
            pending={"image_grace_s": IMAGE_GRACE_S},
            watch={"inactivity_s": 120, "server_timeout_s": 60},
            **self.settings,
        )

    # Its life

    async def live(self) -> None:
        """Live until the end that its habits say. What reads goes on while the runner is being closed."""
        with self._scope:
            async with anyio.create_task_group() as readers:
                with suppress(_BrokenError):
                    await self._run(readers)
                await self._read_the_rest()
                readers.cancel_scope.cancel()
        self.ended.set()

    def die(self) -> None:
        """As by kill -9: from now on it does nothing, and nothing that it sends arrives."""
        self.is_dead = True
        self.line.cut()
        self.runner._on_exit = ClosePolicy.DETACH
        self._scope.cancel()
        self.ended.set()

    async def _run(self, readers: anyio.abc.TaskGroup) -> None:
        try:
            async with self.runner:
                readers.start_soon(self._read)
                await self._work(readers)
                await self._leave()
        except CloseTimeoutError:
            pass  # what it could not end is its successor's
        except OwnershipError as error:
            if "another runner is called" not in str(error):
                raise

    async def _work(self, readers: anyio.abc.TaskGroup) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._adopt)
            tasks.start_soon(self._hand_in_all, readers)
            tasks.start_soon(self._look_on)
            await self._until_its_end()
            tasks.cancel_scope.cancel()

    async def _until_its_end(self) -> None:
        ends, at = self.habits.ends, self.habits.at
        lives_s = {"lives": PATIENCE_S, "request": LONGEST_S, "step": LONGEST_S}.get(ends, at)
        with anyio.move_on_after(lives_s):
            await self._leaving.wait()
        if ends in {"time", "request", "step"} and not self._leaving.is_set():
            self.die()
        elif ends == "cut":
            await self._be_cut_off()
        await anyio.lowlevel.checkpoint()

    async def _be_cut_off(self) -> None:
        """It lives on for longer than its Lease, beside its successor."""
        self.line.cut()
        self.ended.set()
        await anyio.sleep(LEASE_S + self.random.uniform(1, 30))
        self.line.mend()
        with anyio.move_on_after(NOTICED_WITHIN_S):
            await self._leaving.wait()

    async def _leave(self) -> None:
        """What comes before the runner is closed."""
        ends = self.habits.ends
        self.world.leaving.add(self.name)
        if ends in {"cancel", "raises"}:
            self.world.closing.setdefault(self.name, anyio.current_time())
        if ends == "raises":
            raise _BrokenError
        if ends == "drain" and self.settings["outcome_delivery"] == "taken":
            # What it does not read counts as taken by closing: a careful scheduler reads all of it before.
            await self.runner.wait_all(PATIENCE_S)
            await self._read_the_rest()

    # Handing in

    async def _adopt(self) -> None:
        while True:
            await self._adopt_once()
            await anyio.sleep(self.habits.adopts_every_s)

    async def _adopt_once(self) -> bool:
        try:
            await self.runner.adopt()
        except OwnershipError:
            self._leaving.set()
            return False
        except PodrunnerError:
            return False
        return True

    async def _hand_in_all(self, readers: anyio.abc.TaskGroup) -> None:
        """Hand in whatever the journal lacks; what was lost, again."""
        # No sooner can a predecessor's pods be adopted; without them a run would begin anew.
        runs_at = anyio.current_time() + OWNED_WITHIN_S
        while True:
            for item in self.journal.lacking(self.slot):
                if item.identity in self.handed_in:
                    continue
                if item.is_run and not (anyio.current_time() > runs_at and await self._adopt_once()):
                    continue
                if not self.journal.is_over(item):  # stored while it adopted
                    self._hand_in(item, readers)
            await anyio.sleep(self.random.uniform(0.1, 5))

    def _hand_in(self, item: Item, readers: anyio.abc.TaskGroup) -> None:
        self.handed_in[item.identity] = anyio.current_time()
        self.history.append((item.identity, anyio.current_time()))
        with suppress(OwnershipError):
            if item.is_run:
                readers.start_soon(self._follow_run, item, self._begin_run(item))
            elif self.habits.launches:
                readers.start_soon(self._launch, item)
            else:
                self._handles[item.identity] = self.runner.submit(item.workload)
                readers.start_soon(self._follow_pod, item)
        if self.random.random() < self.habits.cancels:
            readers.start_soon(self._cancel, item)

    def _begin_run(self, item: Item) -> AsyncRun:
        key = self.journal.next_key(item)
        policy = replace(POLICY, attempts=POLICY.attempts - (key.attempt - item.key.attempt))
        run = self._handles[item.identity] = self.runner.run(item.workload.of_try(key), retry=policy)
        return run

    async def _launch(self, item: Item) -> None:
        try:
            self._handles[item.identity] = await self.runner.launch(item.workload)
        except PodrunnerError:
            self.handed_in.pop(item.identity, None)
        else:
            await self._follow_pod(item)

    async def _cancel(self, item: Item) -> None:
        await anyio.sleep(self.random.uniform(0, 40))
        handle = self._handles.get(item.identity)
        if handle is not None:
            self.world.cancelled.setdefault(item.identity, anyio.current_time())
            with suppress(OwnershipError, RunnerClosedError):
                await handle.cancel(grace_period_s=self.habits.grace_period_s)

    async def _follow_run(self, item: Item, run: AsyncRun) -> None:
        """Returning the outcome takes it: it is stored before anything else happens."""
        try:
            outcome = await run.wait()
        except (OwnershipError, RunnerClosedError):
            self.handed_in.pop(item.identity, None)
            return
        if not self.is_dead:
            if run.pod is not None:
                self._store(run.pod.key, run.pod.uid, outcome)
            self.journal.close(item)

    async def _follow_pod(self, item: Item) -> None:
        """As for runs."""
        pod = self._handles[item.identity]
        assert isinstance(pod, AsyncPod)
        if self.habits.reads != "handles":
            return
        try:
            outcome = await pod.wait()
        except (OwnershipError, RunnerClosedError):
            self.handed_in.pop(item.identity, None)
            return
        self._store(pod.key, pod.uid, outcome)

    # Reading

    async def _look_on(self) -> None:
        """A display: it delivers nothing."""
        async with self.runner.events(observe=True) as events:
            async for _ in events:
                repr(self.runner.pods())

    async def _read(self) -> None:
        while True:
            with suppress(_BrokenError):
                await self._read_once()
            await self._wait()

    async def _wait(self) -> None:
        if self.runner.health().lease != "held":
            self._leaving.set()
        await anyio.sleep(self.random.uniform(0.05, self.habits.heartbeat_s))

    async def _read_once(self) -> None:
        if self.habits.reads == "subscription":
            await self._read_subscription()
            return
        async with self._reading:
            await self._take_in(self.runner.poll_events(self.habits.batch))

    async def _read_subscription(self) -> None:
        async with self.runner.events() as events:
            while batch := await events.next_batch(self.habits.batch):
                if self.random.random() < self.habits.fails:
                    raise _BrokenError
                await self._take_in(batch)
                await self._wait()

    async def _take_in(self, events: Iterable[RunnerEvent]) -> None:
        """Store what was read, then acknowledge it; it may die between any two of these."""
        await self._step()
        stored = []
        for event in events:
            if self._note(event):
                stored.append(event)
                await self._step()
        if self.habits.acknowledges == "next":
            stored, self._unacknowledged = self._unacknowledged, stored
        if self.habits.acknowledges != "never":
            self._acknowledge(stored)
        await self._step()

    async def _step(self) -> None:
        self._steps += 1
        if self.habits.ends == "step" and self._steps >= self.habits.at:
            self.die()
        await anyio.lowlevel.checkpoint()

    def _note(self, event: RunnerEvent) -> bool:
        """Store an outcome; whether the event has one."""
        if event.kind is EventKind.LOST:
            self.handed_in.pop(event.key.identity, None)
        if event.kind is not EventKind.FINISHED:
            return False
        assert event.outcome is not None, "what is finished has an outcome"
        entry = self._store(event.key, event.uid, event.outcome)
        assert not event.will_retry or self.journal.following(entry) is not None, event
        return True

    def _store(self, key: WorkloadKey, uid: str, outcome: Outcome) -> Entry:
        entry = Entry(key, uid, outcome, self.name, self.handed_in.get(key.identity, 0))
        if not self.is_dead:
            self.journal.store(entry)
        return entry

    def _acknowledge(self, events: Iterable[RunnerEvent]) -> None:
        with suppress(RunnerClosedError):
            self.runner.acknowledge([event if self.habits.by == "event" else event.key for event in events])

    async def _read_the_rest(self) -> None:
        """Read and store what is left, as a whole."""
        async with self._reading:
            while not self.is_dead and (events := self.runner.poll_events()):
                self._acknowledge([event for event in events if self._note(event)])
