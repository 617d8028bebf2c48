"""Fixtures of the tests that only a real Kubernetes can pass: without one, all of them are skipped.

``cluster``, ``namespace``, ``kubeconfig`` and ``config`` are those of the contract tests. ``node`` is the control
over the daemons of our own node (``up.py``); tests that use it are skipped on any other cluster.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest
from tests.support.event_loops import asyncio_only


def _load(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_HERE = Path(__file__).parent
_shared = _load("podrunner_contract_fixtures", _HERE.parent / "contract" / "conftest.py")
cluster = _shared.cluster
namespace = _shared.namespace
kubeconfig = _shared.kubeconfig
config = _shared.config
Control = _load("podrunner_node_control", _HERE / "control.py").Control


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder without a real cluster; run the tests that disturb the node last."""
    if not os.environ.get("PODRUNNER_TEST_KUBECONFIG"):
        why = pytest.mark.skip(reason="needs a real Kubernetes: nox -s cluster")
        for item in items:
            if item.path.is_relative_to(_HERE):
                item.add_marker(why)
    items.sort(key=lambda item: item.get_closest_marker("disturbing") is not None)


anyio_backend = asyncio_only  # the contract tests cover trio


@pytest.fixture
def node():
    """Return the control over our own node's daemons; after the test all of them run and work again."""
    folder = os.environ.get("PODRUNNER_TEST_NODE")
    if not folder:
        pytest.skip("stops daemons: needs the node of tests/cluster/up.py")
    control = Control(Path(folder))
    running = control.running()
    yield control
    for name in running:
        if name not in control.running():
            control.start(name)
    control.settle()


@pytest.fixture
def kwok():
    """Skip the test without kwok: a user's own programs (``KUBEBUILDER_ASSETS``) need not include it."""
    if not shutil.which("kwok"):
        pytest.skip("simulated nodes need kwok")


@pytest.fixture
def admin(cluster):
    """Return an HTTP client with the administrator's rights."""
    with cluster.http() as http:
        yield http


@pytest.fixture
def workload():
    """Return a function that makes workloads with unique keys: ``workload("exit 3", memory="64Mi")``."""
    from podrunner import Workload

    numbers = iter(range(1_000_000))

    def make(script: str, **settings) -> Workload:
        return Workload(key={"test": str(next(numbers))}, command=["sh", "-c", script], **settings)

    return make


@pytest.fixture
def outcome_of(config):
    """Return a function that runs one workload with changed settings and returns its outcome."""
    from podrunner import AsyncPodRunner

    async def run(workload, **changes):
        async with AsyncPodRunner(config.with_changes(**changes)) as runner:
            return await (await runner.launch(workload)).wait(240)

    return run


@pytest.fixture
def pods(admin, namespace):
    """Return a function that lists all pods of the namespace."""

    def listed() -> list[dict]:
        return admin.get(f"/api/v1/namespaces/{namespace}/pods").raise_for_status().json()["items"]

    return listed


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "disturbing: stops daemons of the node; runs after all others")
