"""The runner is tested on asyncio in real time, and on trio in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing
from tests.unit.runner.harness import Cluster


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "asyncio":
        return "asyncio", {}
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()
