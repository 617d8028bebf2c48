"""Runs whose runner dies, or is cut off, between any two of its requests: their successors go on where they were.

A seed is one world in virtual time, on a network that loses answers. A scheduler runs workloads whose pods are
preempted now and then before they begin, cancels one, and dies or is cut off. Its successors adopt, and run what was
not reported as succeeded: as a scheduler does that keeps what was reported, and nothing else. ``SEEDS=1000`` plays more
worlds, ``SEED=17`` one.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from podrunner.errors import OwnershipError, PodrunnerError
from podrunner.runner import AsyncPodRunner, AsyncRun, EventKind, RetryPolicy
from tests.simulation.launching.world import OWNED_WITHIN_S, Line, Scheduler, World, play_in_virtual_time
from tests.support.seeds import SEEDS
from tests.unit.runner.harness import workload

POINTS = 90
RUN, CANCELLED = range(5), 0
POLICY = RetryPolicy(infrastructure_retries=100, wait=lambda state: state.attempt_number % 3)
PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}


class PreemptingWorld(World):
    """Now and then a pod makes room before it began; it remembers which was created when."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.made_at: dict[str, list[float]] = defaultdict(list)
        self.succeeded: dict[str, int] = defaultdict(int)

    def _create(self, namespace, pod):
        identity = identity_of(pod)
        others = [other for other in self.pods.values() if identity_of(other) == identity]
        assert all(other["status"]["phase"] in {"Succeeded", "Failed"} for other in others), (
            "one pod at a time"
        )
        self.made_at[identity].append(anyio.current_time())
        return super()._create(namespace, pod)

    def finish(self, name: str, exit_code: int = 0, **terminated: Any) -> None:
        self.succeeded[identity_of(self.pods["default", name])] += exit_code == 0
        super().finish(name, exit_code, **terminated)

    async def live(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(super().live)
            while True:
                await anyio.sleep(1)
                for (_, name), pod in list(self.pods.items()):
                    if pod["status"]["phase"] == "Pending" and self.random.random() < 0.2:
                        self.change(name, status={"phase": "Failed", "conditions": [PREEMPTED]})

    def owner_of(self, number: int) -> str | None:
        """Returns the owner of the pod of a workload that is not over, or whose outcome was not delivered."""
        ours = [pod for pod in self.pods.values() if identity_of(pod) == workload(number).key.identity]
        held = [
            pod for pod in ours if is_live(pod) or "podrunner.io/told" not in pod["metadata"]["annotations"]
        ]
        return next((pod["metadata"]["annotations"]["podrunner.io/owner"] for pod in held), None)

    def busy(self) -> bool:
        """Whether something runs, or is not reported yet."""
        return any("podrunner.io/told" not in pod["metadata"]["annotations"] for pod in self.pods.values())


def is_live(pod: dict[str, Any]) -> bool:
    return pod["status"]["phase"] not in {"Succeeded", "Failed"}


def identity_of(pod: dict[str, Any]) -> str:
    return pod["metadata"]["annotations"]["podrunner.io/key"]


def reported_as_succeeded(*schedulers: Scheduler) -> set[str]:
    events = [event for each in schedulers for event in each.reported]
    return {event.key.identity for event in events if event.outcome is not None and event.outcome.succeeded}


async def no_work(runner: AsyncPodRunner) -> None:
    await anyio.lowlevel.checkpoint()


async def play(seed: int) -> None:
    random = Random(seed)
    world = PreemptingWorld(random)
    loses = random.choice([0.0, 0.1, 0.3])
    settings = {"delete_pods_on_failure": False}
    first = Scheduler("first", Line(world, breaks_at=1 + seed % POINTS, loses=loses), **settings)
    successors = [
        Scheduler(name, Line(world, loses=min(loses, 0.1)), **settings) for name in ("second", "third")
    ]
    cancelled_at: list[float] = []

    async def first_work(runner: AsyncPodRunner) -> None:
        runs = [runner.run(workload(number), retry=POLICY) for number in RUN]
        await anyio.sleep(random.uniform(0, 12))
        with suppress(
            OwnershipError
        ):  # it lost its lease meanwhile: the runner that adopts the run goes on with it
            await runs[CANCELLED].cancel()
            cancelled_at.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.live)
        tasks.start_soon(first.live, first_work)
        for each in successors:
            tasks.start_soon(each.live, no_work)
        await first.line.broken.wait()
        cut_off = random.random() < 0.4 and first.runner._engine is not None
        if not cut_off:
            first.die()
        await anyio.sleep(OWNED_WITHIN_S)
        assert all(world.owner_of(number) in {None, "second", "third"} for number in RUN)
        first.line.is_cut = not cut_off
        runs = [await run_again(world, number, first, *successors) for number in RUN if number != CANCELLED]
        with anyio.fail_after(3600):
            for run in runs:
                assert run is None or (await run.wait()).succeeded
            while world.busy():
                await anyio.sleep(1)
        check(world, first, *successors, cancelled_at=cancelled_at)
        tasks.cancel_scope.cancel()


async def run_again(
    world: PreemptingWorld, number: int, first: Scheduler, *successors: Scheduler
) -> AsyncRun | None:
    """Run a workload where its pod is, if there is one and its success was not reported."""
    owner = next((each for each in successors if each.name == world.owner_of(number)), successors[0])
    while True:
        try:
            await owner.runner.adopt()
        except PodrunnerError:
            await anyio.sleep(1)
        else:
            break
    if workload(number).key.identity in reported_as_succeeded(first, *successors):
        return None
    return owner.runner.run(workload(number), retry=POLICY)


def check(
    world: PreemptingWorld, first: Scheduler, *successors: Scheduler, cancelled_at: list[float]
) -> None:
    assert set(world.made.values()) == {1}, "never two pods for a launch of an attempt"
    for number in RUN:
        identity = workload(number).key.identity
        assert world.succeeded[identity] == 1 or number == CANCELLED, "each workload is done once"
    after = [
        at for at in world.made_at[workload(CANCELLED).key.identity] if cancelled_at and at > cancelled_at[0]
    ]
    assert not after, "a cancelled run has no further try"
    for each in (first, *successors):
        assert set(each.outcomes().values()) <= {1}, "never an outcome twice"
    relaunches = {
        event.key.relaunch
        for each in successors
        for event in each.reported
        if event.kind is EventKind.CREATED
    }
    assert all(event.key.attempt == 1 for each in successors for event in each.reported), relaunches


@pytest.mark.parametrize("seed", SEEDS)
def test_wherever_a_runner_dies_its_runs_are_finished_once(seed: int, monkeypatch: pytest.MonkeyPatch):
    """P4, A5, C3, L1."""
    play_in_virtual_time(play, seed, monkeypatch)
