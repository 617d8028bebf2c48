"""The runner is tested on asyncio in real time, and on trio in virtual time."""

from __future__ import annotations

import pytest
from tests.support.event_loops import both_in_virtual_time
from tests.unit.runner.harness import Cluster

anyio_backend = both_in_virtual_time


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()
