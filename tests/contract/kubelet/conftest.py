"""The fixtures of the kubelet contract: pods by plain HTTP, so that the tests prove the cluster, not a client."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

PATIENCE_S = 50.0


class Pods:
    """Creates pods in one namespace and waits for their states."""

    def __init__(self, http: httpx.Client, namespace: str, image: str) -> None:
        self.http = http
        self.namespace = namespace
        self.image = image

    def path(self, resource: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/{resource}" + (f"/{name}" if name else "")

    def create(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object of any kind of the core group and return it."""
        answer = self.http.post(self.path(resource), json=body)
        answer.raise_for_status()
        return answer.json()

    def config_map(self, name: str, **data: str) -> None:
        self.create(
            "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        )

    def secret(self, name: str, **data: str) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.create(
            "secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}
        )

    def container(self, name: str, script: str, **fields: Any) -> dict[str, Any]:
        """Return a container that runs a shell script."""
        own = {
            "name": name,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script],
        }
        return {**own, **fields}

    def run(
        self, name: str, script: str, *, container: dict[str, Any] | None = None, **spec: Any
    ) -> dict[str, Any]:
        """Create a pod with the container ``main`` and return it."""
        full = {
            "containers": [self.container("main", script, **(container or {}))],
            "restartPolicy": "Never",
            **spec,
        }
        full.setdefault("terminationGracePeriodSeconds", 30)
        return self.create(
            "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": full}
        )

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the pod, None if it does not exist."""
        answer = self.http.get(self.path("pods", name))
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json()

    def until(self, name: str, rule: Callable[[Any], bool]) -> Any:
        """Wait until a rule holds for the pod (None if it does not exist) and return the pod."""
        deadline = time.monotonic() + PATIENCE_S
        while not rule(pod := self.get(name)):
            assert time.monotonic() < deadline, pod and pod["status"]
            time.sleep(0.05)
        return pod

    def phase(self, name: str, *phases: str) -> dict[str, Any]:
        """Wait for one of these phases and return the pod."""
        return self.until(name, lambda pod: pod is not None and pod["status"].get("phase") in phases)

    def end(self, name: str) -> dict[str, Any]:
        """Wait for the end of container ``main`` and return its terminated state."""
        pod = self.phase(name, "Succeeded", "Failed")
        return next(
            each["state"]["terminated"]
            for each in pod["status"]["containerStatuses"]
            if each["name"] == "main"
        )

    def waiting(self, name: str, *reasons: str) -> str:
        """Wait until container ``main`` waits for one of these reasons, and return the message."""

        def state(pod: Any) -> dict[str, Any]:
            statuses = pod["status"].get("containerStatuses") or [{"state": {}}]
            return statuses[0]["state"].get("waiting") or {}

        pod = self.until(name, lambda pod: pod is not None and state(pod).get("reason") in reasons)
        return state(pod).get("message", "")

    def log(self, name: str, **query: Any) -> str:
        answer = self.http.get(self.path("pods", name) + "/log", params=query)
        answer.raise_for_status()
        return answer.text

    def delete(self, name: str, **options: Any) -> None:
        self.http.request("DELETE", self.path("pods", name), json=options).raise_for_status()

    def events(self, name: str) -> list[tuple[str, str]]:
        """Return the reasons and messages of the events about a pod."""
        items = self.http.get(
            self.path("events"), params={"fieldSelector": f"involvedObject.name={name}"}
        ).json()["items"]
        return [(each["reason"], each["message"]) for each in items]


@pytest.fixture
def pods(cluster: Any, namespace: str) -> Iterator[Pods]:
    """Return a maker of pods in a fresh namespace."""
    headers = {"Authorization": f"Bearer {cluster.token}"} if cluster.token else {}
    with httpx.Client(
        base_url=cluster.url, headers=headers, verify=False, trust_env=False, timeout=60
    ) as http:
        yield Pods(http, namespace, cluster.image)
