"""Measures the watch: CPU per event, bytes held per pod, and a relist. A stub transport supplies the bytes.

An event of 6 KB, as a real one with managedFields and a defaulted specification; decoding is part of the cost, HTTP is
not. The fastest of several rounds counts, since noise only adds.
"""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
from podrunner.config import WatchSettings
from podrunner.kube import KubeClient, Request, Response, RetryAfterGate
from podrunner.watch import Reflector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROUNDS = 3
EVENTS = 20_000
BATCH = 64 * 1024
JSON = {"content-type": "application/json"}


def pod(number: int, version: int, phase: str = "Running") -> dict[str, Any]:
    """Return a pod as an API server sends it."""
    name = f"job-{number:06d}-0123456789abcdef0123456789abcdef"
    fields = {f"f:field{i}": {} for i in range(110)}
    env = [{"name": f"VARIABLE_{i}", "value": "x" * 40} for i in range(12)]
    state = {"running": {"startedAt": "2026-01-01T00:00:05Z"}}
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:05Z"}
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"podrunner.io/owner": "me", "app.kubernetes.io/managed-by": "podrunner"},
            "annotations": {
                "podrunner.io/owner": "me",
                "podrunner.io/key": json.dumps({"dag_id": "d", "task_id": str(number)}),
                "podrunner.io/attempt": "1",
            },
            "managedFields": [{"manager": "m", "operation": "Update", "fieldsV1": {"f:spec": fields}}] * 2,
        },
        "spec": {
            "containers": [{"name": "base", "image": "busybox", "command": ["true"], "env": env}],
            "restartPolicy": "Never",
            "nodeName": f"node-{number % 20}",
        },
        "status": {
            "phase": phase,
            "conditions": conditions,
            "hostIP": "10.0.0.1",
            "podIP": "10.1.2.3",
            "startTime": "2026-01-01T00:00:01Z",
            "containerStatuses": [
                {
                    "name": "base",
                    "ready": True,
                    "restartCount": 0,
                    "state": state,
                    "image": "busybox",
                    "imageID": "docker.io/library/busybox@sha256:0123456789abcdef",
                    "containerID": "containerd://0123456789abcdef",
                }
            ],
        },
    }


def page_of(pods: int) -> bytes:
    listed = [pod(number, number + 1) for number in range(pods)]
    meta = {"resourceVersion": str(pods + 1)}
    return json.dumps({"kind": "PodList", "metadata": meta, "items": listed}, separators=(",", ":")).encode()


def events_of(pods: int) -> list[bytes]:
    """Return batches of events as the network delivers them: each of a known pod, with a newer version."""
    lines = [
        json.dumps(
            {"type": "MODIFIED", "object": pod(n % pods, pods + 2 + n)}, separators=(",", ":")
        ).encode()
        for n in range(EVENTS)
    ]
    data = b"\n".join(lines) + b"\n"
    return [data[at : at + BATCH] for at in range(0, len(data), BATCH)]


class Stub:
    """A transport with one list, then one watch, whose batches come as fast as they are read."""

    def __init__(self, page: bytes, batches: list[bytes]) -> None:
        self.page = page
        self.batches = batches
        self.lists = 0
        self.began_s = 0.0
        self.over = anyio.Event()

    async def request(self, _request: Request) -> Response:
        self.lists += 1
        return Response(200, JSON, self.page)

    @asynccontextmanager
    async def stream(self, _request: Request) -> AsyncIterator[Stream]:
        self.began_s = time.process_time()
        yield Stream(self)

    def upgrade(self, request: Request, subprotocols: object) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


class Stream:
    status = 200
    headers = JSON

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._remaining = iter(stub.batches)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        batch = next(self._remaining, None)
        if batch is None:
            self._stub.over.set()
            await anyio.sleep_forever()
        return batch or b""


async def watched(stub: Stub, then: Callable[[Reflector], None] = lambda _: None) -> float:
    """Run a reflector until the stub has no more batches; return the CPU seconds of the watch."""
    reflector = Reflector(
        KubeClient(stub, timeout_s=30, gate=RetryAfterGate()),
        namespace="default",
        label_selector="podrunner.io/owner=me",
        settings=WatchSettings(streaming_lists="off", page_size=10_000),
        random=Random(1),
        sink=lambda _: None,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reflector.run)
        await stub.over.wait()
        spent_s = time.process_time() - stub.began_s
        then(reflector)
        tasks.cancel_scope.cancel()
    return spent_s


def events(pods: int) -> None:
    page, batches = page_of(pods), events_of(pods)
    size = sum(map(len, batches)) / EVENTS

    async def once() -> float:
        return await watched(Stub(page, batches))

    best_s = min(anyio.run(once) for _ in range(ROUNDS))
    print(
        f"  {pods:7,} pods: {best_s / EVENTS * 1e6:6.1f} µs per event of {size / 1e3:.1f} KB, "
        f"{EVENTS / best_s:9,.0f} events/s per core"
    )


def held(pods: int) -> None:
    """Print the bytes per pod after the list was read and its JSON released."""
    gc.collect()

    async def once() -> int:
        stub, measured = Stub(page_of(pods), []), []

        def measure(reflector: Reflector) -> None:
            stub.page = b""
            gc.collect()
            measured.append(tracemalloc.get_traced_memory()[0] - before)
            assert len(reflector.store) == pods

        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await watched(stub, measure)
        tracemalloc.stop()
        return measured[0]

    print(f"  {pods:7,} pods: {anyio.run(once) / pods:6.0f} bytes held per pod")


def relist(pods: int) -> None:
    page = page_of(pods)

    async def once() -> float:
        began_s = time.process_time()
        await watched(Stub(page, []))
        return time.process_time() - began_s

    best_s = min(anyio.run(once) for _ in range(ROUNDS))
    print(f"  {pods:7,} pods in {len(page) / 1e6:.0f} MB of JSON: {best_s * 1e3:.0f} ms CPU")


def main() -> None:
    print("watch event to updated store")
    for pods in (1_000, 10_000, 100_000):
        events(pods)
    print("memory")
    for pods in (10_000, 100_000):
        held(pods)
    print("list read")
    relist(10_000)


if __name__ == "__main__":
    main()
