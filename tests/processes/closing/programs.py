"""A program that launches pods and ends, what it is cancelled by and when, and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from podrunner import AsyncPodRunner, PodRunner, RunnerConfig, Workload
from tests.processes.closing.left import in_cluster, listed
from tests.processes.delivery.campaign import Place
from tests.support.waiting import until_blocking

__all__ = ["Plan", "play_and_judge"]

PHASES = ("opening", "launching", "waiting", "cancelling", "closing")
SOON_S = {"opening": 0.08, "launching": 0.15, "waiting": 0.3, "cancelling": 0.1, "closing": 1.5}
"""Within which time after the beginning of a phase the cancellation comes."""
AGAIN_S = 0.3
PODS = 2


class Plan:
    """What happens in a round.

    Args:
        seed: Chooses it.
        place: Where it happens.
        folder: Where logs go.
        own_clusters: Share of rounds with a LocalCluster that the runner starts itself.

    Attributes:
        phase: In which the cancellation comes.
        pauses_s: Before each cancellation: since the phase began, then since the one before.
    """

    def __init__(self, seed: int, place: Place, folder: Path, *, own_clusters: float = 0.0) -> None:
        random = Random(seed)
        self.logs = folder / "logs"
        self.face = random.choice(("asyncio", "blocking"))
        self.phase = random.choice(PHASES)
        self.pauses_s = [random.uniform(0, SOON_S[self.phase])]
        if random.random() < 0.5:
            self.pauses_s.append(random.choice((0.0, 0.001, random.uniform(0, AGAIN_S))))
        self.on_exit = random.choice(("cancel", "drain"))
        self.how = random.choice(("launch", "launch_many", "submit"))
        has_own_cluster = random.random() < own_clusters
        self.config = RunnerConfig(
            cluster="local" if has_own_cluster else "kubeconfig",
            kubeconfig=None if has_own_cluster else place.kubeconfig,
            namespace="default" if has_own_cluster else place.namespace,
            scope=place.namespace,
            image=place.image,
            logs={"folder": self.logs},
        )
        self.workloads = [
            Workload(
                key={"seed": str(seed), "n": str(number)},
                command=["sh", "-c", f"echo begun; sleep {random.choice((0, 300))}"],
                termination_grace_period_s=1,
            )
            for number in range(PODS)
        ]

    def __repr__(self) -> str:
        return f"{self.face}, {self.how}, {self.on_exit}, {self.config.cluster}: {self.phase} {self.pauses_s}"


async def use(plan: Plan, reach: Callable[[str], None]) -> None:
    """The program, for asyncio."""
    reach("opening")
    async with AsyncPodRunner(plan.config, on_exit=plan.on_exit) as runner:
        reach("launching")
        if plan.how == "launch":
            pods = [await runner.launch(each) for each in plan.workloads]
        elif plan.how == "launch_many":
            pods = [*await runner.launch_many(plan.workloads)]
        else:
            pods = [runner.submit(each) for each in plan.workloads]
        reach("waiting")
        with suppress(TimeoutError):
            await pods[0].wait(0.3)
        reach("cancelling")
        await pods[0].cancel()
        reach("closing")


def use_blocking(plan: Plan, reach: Callable[[str], None]) -> None:
    """The same program, blocking."""
    reach("opening")
    with PodRunner(plan.config, on_exit=plan.on_exit) as runner:
        reach("launching")
        if plan.how == "launch":
            pods = [runner.launch(each) for each in plan.workloads]
        elif plan.how == "launch_many":
            pods = [*runner.launch_many(plan.workloads)]
        else:
            pods = [runner.submit(each) for each in plan.workloads]
        reach("waiting")
        with suppress(TimeoutError):
            pods[0].wait(0.3)
        reach("cancelling")
        pods[0].cancel()
        reach("closing")


async def play(plan: Plan) -> set[str]:
    """Run the program and cancel its task; return the names of the tasks that are left."""
    reached = asyncio.Event()
    task = asyncio.create_task(use(plan, lambda phase: reached.set() if phase == plan.phase else None))
    await reached.wait()
    for pause_s in plan.pauses_s:
        await asyncio.sleep(pause_s)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None, plan
    return {each.get_name() for each in asyncio.all_tasks() - {asyncio.current_task()}}


def play_blocking(plan: Plan) -> set[str]:
    """Run the program and press Ctrl-C."""
    reached, over = threading.Event(), threading.Event()
    main = threading.main_thread().ident

    def interrupt() -> None:
        reached.wait()
        for pause_s in plan.pauses_s:
            time.sleep(pause_s)
            signal.pthread_kill(main, signal.SIGINT)
        over.set()

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with suppress(KeyboardInterrupt):
        use_blocking(plan, lambda phase: reached.set() if phase == plan.phase else None)
    while not over.is_set():  # what comes after the program's end
        with suppress(KeyboardInterrupt):
            over.wait(5)
    with suppress(KeyboardInterrupt):
        time.sleep(0.01)
    interrupter.join()
    return set()


def open_files() -> set[str]:
    """Return what is open, as Linux names it: a socket's or a pipe's name is never used again."""
    gc.collect()
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.add(str(path.readlink()))
    return found


def finish_as_a_successor(plan: Plan) -> None:
    """Adopt what is over and was not delivered, and read the outcomes."""
    with PodRunner(plan.config, on_exit="drain") as runner:
        runner.wait_synced()
        adopted = runner.adopt()
        for pod in adopted:
            pod.wait(60)


def play_and_judge(plan: Plan, place: Place, *, temporary: Path) -> None:
    """Play a round.

    Args:
        plan: The round.
        place: Where.
        temporary: Where temporary folders are made.

    Raises:
        AssertionError: Something is left.
    """
    threads, files = set(threading.enumerate()), open_files()
    tasks = asyncio.run(play(plan)) if plan.face == "asyncio" else play_blocking(plan)
    assert in_cluster(place) == [], plan
    assert tasks == set(), plan
    # anyio tells its idle worker threads to end with their event loop, and does not wait for them.
    until_blocking(lambda: set(threading.enumerate()) <= threads, within_s=40)
    until_blocking(lambda: open_files() <= files, within_s=40)
    assert list(temporary.iterdir()) == [], plan
    if plan.config.cluster != "local":
        finish_as_a_successor(plan)
        with place.open_http() as http:
            until_blocking(lambda: not listed(http, place), within_s=60)
        assert list(plan.logs.rglob("*.cursor*")) == [], plan
