"""What a runner has before it is opened: handed to the engine. A record only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from podrunner.builder import PodHook
    from podrunner.logs import SinkFactory
    from podrunner.runner.event_queue import EventBus
    from podrunner.runner.handles import AsyncPod
    from podrunner.runner.tracked import TrackedPod

__all__ = ["RunnerResources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerResources:
    """What a runner has, whether it is open or not.

    Attributes:
        owner: The runner's name, which its pods bear.
        bus: Takes all events.
        random: Source of jitter.
        pod_hook: An embedder's hook, applied to each manifest before the create request; None: none.
        extra_sinks: Makes an embedder's own sinks for a pod; None: none.
        event_handle: Makes of a pod's handle what its events carry: the one of the face that callers see.
    """

    owner: str
    bus: EventBus
    random: Random
    pod_hook: PodHook | None
    extra_sinks: Callable[[TrackedPod], Sequence[SinkFactory]] | None
    event_handle: Callable[[AsyncPod], object] = lambda pod: pod
