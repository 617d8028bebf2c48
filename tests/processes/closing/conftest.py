"""One LocalCluster for each test module, as a process of its own, and a fresh namespace in it for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.processes.delivery.campaign import Place, local_cluster


@pytest.fixture(scope="module")
def fresh_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Place]]:
    """Makes a fresh namespace."""
    with local_cluster(tmp_path_factory.mktemp("cluster")) as fresh:
        yield fresh


@pytest.fixture
def place(fresh_place: Callable[[], Place]) -> Place:
    """A fresh namespace."""
    return fresh_place()
