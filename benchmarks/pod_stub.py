"""An API server in a separate process, for ``light.py`` and ``whole_walk.py``: plain HTTP on loopback, asyncio alone.

Its pods are as large as real ones (about 6 KB, with managedFields and the defaults of a server). A pod that is created
is scheduled, started and runs (four events), and succeeds (a fifth) if that is asked for; it ends when it is deleted.
Leases are kept; all else is 404.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCH = "2026-01-01T10:00:00Z"
PODS = "/api/v1/namespaces/default/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
STAGES_S = 0.05
"""Seconds between two stages of the pods that have been created meanwhile."""


@contextmanager
def started(*, ends: bool = False) -> Iterator[str]:
    """Start the server and give its URL; the end of the context ends it.

    Args:
        ends: Whether pods succeed; else they run until they are deleted.
    """
    command = [sys.executable, __file__, *(["ends"] if ends else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def write_kubeconfig(path: Path, url: str) -> Path:
    """Write a kubeconfig; JSON is YAML too."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stub", "cluster": {"server": url}}],
        "users": [{"name": "stub", "user": {"token": "benchmark"}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
        "current-context": "stub",
    }
    path.write_text(json.dumps(content))
    return path


def _managed_fields() -> list[dict[str, Any]]:
    """What a server notes about two writers: 3 KB of names, as of a pod of one container."""
    owned = {f"f:field-{number}": {} for number in range(40)}
    return [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "time": EPOCH,
            "fieldsV1": {"f:spec": owned},
        }
        for manager in ("podrunner", "kubelet")
    ]


_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def _status(stage: int, container: str) -> dict[str, Any]:
    """The status of a pod that is pending (0), scheduled (1), being started (2), running (3), and has succeeded (4)."""
    if stage == 0:
        return {"phase": "Pending", "qosClass": "BestEffort"}
    conditions = [{"type": name, "status": "True", "lastTransitionTime": EPOCH} for name in _CONDITIONS]
    if stage == 1:
        return {"phase": "Pending", "conditions": conditions[-1:], "qosClass": "BestEffort"}
    running = stage == 3
    states: list[dict[str, Any]] = [
        {"waiting": {"reason": "ContainerCreating"}},
        {"running": {"startedAt": EPOCH}},
        {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": EPOCH, "finishedAt": EPOCH}},
    ]
    state = states[stage - 2]
    main = {"name": container, "ready": running, "started": running, "restartCount": 0, "state": state}
    return {
        "phase": ("Pending", "Running", "Succeeded")[stage - 2],
        "qosClass": "BestEffort",
        "conditions": conditions,
        "hostIP": "10.0.0.1",
        "podIP": "10.244.1.17",
        "startTime": EPOCH,
        "containerStatuses": [main | {"lastState": {}}],
    }


class Server:
    """The part of the API that a runner uses."""

    def __init__(self, *, last_stage: int) -> None:
        self._last_stage = last_stage
        self._versions = itertools.count(1000)
        self._pods: dict[str, dict[str, Any]] = {}
        self._leases: dict[str, dict[str, Any]] = {}
        self._watches: set[asyncio.StreamWriter] = set()
        self._young: list[tuple[dict[str, Any], int]] = []

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        while True:
            await asyncio.sleep(STAGES_S)
            await self._advance()

    async def _advance(self) -> None:
        """Put each young pod into its next stage."""
        young, self._young = self._young, []
        for pod, stage in young:
            if pod["metadata"]["name"] not in self._pods:
                continue
            pod["spec"]["nodeName"] = "node-1"
            pod["status"] = _status(stage, pod["spec"]["containers"][0]["name"])
            self._emit("MODIFIED", pod)
            if stage < self._last_stage:
                self._young.append((pod, stage + 1))
        for writer in self._watches:
            await writer.drain()

    def _emit(self, kind: str, pod: dict[str, Any]) -> None:
        pod["metadata"]["resourceVersion"] = str(next(self._versions))
        line = json.dumps({"type": kind, "object": pod}).encode() + b"\n"
        for writer in self._watches:
            writer.write(_chunk(line))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
                body = await reader.readexactly(int(length or 0))
                url = urlsplit(target)
                query = parse_qs(url.query)
                if method == "GET" and "watch" in query:
                    self._watch(writer, initial="sendInitialEvents" in query)
                else:
                    writer.write(_answer(*self._handle(method, url.path, json.loads(body) if body else {})))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed the connection
        finally:
            self._watches.discard(writer)
            writer.close()

    def _watch(self, writer: asyncio.StreamWriter, *, initial: bool) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        if initial:
            for pod in self._pods.values():
                writer.write(_chunk(json.dumps({"type": "ADDED", "object": pod}).encode() + b"\n"))
            meta = {
                "resourceVersion": str(next(self._versions)),
                "annotations": {"k8s.io/initial-events-end": "true"},
            }
            bookmark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": meta}}
            writer.write(_chunk(json.dumps(bookmark).encode() + b"\n"))
        self._watches.add(writer)

    def _handle(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        kind, _, name = path.rpartition("/")
        if method == "POST" and path == PODS:
            return 201, self._create(body)
        if path in (PODS, LEASES):
            items = list((self._pods if path == PODS else self._leases).values())
            return 200, {"kind": "List", "metadata": {"resourceVersion": "1000"}, "items": items} if (
                method == "GET"
            ) else self._keep(body)
        if kind == LEASES and method == "PUT":
            return 200, self._keep(body)
        known = (self._pods if kind == PODS else self._leases).get(name)
        if known is None:
            return 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        if method == "DELETE":
            self._delete(kind, name)
        return 200, known

    def _keep(self, lease: dict[str, Any]) -> dict[str, Any]:
        lease["metadata"]["resourceVersion"] = str(next(self._versions))
        lease["metadata"].setdefault("uid", str(uuid.uuid4()))
        self._leases[lease["metadata"]["name"]] = lease
        return lease

    def _create(self, pod: dict[str, Any]) -> dict[str, Any]:
        container = pod["spec"]["containers"][0]["name"]
        meta = {"namespace": "default", "uid": str(uuid.uuid4()), "creationTimestamp": EPOCH}
        pod["metadata"] = pod["metadata"] | meta | {"managedFields": _managed_fields(), "generation": 1}
        pod["status"] = _status(0, container)
        self._pods[pod["metadata"]["name"]] = pod
        self._emit("ADDED", pod)
        self._young.append((pod, 1))
        return pod

    def _delete(self, kind: str, name: str) -> None:
        if kind == LEASES:
            del self._leases[name]
            return
        pod = self._pods.pop(name)
        # In two writes, as the API server does it.
        pod["metadata"] |= {"deletionTimestamp": EPOCH, "deletionGracePeriodSeconds": 0}
        self._emit("MODIFIED", pod)
        self._emit("DELETED", pod)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _answer(status: int, document: dict[str, Any]) -> bytes:
    body = json.dumps(document).encode()
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


if __name__ == "__main__":
    asyncio.run(Server(last_stage=4 if sys.argv[1:] == ["ends"] else 3).serve())
