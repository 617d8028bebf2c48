"""The same watch on asyncio, in real time: only that it runs there."""

from __future__ import annotations

import anyio
import pytest
from podrunner.watch import Kind
from tests.support.event_loops import asyncio_only
from tests.support.fake_server import FakeServer
from tests.unit.watch.harness import watching

pytestmark = pytest.mark.anyio


anyio_backend = asyncio_only


@pytest.mark.parametrize("streaming", ["off", "auto"])
async def test_it_runs_on_asyncio(streaming: str):
    server = FakeServer()
    server.put("a")
    async with watching(
        server, streaming_lists=streaming, inactivity_s=0.05, backoff_initial_s=0.01, backoff_max_s=0.02
    ) as watched:
        server.muted = True
        server.phase("a", "Running")
        server.muted = False
        with anyio.fail_after(30):
            while watched.known != watched.truth:  # the harness has nothing to wait on
                await anyio.sleep(0.01)
        assert watched.of(Kind.MODIFIED) == ["a"]
