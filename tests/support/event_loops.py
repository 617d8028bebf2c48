"""On which event loop the tests marked ``anyio`` run.

A module or a ``conftest.py`` chooses by ``anyio_backend = virtual_time``. Without a choice each test runs on both
loops, in real time.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing

__all__ = ["asyncio_and_virtual_time", "asyncio_only", "both_loops", "virtual_time"]

Backend = tuple[str, dict[str, Any]]


def _virtual() -> Backend:
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
    return _virtual()


@pytest.fixture(params=["asyncio", "trio"])
def asyncio_and_virtual_time(request: pytest.FixtureRequest) -> Backend:
    """Each test runs twice: on asyncio in real time, on trio in virtual time."""
    return ("asyncio", {}) if request.param == "asyncio" else _virtual()
