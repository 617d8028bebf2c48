"""What goes wrong between schedulers and the server while they live; each fault is small, and passes."""

from __future__ import annotations

import anyio
from tests.simulation.delivery.world import World

__all__ = ["trouble"]

_EACH_S = 8.0
"""Seconds between two faults, on average."""
_LONG = 20
"""So many requests fail for longer than the time that one write to a pod has."""


async def trouble(world: World) -> None:
    """One fault after another, until it is cancelled."""
    while True:
        await anyio.sleep(world.random.expovariate(1 / _EACH_S))
        if world.random.random() < 0.5:
            _disturb_a_watch(world)
        else:
            _fail_requests(world)


def _disturb_a_watch(world: World) -> None:
    changes = world.random.randint(1, 20)
    disturbances = (
        world.break_watches,
        world.end_watches,
        world.restart,
        world.mute,
        lambda: world.replay(changes),
    )
    world.random.choice(disturbances)()


def _fail_requests(world: World) -> None:
    draw = world.random
    times, status = draw.randint(1, 4), draw.choice([500, 429, 503])
    match draw.randrange(6):
        case 0:
            world.fail("POST", lose_reply=True, times=times)
        case 1:
            world.fail(draw.choice(["PATCH", "DELETE"]), lose_reply=True, times=times)
        case 2:
            world.fail(draw.choice(["POST", "PATCH", "DELETE", "GET"]), status=status, times=times)
        case 3:
            world.fail("PATCH", status=status, times=_LONG)
        case 4:
            world.fail(draw.choice(["PATCH", "DELETE", "GET"]), delay_reply_s=draw.uniform(0, 3))
        case 5:
            world.fail("GET", "/leases", status=status, times=times)
