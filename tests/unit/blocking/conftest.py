"""A blocking runner on the cluster in memory, which then lives on the runner's own event loop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from podrunner.blocking import PodRunner
from tests.unit.runner.harness import Cluster, configured


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Ctrl-C works here, even where the tests run in the background of a shell, which makes children ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def opened(cluster: Cluster) -> Callable[..., Any]:
    """Opens a blocking runner on the cluster."""

    @contextmanager
    def open_runner(*, on_exit: str = "cancel", **settings: Any) -> Iterator[PodRunner]:
        with PodRunner(configured(**settings), client=cluster.client(), on_exit=on_exit) as runner:
            runner.wait_synced()
            yield runner

    return open_runner


@pytest.fixture
def act() -> Callable[..., Any]:
    """Does something on the runner's event loop, where the cluster lives."""

    def do(runner: PodRunner, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return runner._bridge.run(function, *args, **kwargs)

    return do
