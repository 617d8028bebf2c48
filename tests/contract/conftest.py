"""The cluster that the contract tests run against.

The same files drive LocalCluster (the default) and a real Kubernetes: set ``PODRUNNER_TEST_KUBECONFIG`` to the
kubeconfig of a cluster that may be used for tests.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from podrunner import RunnerConfig
from podrunner.local import LocalCluster

IMAGE = os.environ.get("PODRUNNER_TEST_IMAGE", "localhost/pyhost:1")
"""An image with ``python3`` and ``sh``; LocalCluster runs any name with this machine's programs."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster under test: how to reach it, and whether it is the embedded one."""

    kubeconfig: Path
    url: str
    token: str
    local: LocalCluster | None
    image: str = IMAGE

    @property
    def is_local(self) -> bool:
        return self.local is not None


def _credentials(kubeconfig: Path) -> tuple[str, str]:
    document = yaml.safe_load(kubeconfig.read_text())
    return document["clusters"][0]["cluster"]["server"], document["users"][0]["user"].get("token", "")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for the whole run."""
    if given := os.environ.get("PODRUNNER_TEST_KUBECONFIG"):
        path = Path(given)
        yield Cluster(path, *_credentials(path), local=None)
        return
    with LocalCluster.blocking(tmp_path_factory.mktemp("cluster")) as local:
        yield Cluster(local.kubeconfig, local.url, local.token, local=local)


@contextmanager
def fresh_namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of its own, removed with all that is in it."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    headers = {"Authorization": f"Bearer {cluster.token}"}
    with httpx.Client(base_url=cluster.url, headers=headers, verify=False, trust_env=False) as http:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        http.post("/api/v1/namespaces", json=body).raise_for_status()
        try:
            yield name
        finally:
            http.delete(f"/api/v1/namespaces/{name}").raise_for_status()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace for one test."""
    with fresh_namespace(cluster) as name:
        yield name


@pytest.fixture
def config(cluster: Cluster, namespace: str) -> RunnerConfig:
    """A configuration that points at the cluster and the fresh namespace."""
    return RunnerConfig(
        cluster="kubeconfig", kubeconfig=cluster.kubeconfig, namespace=namespace, image=cluster.image
    )
