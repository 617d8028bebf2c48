"""A scheduler as a process of its own: ``python -m tests.processes.delivery.scheduler SETTINGS``.

SETTINGS is a JSON file with the fields of :class:`Settings`. It submits what its journal says is not done, stores each
outcome before it comes back for more or acknowledges it, and lives until the round's plan kills it, or all is done. Its
exit codes: 0: all is done; ``FENCED``: its Lease was lost, and a successor is to go on.

It looks for outcomes in one of three styles, each a function below: ``poll`` (the heartbeat of a scheduler without an
event loop), ``events`` (a subscription, on asyncio or trio), ``wait`` (one wait per pod, in either face).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec
from podrunner import AsyncPod, AsyncPodRunner, AsyncRun, EventKind, Pod, PodRunner, Run, RunnerConfig
from podrunner.errors import OwnershipError
from podrunner.runner import AsyncEvents, RetryPolicy, RunnerEvent
from tests.processes.delivery.fuse import ArmedFuse
from tests.processes.delivery.journal import Ledger, place_of
from tests.processes.delivery.plan import OVER_S, Attempt, Round
from tests.processes.delivery.workload import workload_of

FENCED = 75
RETRY_AFTER_S = 0.5

Handle = Pod | AsyncPod | Run | AsyncRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a scheduler is started with.

    Attributes:
        plan: The round.
        life: Which of its lives this is.
        kubeconfig: Where the cluster is.
        namespace: Where the pods are.
        image: Their image.
        folder: Holds the journal, the logs (``logs``) and the effects (``effects/effects``).
    """

    plan: Round
    life: int
    kubeconfig: str
    namespace: str
    image: str
    folder: str


def name_of(life: int) -> str:
    """Return the name of a scheduler's runner."""
    return f"scheduler-{life}"


class FencedError(Exception):
    """The runner lost its Lease."""


class Scheduler:
    """What all styles share: the ledger, and what is submitted and stored.

    Args:
        settings: See there.
    """

    def __init__(self, settings: Settings) -> None:
        self.plan = settings.plan
        self.life = self.plan.lives[settings.life]
        self.fuse = ArmedFuse(self.life.fuse)
        folder = Path(settings.folder)
        self.ledger = Ledger(folder / "journal", self.plan, life=settings.life)
        self._settings = settings
        self._effects = folder / "effects"
        self._logs = folder / "logs"
        self._submitted: set[tuple[int, int]] = set()
        self._over_at = time.monotonic() + (0.0 if self.life.judges_dead else OVER_S)
        self._had_work = not self.ledger.is_done

    def config(self) -> RunnerConfig:
        """Return the runner's configuration: without an owner, as most programs leave it, unless it is named dead."""
        settings, plan = self._settings, self.plan
        return RunnerConfig(
            cluster="kubeconfig",
            kubeconfig=Path(settings.kubeconfig),
            namespace=settings.namespace,
            image=settings.image,
            outcome_delivery=plan.mode,
            outcome_finalizer=plan.has_finalizer,
            lease_duration_s=self.life.lease_s or plan.lease_s,
            owner=name_of(self.life.number) if any(life.judges_dead for life in plan.lives) else None,
            adopt_every_s=self.life.adopt_every_s,
            max_active_pods=plan.max_active,
            delete_pods_on_failure=not plan.keeps_failed,
            logs={"folder": self._logs, "drain_timeout_s": 120.0},
        )

    @property
    def dead(self) -> list[str]:
        """The schedulers that count as dead by this one's own verdict."""
        return [name_of(number) for number in range(self.life.number)] if self.life.judges_dead else []

    @property
    def may_end(self) -> bool:
        """Whether all is done, and the Lease of a predecessor is over: what it left can be adopted."""
        if self.ledger.is_done and self._had_work:
            self.fuse.is_done()
        return self.ledger.is_done and time.monotonic() >= self._over_at

    def _handed_in(self, place: tuple[int, int]) -> tuple[int, int]:
        """Return what is handed in once: task and attempt, or a task's run."""
        return (place[0], 0) if self.plan.has_runs else place

    def next_submissions(self) -> list[Attempt]:
        """Return the attempts to submit now; they are noted as begun."""
        due = [each for each in self.ledger.due() if self._handed_in(each.place) not in self._submitted]
        due = due[: self.life.portion]
        self._submitted.update(self._handed_in(each.place) for each in due)
        self.ledger.begin(due)
        return due

    def submit_due(self, runner: PodRunner | AsyncPodRunner) -> list[Handle]:
        """Submit what is due."""
        return [self._submit(runner, attempt) for attempt in self.next_submissions()]

    def _submit(self, runner: PodRunner | AsyncPodRunner, attempt: Attempt) -> Handle:
        workload = workload_of(attempt, plan=self.plan, effects=self._effects)
        if not self.plan.has_runs:
            return runner.submit(workload)
        attempts = len(self.plan.tries(attempt.task)) - attempt.number + 1
        policy = RetryPolicy(attempts=attempts, wait=RETRY_AFTER_S, retry_if=lambda _: True)
        return runner.run(workload, retry=policy)

    def take(self, runner: PodRunner | AsyncPodRunner, events: Iterable[RunnerEvent]) -> None:
        """Store the outcomes among events, then acknowledge them.

        Raises:
            FencedError: The runner lost its Lease.
        """
        events = list(events)
        finished = [event for event in events if event.kind is EventKind.FINISHED]
        if finished:
            self.fuse.step("taken")
        for event in finished:
            self.ledger.store(event.key, event.uid, event.outcome, replayed=event.replayed)
        if finished:
            self.fuse.step("stored")
            self._acknowledge(runner, finished)
        self.check_lease(runner)
        for event in events:
            if event.kind is EventKind.LOST:
                self.ledger.note("lost", f"{event.key} {event.message}")
                self._submitted.discard(self._handed_in(place_of(event.key)))

    def check_lease(self, runner: PodRunner | AsyncPodRunner) -> None:
        """End if the runner acts no more."""
        if (lease := runner.health().lease) != "held":
            raise FencedError(lease)

    def store(self, runner: PodRunner | AsyncPodRunner, pod: Pod | AsyncPod, outcome) -> None:
        """Store and acknowledge what a wait returned."""
        self.fuse.step("taken")
        self.ledger.store(pod.key, pod.uid, outcome, replayed=pod.replayed)
        self.fuse.step("stored")
        runner.acknowledge(pod if self.life.acknowledges == "many" else pod.key)
        self.fuse.step("acknowledged")

    def _acknowledge(self, runner: PodRunner | AsyncPodRunner, finished: list[RunnerEvent]) -> None:
        if self.plan.mode == "taken":
            return
        if self.life.acknowledges == "many":
            runner.acknowledge(finished)
        for event in finished:
            if self.life.acknowledges == "event":
                runner.acknowledge(event)
            elif self.life.acknowledges == "key":
                runner.acknowledge(event.key)
        self.fuse.step("acknowledged")


# A heartbeat, in code without an event loop


def poll(scheduler: Scheduler) -> None:
    """Look for outcomes at each heartbeat."""
    life = scheduler.life
    with PodRunner(scheduler.config()) as runner:
        scheduler.fuse.arm()
        threading.Thread(target=observe_blocking, args=(runner,), daemon=True).start()
        time.sleep(life.waits_s)
        if life.adopts:
            runner.adopt(owners=scheduler.dead)
        while not scheduler.may_end:
            scheduler.submit_due(runner)
            time.sleep(life.beat_s)
            scheduler.take(runner, runner.poll_events(life.takes))
        runner.adopt()
        runner.wait_all()
        while events := runner.poll_events():
            scheduler.take(runner, events)


def observe_blocking(runner: PodRunner) -> None:
    """See each event at once, as a display does: it delivers nothing."""
    with runner.events(observe=True) as stream:
        for _ in stream:
            pass


# A subscription


async def events(scheduler: Scheduler) -> None:
    """Read events as they come."""
    life = scheduler.life
    async with AsyncPodRunner(scheduler.config()) as runner, runner.events() as stream:
        scheduler.fuse.arm()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, scheduler, runner, stream)
            tasks.start_soon(observe, runner)
            await anyio.sleep(life.waits_s)
            if life.adopts:
                await runner.adopt(owners=scheduler.dead)
            while not scheduler.may_end:
                scheduler.submit_due(runner)
                await anyio.sleep(min(life.beat_s, 1.0))
                scheduler.check_lease(runner)
            await runner.adopt()
            await runner.wait_all()
            tasks.cancel_scope.cancel()
        while rest := stream.poll():
            scheduler.take(runner, rest)


async def read(scheduler: Scheduler, runner: AsyncPodRunner, stream: AsyncEvents) -> None:
    """Take each event, or batches with a pause after each."""
    if scheduler.life.one_by_one:
        async for event in stream:
            scheduler.take(runner, [event])
        return
    while batch := await stream.next_batch(scheduler.life.takes):
        scheduler.take(runner, batch)
        await anyio.sleep(scheduler.life.beat_s)


async def observe(runner: AsyncPodRunner) -> None:
    """See each event at once, as a display does: it delivers nothing."""
    async with runner.events(observe=True) as stream:
        async for _ in stream:
            pass


# One wait per pod


async def wait(scheduler: Scheduler) -> None:
    """Wait for each pod in a task of its own."""
    life = scheduler.life
    async with AsyncPodRunner(scheduler.config()) as runner:
        scheduler.fuse.arm()

        async def follow(pod: AsyncPod) -> None:
            scheduler.store(runner, pod, await pod.wait())

        async with anyio.create_task_group() as tasks:
            await anyio.sleep(life.waits_s)
            for pod in await runner.adopt(owners=scheduler.dead) if life.adopts else []:
                tasks.start_soon(follow, pod)
            while not scheduler.may_end:
                for pod in scheduler.submit_due(runner):
                    tasks.start_soon(follow, pod)
                await anyio.sleep(life.beat_s)
                scheduler.check_lease(runner)
            await runner.adopt()
            for pod in runner.pods():
                tasks.start_soon(follow, pod)


def wait_blocking(scheduler: Scheduler) -> None:
    """Wait for one pod after the other."""
    life = scheduler.life
    with PodRunner(scheduler.config()) as runner:
        scheduler.fuse.arm()

        def follow(pods: Iterable[Pod]) -> None:
            for pod in pods:
                scheduler.store(runner, pod, pod.wait())

        time.sleep(life.waits_s)
        follow(runner.adopt(owners=scheduler.dead) if life.adopts else [])
        while not scheduler.may_end:
            follow(scheduler.submit_due(runner))
            time.sleep(life.beat_s)
            scheduler.check_lease(runner)
        runner.adopt()
        follow(runner.pods())


def run(scheduler: Scheduler) -> None:
    """Run in the round's style and face."""
    style, face = scheduler.plan.style, scheduler.plan.face
    if face == "blocking":
        {"poll": poll, "wait": wait_blocking}[style](scheduler)
    else:
        anyio.run({"events": events, "wait": wait}[style], scheduler, backend=face)


def is_fenced(error: BaseException) -> bool:
    """Whether a runner that lost its Lease is the whole cause."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_fenced, error.exceptions))
    return isinstance(error, FencedError | OwnershipError)


def main() -> int:
    """Return the exit code."""
    scheduler = Scheduler(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Settings))
    try:
        run(scheduler)
    except Exception as error:
        if not is_fenced(error):
            raise
        scheduler.ledger.note("fenced", str(error))
        return FENCED
    return 0


if __name__ == "__main__":
    sys.exit(main())
