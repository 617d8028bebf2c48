"""The random world itself: what holds a pod, and what ends it, whatever is drawn."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from podrunner.outcome import Category
from tests.simulation.world import World
from tests.support.event_loops import run_in_virtual_time
from tests.support.fake_server import ENDED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "base"}], "restartPolicy": "Never"}}
HOLD = "example.com/hold"
LIFE_S = 100.0
"""Longer than any life that a world plans."""


def play(seed: int, act: Callable[[World], Awaitable[None]], *finalizers: str) -> World:
    """Let a world have one pod, act on it, and go on until nothing happens any more."""
    world = World(Random(seed))

    async def live() -> None:
        world._create("default", {**POD, "metadata": {"name": "p", "finalizers": list(finalizers)}})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.live)
            await act(world)
            await anyio.sleep(LIFE_S)
            tasks.cancel_scope.cancel()

    run_in_virtual_time(live)
    return world


async def lower_the_deadline(world: World) -> None:
    """As soon as the pod runs, or has gone."""
    while world.pods.get(("default", "p"), {"status": {}})["status"].get("phase") == "Pending":
        await anyio.sleep(0.5)
    if world.pods:
        await world.client().patch_pod("default", "p", {"spec": {"activeDeadlineSeconds": 1}})


async def nothing(_: World) -> None:
    """The pod lives as the world planned it."""


async def release_at_last(world: World) -> None:
    await anyio.sleep(LIFE_S)
    world.release("p", HOLD)


def exit_codes_of(pod: dict[str, Any]) -> list[int]:
    return [each["state"]["terminated"]["exitCode"] for each in pod["status"]["containerStatuses"]]


@pytest.mark.parametrize("seed", range(100))
def test_a_lowered_deadline_ends_the_pod_or_it_had_ended(seed: int):
    """What the kubelet writes at last is the deadline, and the container's own end."""
    world = play(seed, lower_the_deadline)
    if Category.CANCELLED not in world.truth["uid-1"].categories:
        return  # it ended as planned, before its deadline
    pod, own = world.pods["default", "p"], world.truth["uid-1"].exit_code
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert exit_codes_of(pod) == [143 if own is None else own]


@pytest.mark.parametrize("seed", range(100))
def test_a_held_pod_stays_whatever_becomes_of_it(seed: int):
    """No event says that it is gone, and it has ended or waits to be released."""
    world = play(seed, nothing, HOLD)
    assert "DELETED" not in {change.kind for change in world.history}
    pod = world.pods["default", "p"]
    assert pod["status"]["phase"] in ENDED or "deletionTimestamp" in pod["metadata"]


@pytest.mark.parametrize("seed", range(100))
def test_a_held_pod_that_was_deleted_goes_when_it_is_released(seed: int):
    """One that was not deleted stays."""
    world = play(seed, release_at_last, HOLD)
    was_deleted = any("deletionTimestamp" in change.obj["metadata"] for change in world.history)
    assert (("default", "p") not in world.pods) is was_deleted
