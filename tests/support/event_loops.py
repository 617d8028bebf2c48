"""On which event loop the tests marked ``anyio`` run.

A module or a ``conftest.py`` chooses by ``anyio_backend = virtual_time``. Without a choice each test runs on both
loops, in real time.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing
from tests.support.virtual_asyncio import VirtualTimeLoop

__all__ = ["asyncio_only", "both_in_virtual_time", "both_loops", "virtual_time"]

Backend = tuple[str, dict[str, Any]]


def _virtual_trio() -> Backend:
    """Return trio with a clock that jumps to the next deadline as soon as all tasks wait."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(params=["asyncio", "trio"])
def both_loops(request: pytest.FixtureRequest) -> str:
    """Each test runs on both event loops, in real time."""
    backend: str = request.param
    return backend


@pytest.fixture
def asyncio_only() -> str:
    """For tests whose subject is the same on both loops, and which cost seconds."""
    return "asyncio"


@pytest.fixture
def virtual_time() -> Backend:
    """No test waits: what takes minutes is over at once."""
    return _virtual_trio()


@pytest.fixture(params=["asyncio", "trio"])
def both_in_virtual_time(request: pytest.FixtureRequest) -> Backend:
    """Each test runs on both loops, and none waits."""
    return ("asyncio", {"loop_factory": VirtualTimeLoop}) if request.param == "asyncio" else _virtual_trio()
