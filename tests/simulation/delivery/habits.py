"""How one process of a scheduler behaves: drawn at its start, and fixed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Habits", "draw_habits"]

_ENDS = ["request", "request", "time", "step", "step", "cut", "drain", "cancel", "detach", "raises"]


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How a process behaves.

    Attributes:
        heartbeat_s: The longest time between two looks at the events.
        launches: Whether it waits for each pod to be made (``launch``); else it submits.
        reads: By ``poll``, by a ``subscription``, or also by waiting for each of its ``handles``.
        batch: How many events it reads at once at most.
        acknowledges: At ``once``, with the ``next`` heartbeat, or ``never``.
        by: What it acknowledges by: ``event`` or ``key``.
        fails: How often a subscription's reader fails between reading and storing, and begins anew.
        adopts_every_s: Seconds between two looks for the pods of others.
        cancels: Share of what it handed in that it cancels.
        grace_period_s: What these have to end; None: the pod's own.
        ends: How it ends. It is killed at a ``request``, in ``time``, or at a ``step`` between reading, storing and
            acknowledging; it is ``cut`` off; it closes by ``drain``, ``cancel`` or ``detach``; it ``raises``; or it
            ``lives`` until all is done.
        at: The number of the request or step; else the second.
        loses: Share of the answers that are lost.
    """

    heartbeat_s: float
    launches: bool
    reads: str
    batch: int | None
    acknowledges: str
    by: str
    fails: float
    adopts_every_s: float
    cancels: float
    grace_period_s: int | None
    ends: str
    at: float
    loses: float


def draw_habits(random: Random, *, lives: bool, finalizer: bool) -> Habits:
    """Draw how a process behaves.

    Args:
        random: The source.
        lives: Whether it lives until all is done, and so reads and acknowledges everything in the end.
        finalizer: Whether pods are held. Only then a grace period of its own costs no outcome: the pod is deleted.
    """
    ends = "lives" if lives else random.choice(_ENDS)
    return Habits(
        heartbeat_s=random.choice([0.1, 1, 6, 30]),
        launches=random.random() < 0.3,
        reads=random.choice(["poll", "poll", "subscription", "handles"]),
        batch=random.choice([None, None, 2]),
        acknowledges="once" if ends in {"lives", "drain"} else random.choice(["once", "next", "never"]),
        by=random.choice(["event", "key"]),
        fails=random.choice([0, 0.2]),
        adopts_every_s=random.uniform(2, 20),
        cancels=random.choice([0, 0.1]),
        grace_period_s=random.choice([None, 5]) if finalizer else None,
        ends=ends,
        at={"request": random.randint(1, 150), "step": random.randint(1, 40)}.get(
            ends, random.uniform(1, 90)
        ),
        loses=random.choice([0.0, 0.1] if lives else [0.0, 0.1, 0.3]),
    )
