"""The fixtures of the API contract: a stock HTTP client in its own namespace."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

Json = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


class Api:
    """Sends requests below one namespace and returns the raw responses."""

    def __init__(self, http: httpx.Client, namespace: str) -> None:
        self.http = http
        self.namespace = namespace

    def path(self, resource: str, name: str = "", part: str = "") -> str:
        group = {"leases": "/apis/coordination.k8s.io/v1", "roles": "/apis/rbac.authorization.k8s.io/v1"}
        root = f"{group.get(resource, '/api/v1')}/namespaces/{self.namespace}/{resource}"
        return "/".join(each for each in (root, name, part) if each)

    def create(self, resource: str, body: Any, **params: Any) -> httpx.Response:
        return self.http.post(self.path(resource), json=body, params=params)

    def made(self, resource: str, body: Any, **params: Any) -> Json:
        return self.ok(self.create(resource, body, **params))

    def get(
        self,
        resource: str,
        name: str = "",
        part: str = "",
        *,
        accept: str = "application/json",
        **params: Any,
    ) -> httpx.Response:
        return self.http.get(self.path(resource, name, part), params=params, headers={"Accept": accept})

    def listed(self, resource: str, **params: Any) -> Json:
        return self.ok(self.get(resource, **params))

    def replace(self, resource: str, body: Json, part: str = "", **params: Any) -> httpx.Response:
        return self.http.put(self.path(resource, body["metadata"]["name"], part), json=body, params=params)

    def patch(
        self, resource: str, name: str, body: Any, *, media: str = MERGE, part: str = "", **params: Any
    ) -> httpx.Response:
        headers = {"Content-Type": media}
        return self.http.patch(
            self.path(resource, name, part), content=json.dumps(body), headers=headers, params=params
        )

    def delete(
        self, resource: str, name: str = "", body: Json | None = None, **params: Any
    ) -> httpx.Response:
        return self.http.request("DELETE", self.path(resource, name), json=body, params=params)

    @staticmethod
    def ok(response: httpx.Response) -> Json:
        assert response.is_success, response.text
        decoded: Json = response.json()
        return decoded

    @contextmanager
    def watch(self, resource: str, *, accept: str = "application/json", **params: Any) -> Iterator[Events]:
        """Yield the events of a watch; the end of the block ends the watch."""
        params = {"watch": "true", "timeoutSeconds": 50, **params}
        headers = {"Accept": accept}
        with self.http.stream(
            "GET", self.path(resource), params=params, headers=headers, timeout=60
        ) as response:
            assert response.status_code == 200, response.read()
            yield Events(response)


class Events:
    """The events of one watch, one by one."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self) -> tuple[str, Json]:
        event = json.loads(next(self._lines))
        return event["type"], event["object"]

    def until(self, kind: str) -> list[tuple[str, Json]]:
        """All events up to the first of a kind."""
        found: list[tuple[str, Json]] = []
        while not found or found[-1][0] != kind:
            found.append(self.next())
        return found

    def rest(self) -> list[tuple[str, Json]]:
        """All events until the server ends the watch."""
        return [(event["type"], event["object"]) for event in map(json.loads, self._lines)]


@pytest.fixture
def api(cluster, namespace) -> Iterator[Api]:
    """Return a client of the API for a fresh namespace."""
    with cluster.http() as http:
        yield Api(http, namespace)


@pytest.fixture
def later():
    """Return a function that calls another function after a short delay, in a thread."""
    timers: list[threading.Timer] = []

    def start(function, *args, **options):
        timers.append(threading.Timer(0.2, function, args, options))
        timers[-1].start()

    yield start
    for timer in timers:
        timer.join()


def gated_pod(name: str = "p", **spec: Any) -> Json:
    """A pod that stays Pending, on any cluster: a scheduling gate holds it."""
    containers = [{"name": "main", "image": "localhost/none:1"}]
    body = {"schedulingGates": [{"name": "tests.podrunner.io/held"}], "containers": containers, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


def config_map(name: str = "c", **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture(name="gated_pod")
def _gated_pod():
    return gated_pod


@pytest.fixture(name="config_map")
def _config_map():
    return config_map
