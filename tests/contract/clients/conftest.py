"""The fixtures of the client contract: Python clients of other projects, each in its own namespace."""

from __future__ import annotations

import gc
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TALKER = "trap 'exit 0' TERM; for i in 1 2 3; do echo line $i; sleep 0.1; done; while :; do sleep 0.1; done"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore warnings about connections that these clients do not close: the defect is in the clients."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:Unverified HTTPS request"))
            item.add_marker(
                pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported")
            )  # kr8s
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Collect the unclosed connections here, so that no other test reports them."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture(scope="module")
def place(cluster: Any) -> Iterator[str]:
    """Create a namespace that the tests of one client share."""
    name = f"client-{uuid.uuid4().hex[:8]}"
    with cluster.http() as http:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        http.post("/api/v1/namespaces", json=body).raise_for_status()
        try:
            yield name
        finally:
            http.delete(f"/api/v1/namespaces/{name}").raise_for_status()


@pytest.fixture
def talker(cluster: Any) -> dict[str, Any]:
    """Return a pod that prints three lines and then waits for SIGTERM."""
    container = {"name": "main", "image": cluster.image, "command": ["sh", "-c", TALKER]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "talker", "labels": {"app": "talker"}},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": [container]},
    }


@pytest.fixture
def lease() -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "owner"},
        "spec": {"holderIdentity": "first", "leaseDurationSeconds": 60},
    }
