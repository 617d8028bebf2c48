"""The cluster that the contract tests run against.

The same files drive LocalCluster (the default) and a real Kubernetes: set ``PODRUNNER_TEST_KUBECONFIG`` to the
kubeconfig of a cluster that may be used for tests. There podrunner itself gets no more than the rights of
``examples/rbac.yaml``, by a service account in each test's own namespace.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx
import pytest
import yaml
from podrunner import RunnerConfig
from podrunner.local import LocalCluster

IMAGE = os.environ.get("PODRUNNER_TEST_IMAGE", "localhost/pyhost:1")
"""An image with ``python3`` and ``sh``; LocalCluster runs any name with this machine's programs."""

USABLE_WITHIN_S = 90
"""Kubernetes' controllers wait for up to 60 s before they list again when their watches were interrupted several times:
30 s, with a jitter of as much again (``NewReflectorWithOptions`` in client-go's ``tools/cache/reflector.go``)."""

RBAC = Path(__file__).parents[2] / "examples" / "rbac.yaml"


@dataclass(frozen=True)
class Cluster:
    """A cluster under test: its address, the administrator's kubeconfig, and whether it is the embedded one."""

    kubeconfig: Path
    url: str
    token: str
    local: LocalCluster | None
    image: str = IMAGE

    @property
    def is_local(self) -> bool:
        return self.local is not None

    @cached_property
    def minor(self) -> int:
        """Return the server's minor version, for messages that differ between versions: 34 for a LocalCluster."""
        with self.http() as http:
            minor: str = http.get("/version").raise_for_status().json()["minor"]
        return int(minor.rstrip("+"))

    def http(self) -> httpx.Client:
        """Return a client with the administrator's rights, for requests that podrunner itself never sends."""
        # Of the gzip members that Kubernetes 1.37 sends for a streaming list httpx reads only the first.
        headers = {"Authorization": f"Bearer {self.token}", "Accept-Encoding": "identity"}
        return httpx.Client(base_url=self.url, headers=headers, verify=False, trust_env=False, timeout=30)


def _credentials(kubeconfig: Path) -> tuple[str, str]:
    document = yaml.safe_load(kubeconfig.read_text())
    return document["clusters"][0]["cluster"]["server"], document["users"][0]["user"].get("token", "")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster of the whole run."""
    if given := os.environ.get("PODRUNNER_TEST_KUBECONFIG"):
        path = Path(given)
        yield Cluster(path, *_credentials(path), local=None)
        return
    with LocalCluster.blocking(tmp_path_factory.mktemp("cluster")) as local:
        yield Cluster(local.kubeconfig, local.url, local.token, local=local)


@contextmanager
def fresh_namespace(cluster: Cluster) -> Iterator[str]:
    """Create a namespace, and delete it with its content at the end."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    with cluster.http() as http:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        http.post("/api/v1/namespaces", json=body).raise_for_status()
        try:
            _until_usable(http, name)
            yield name
        finally:
            answer = http.delete(f"/api/v1/namespaces/{name}")
            if answer.status_code != 404:  # a test may have deleted it
                answer.raise_for_status()


def _until_usable(http: httpx.Client, namespace: str) -> None:
    """Wait for the default service account, without which pods are refused; after a server restart it takes a while."""
    deadline = time.monotonic() + USABLE_WITHIN_S
    while http.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default").status_code != 200:
        assert time.monotonic() < deadline, f"no default service account in {namespace}"
        time.sleep(0.02)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Return a fresh namespace for one test."""
    with fresh_namespace(cluster) as name:
        yield name


@pytest.fixture
def kubeconfig(cluster: Cluster, namespace: str, tmp_path: Path) -> Path:
    """Return podrunner's kubeconfig: on a real cluster with exactly the rights of the documentation."""
    if cluster.is_local:
        return cluster.kubeconfig
    with cluster.http() as http:
        _grant(http, namespace)
        _until_granted(http, namespace)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/podrunner/token"
        answer = http.post(path, json={"spec": {"expirationSeconds": 3600}}).raise_for_status()
    return _kubeconfig_for(cluster, answer.json()["status"]["token"], tmp_path / "podrunner.kubeconfig")


def _grant(http: httpx.Client, namespace: str) -> None:
    plurals = {"ServiceAccount": "serviceaccounts", "Role": "roles", "RoleBinding": "rolebindings"}
    for document in yaml.safe_load_all(RBAC.read_text().replace("airflow", namespace)):
        version = document["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        url = f"{root}/namespaces/{namespace}/{plurals[document['kind']]}"
        http.post(url, json=document).raise_for_status()


def _until_granted(http: httpx.Client, namespace: str) -> None:
    """Wait until the API server's authorizer, which follows roles by watches of its own, has read these."""
    user = f"system:serviceaccount:{namespace}:podrunner"
    wanted = {"namespace": namespace, "verb": "list", "resource": "pods"}
    body = {"spec": {"user": user, "resourceAttributes": wanted}}
    reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    deadline = time.monotonic() + USABLE_WITHIN_S
    while not http.post(reviews, json=body).raise_for_status().json()["status"]["allowed"]:
        assert time.monotonic() < deadline, f"podrunner has no rights in {namespace}"
        time.sleep(0.02)


def _kubeconfig_for(cluster: Cluster, token: str, path: Path) -> Path:
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["users"] = [{"name": document["users"][0]["name"], "user": {"token": token}}]
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return path


@pytest.fixture
def config(cluster: Cluster, kubeconfig: Path, namespace: str) -> RunnerConfig:
    """Return a configuration for the cluster and the fresh namespace."""
    return RunnerConfig(cluster="kubeconfig", kubeconfig=kubeconfig, namespace=namespace, image=cluster.image)
