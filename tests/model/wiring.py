"""The code's own objects around the model's client: the engine of a runner, as it is wired, without its own tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
from msgspec.structs import replace
from podrunner.config import RunnerConfig
from podrunner.errors import OwnershipError
from podrunner.runner.engine import Engine
from podrunner.runner.event_queue import EventBus
from podrunner.runner.inputs import Input
from podrunner.runner.lifecycle import step
from podrunner.runner.resources import RunnerResources
from podrunner.runner.states import NotCreatedState, Rules
from podrunner.runner.tasks import SupervisedTasks
from podrunner.runner.tracked import TrackedPod
from tests.model.lives import Lives
from tests.model.records import NAME, NAMESPACE, NOW, WORKLOAD, PodObject, to_record
from tests.model.replay import Client, Procedure

__all__ = ["Wiring"]


class Wiring:
    """The procedures of the code, by the runner's name.

    Args:
        config: The runners' configuration.
    """

    def __init__(self, config: RunnerConfig) -> None:
        self.config = config
        self.rules = Rules("base", config)
        self.launch: Callable[[str], Procedure] = cache(self._launch)
        self.adopt: Callable[[str], Procedure] = cache(self._adopt)
        self.discard: Callable[[str, PodObject], Procedure] = cache(self._discard)
        self.job: Callable[..., Procedure] = cache(self._job)

    @asynccontextmanager
    async def _engine(self, client: Client, owner: str) -> AsyncIterator[tuple[Engine, _Inputs]]:
        """A runner's engine; it sends by the client, and its Lease is held while the client says so."""
        lease: Any = SimpleNamespace(is_held=lambda: client.is_held, confirm=_confirmed, doubt=lambda: None)
        resources = RunnerResources(
            owner=owner, bus=EventBus(100), random=Random(1), pod_hook=None, extra_sinks=None
        )
        async with anyio.create_task_group() as group:
            tasks = SupervisedTasks(group)
            client.close = tasks.cancel
            engine = Engine(client, lease, config=self.config, resources=resources, tasks=tasks)  # type: ignore[arg-type]
            engine.adoption._knows = lambda _: client.flag  # type: ignore[method-assign]
            inputs = _Inputs(engine)
            yield engine, inputs
            tasks.cancel()

    def _launch(self, owner: str) -> Procedure:
        """A submission, with its wait for an earlier owner, until there is a pod, or none will be.

        Its inputs, and whether a pod that appears from now on is unwanted.
        """

        async def launch(client: Client) -> tuple[tuple[Input, ...], bool]:
            async with self._engine(client, owner) as (engine, inputs):
                pod = engine.queue.submit(WORKLOAD)
                client.is_launching = lambda: engine._launcher.is_launching(pod.namespace, pod.name)
                client.cancel = lambda: engine.tasks.start_soon(engine.queue.stop, pod, name="cancel")
                while isinstance(pod.state, NotCreatedState):
                    await pod.changed()
                return tuple(inputs), bool(engine._launcher._unwanted)

        return Procedure(f"{owner}: launch", launch)

    def _adopt(self, owner: str) -> Procedure:
        """An adoption: the inputs of the pod that was won."""

        async def adopt(client: Client) -> tuple[Input, ...]:
            async with self._engine(client, owner) as (engine, inputs):
                with suppress(OwnershipError):  # the Lease is lost meanwhile
                    await engine.adoption.adopt()
                return tuple(inputs)

        return Procedure(f"{owner}: adopt", adopt)

    def _discard(self, owner: str, pod: PodObject) -> Procedure:
        """The end of a pod that appears after its launch was cancelled: its inputs if it has begun."""

        async def discard(client: Client) -> tuple[Input, ...]:
            async with self._engine(client, owner) as (engine, inputs):
                await engine._launcher.discard(to_record(pod))
                return tuple(inputs)

        return Procedure(f"{owner}: discard", discard)

    def _job(self, owner: str, effect: int, number: int, lives: Lives) -> Procedure:
        """What carries out an effect: the input that it ends with."""
        job: Any = lives.effect(effect)
        state = lives.state(number)

        async def perform(client: Client) -> Input | None:
            pod = TrackedPod(WORKLOAD.key, NAMESPACE, NAME, rules=self.rules)
            pod.move(state)
            async with self._engine(client, owner) as (engine, _):
                return await engine._supervisor._perform(pod, job)

        return Procedure(f"{owner}: {type(job).__name__}", perform)


async def _confirmed() -> None:
    """The model asks whether the Lease is held at each request."""


class _Inputs(list[Input]):
    """The inputs that an engine's pods are given. Their states follow; no effect is carried out."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._pods = engine.pods
        engine._supervisor.send = self._send  # type: ignore[method-assign]

    def _send(self, pod: TrackedPod, given: Input) -> None:
        timed = {"now_s": 0.0, "now": NOW}
        given = replace(given, **{name: timed[name] for name in given.__struct_fields__ if name in timed})
        self.append(given)
        self._pods.move(pod, step(pod.state, given).state)
