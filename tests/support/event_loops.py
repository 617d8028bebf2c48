"""On which event loop the tests marked ``anyio`` run.

A module or a ``conftest.py`` chooses by ``anyio_backend = virtual_time``. Without a choice each test runs on both
loops, in real time. A test that is no coroutine (hypothesis, a world of a seed) calls ``run_in_virtual_time``.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio.testing
from tests.support.virtual_asyncio import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = [
    "LOOPS",
    "asyncio_only",
    "both_in_virtual_time",
    "both_loops",
    "machine_stands_still",
    "run_in_virtual_time",
    "virtual_time",
]

Backend = tuple[str, dict[str, Any]]

LOOPS = ("asyncio", "trio")


def _virtual_trio() -> Backend:
    """Return trio with a clock that jumps to the next deadline as soon as all tasks wait."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def _virtual_asyncio() -> Backend:
    """Return asyncio with the same."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.fixture(params=LOOPS)
def both_loops(request: pytest.FixtureRequest) -> str:
    """Each test runs on both event loops, in real time."""
    backend: str = request.param
    return backend


@pytest.fixture
def asyncio_only() -> str:
    """For tests whose subject is the same on both loops, and which cost seconds."""
    return "asyncio"


@contextmanager
def machine_stands_still() -> Iterator[None]:
    """Let Leases go by the loop's clock alone: by the machine's, they are lost while the process is off the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        stopped = SimpleNamespace(monotonic=lambda: 1_000_000.0, time=lambda: 1_000_000.0)
        patch.setattr("podrunner.ownership.leases.time", stopped)
        yield


@pytest.fixture
def virtual_time() -> Iterator[Backend]:
    """No test waits: what takes minutes is over at once."""
    with machine_stands_still():
        yield _virtual_trio()


@pytest.fixture(params=LOOPS)
def both_in_virtual_time(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each test runs on both loops, and none waits."""
    with machine_stands_still():
        yield _virtual_asyncio() if request.param == "asyncio" else _virtual_trio()


def run_in_virtual_time(function: Callable[..., Awaitable[Any]], *arguments: Any, loop: str = "trio") -> Any:
    """Run a function on a loop of its own, and return what it returns.

    Before 4.14 ``anyio.run`` gave trio none of the ``backend_options``, and so no clock: trio is asked itself.
    """
    with machine_stands_still():
        if loop == "trio":
            _, options = _virtual_trio()
            return trio.run(function, *arguments, **options)
        backend, options = _virtual_asyncio()
        return anyio.run(function, *arguments, backend=backend, backend_options=options)
