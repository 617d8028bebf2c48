"""A program that is cancelled at any moment of its runner's life, by ``Task.cancel()``, once, twice, or with all tasks.

In virtual time, on a server that takes its time before and after each request. ``SEEDS=1000`` plays more worlds,
``SEED=17`` one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest
from podrunner.runner import AsyncPodRunner
from tests.support.event_loops import machine_stands_still
from tests.support.fake_server import ENDED
from tests.support.seeds import SEEDS
from tests.support.virtual_asyncio import VirtualTimeLoop
from tests.unit.runner.harness import Cluster, configured, workload

PROGRAMS = 20
"""Of each world."""
PODS = 3
LONGEST_S = 6.0
"""Within which time the cancellation comes."""


def slow(cluster: Cluster, random: Random) -> None:
    """Let some kinds of requests take their time, before or after the server does them."""
    for method in ("POST", "GET", "PATCH", "DELETE"):
        how = random.choice(({}, {"delay_s": random.random()}, {"delay_reply_s": random.random()}))
        part = "/leases" if random.random() < 0.3 else "/pods"
        if how and (method, part) != ("GET", "/pods"):  # the watch is one of these
            cluster.fail(method, part=part, times=1_000_000, **how)


async def use(cluster: Cluster, random: Random) -> None:
    on_exit, how = random.choice(("cancel", "drain")), random.choice(("launch", "launch_many", "submit"))
    async with AsyncPodRunner(configured(), client=cluster.client(), on_exit=on_exit) as runner:
        wanted = [workload(number) for number in range(PODS)]
        if how == "launch":
            pods = [await runner.launch(each) for each in wanted]
        elif how == "launch_many":
            pods = [*await runner.launch_many(wanted)]
        else:
            pods = [runner.submit(each) for each in wanted]
        await asyncio.sleep(random.random())
        for pod in pods[1:]:
            if pod.uid:
                cluster.run(pod.name)
        with suppress(TimeoutError):
            await pods[0].wait(random.random())
        await pods[-1].cancel()


async def play(seed: str) -> None:
    random, cluster = Random(seed), Cluster()
    slow(cluster, random)
    task = asyncio.create_task(use(cluster, random))
    all_tasks = random.random() < 0.2
    await asyncio.sleep(random.uniform(0, LONGEST_S))
    for pause_s in random.choice(((), (0.0,), (random.random(),), (random.random(), random.random()))):
        task.cancel()
        await asyncio.sleep(pause_s)
        others = asyncio.all_tasks() - {asyncio.current_task()} if all_tasks else {task}
        for each in others:
            each.cancel()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None, task
    running = [name for (_, name), pod in cluster.pods.items() if pod["status"]["phase"] not in ENDED]
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert [*running, *cluster.leases, *cluster.watches, *tasks] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_wherever_a_program_is_cancelled_nothing_is_left(seed: int):
    """H3."""
    for number in range(PROGRAMS):
        name = f"{seed}-{number}"
        with machine_stands_still(), asyncio.Runner(loop_factory=VirtualTimeLoop) as loop:
            try:
                loop.run(play(name))
            except AssertionError as error:
                error.add_note(f"in program {name}")
                raise
