"""A reflector at work on a server in memory, and what it reported."""

from __future__ import annotations

from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
from podrunner.config import WatchSettings
from podrunner.watch import Kind, Observation, Reflector
from tests.support.fake_server import FakeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

SELECTOR = "app=x"


class Watched:
    """What a test sees of a reflector."""

    def __init__(self, server: FakeServer, *, accept: Callable[..., bool] | None, **settings: Any) -> None:
        self.server = server
        self.reported: list[Observation] = []
        self.broken_sink = 0
        self.reflector = Reflector(
            server.client(),
            namespace="default",
            label_selector=SELECTOR,
            settings=WatchSettings(**{"streaming_lists": "off", **settings}),
            random=Random(7),
            sink=self._sink,
            accept=accept,
        )

    def _sink(self, batch: Sequence[Observation]) -> None:
        if self.broken_sink:
            self.broken_sink -= 1
            raise RuntimeError("a receiver with a bug")
        self.reported.extend(batch)

    def of(self, *kinds: Kind) -> list[str]:
        """Name the pods of the observations of some kinds, in order."""
        return [observation.pod.metadata.name for observation in self.reported if observation.kind in kinds]

    @property
    def truth(self) -> dict[str, str]:
        """What the server has: UID to version."""
        found = (
            pod["metadata"]
            for pod in self.server.pods.values()
            if pod["metadata"]["labels"].get("app") == "x"
        )
        return {meta["uid"]: meta["resourceVersion"] for meta in found}

    @property
    def known(self) -> dict[str, str]:
        """What the store has."""
        return {pod.metadata.uid: pod.metadata.resource_version for pod in self.reflector.store}


@asynccontextmanager
async def watching(
    server: FakeServer, *, accept: Callable[..., bool] | None = None, **settings: Any
) -> AsyncIterator[Watched]:
    """Run a reflector beside the test, in step from the beginning."""
    watched = Watched(server, accept=accept, **settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watched.reflector.run)
        await watched.reflector.wait_synced()
        await anyio.sleep(0.01)
        yield watched
        tasks.cancel_scope.cancel()


async def soon() -> None:
    """Let everything happen that is about to."""
    await anyio.sleep(0.01)
