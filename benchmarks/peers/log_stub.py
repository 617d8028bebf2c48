"""A log server in a separate process, for ``log_reading.py``: plain HTTP on loopback, for any pod.

The name of a namespace gives the logs of its pods: ``over-1000`` has pods that have ended and wrote 1,000 lines,
``open-1000`` pods that wrote as many and still run. A line has 99 bytes with its time stamp; they come in chunks of
32 KiB, as an API server copies them, which end within a line. Tokens are not checked: kubectl sends none without TLS.
It also answers the requests that clients send before: pods (create, list, watch), leases, versions, discovery.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

LINE_BYTES = 99
CHUNK_BYTES = 32 * 1024
TOKEN = "benchmark"


def write_kubeconfig(url: str, path: Path, namespace: str) -> Path:
    """Write a kubeconfig with this current namespace; JSON is YAML too."""
    context = {"cluster": "stub", "user": "stub", "namespace": namespace}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stub", "cluster": {"server": url}}],
        "users": [{"name": "stub", "user": {"token": TOKEN}}],
        "contexts": [{"name": "stub", "context": context}],
        "current-context": "stub",
    }
    path.write_text(json.dumps(content))
    return path


@contextmanager
def started() -> Iterator[str]:
    """Start the server, and give its address; the end of the context ends it."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _page() -> bytes:
    """Return a number of lines that whole chunks fill; the server sends it repeatedly."""
    line = b"2026-01-01T10:20:30.%09dZ " + b"x" * 67 + b"\n"
    return b"".join(line % number for number in range(CHUNK_BYTES))


class Server:
    """The part of the API that the clients use."""

    def __init__(self) -> None:
        self._page = _page()
        self._version = 1
        self._pods: dict[tuple[str, str], dict[str, Any]] = {}
        self._watches: list[tuple[str, asyncio.Queue[dict[str, Any]]]] = []

    def application(self) -> web.Application:
        from aiohttp import web

        app = web.Application()
        pods = "/api/v1/namespaces/{namespace}/pods"
        leases = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        resource = {
            "name": "pods",
            "singularName": "pod",
            "namespaced": True,
            "kind": "Pod",
            "shortNames": ["po"],
        }
        version = {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
        fixed = {
            "/version": version,
            "/version/": version,
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {
                "kind": "APIResourceList",
                "groupVersion": "v1",
                "resources": [resource | {"verbs": ["create", "get", "list", "watch"]}],
            },
        }
        no_leases = {"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "metadata": {}, "items": []}
        for path, answer in fixed.items():
            app.router.add_get(path, lambda _, answer=answer: _json(answer))
        app.router.add_get(pods, self.list_pods)
        app.router.add_post(pods, self.create_pod)
        app.router.add_get(pods + "/{name}", self.get_pod)
        app.router.add_patch(pods + "/{name}", self.get_pod)
        app.router.add_get(pods + "/{name}/log", self.log)
        app.router.add_get(leases + "/{name}", lambda _: _json({"kind": "Status", "code": 404}, status=404))
        app.router.add_get(leases, lambda _: _json(no_leases))
        app.router.add_post(leases, self.echo)
        app.router.add_put(leases + "/{name}", self.echo)
        app.router.add_delete(leases + "/{name}", lambda _: _json({"kind": "Status", "status": "Success"}))
        return app

    async def echo(self, request: web.Request) -> web.Response:
        sent = await request.json()
        sent["metadata"] |= {"uid": "0", "resourceVersion": "1"}
        return await _json(sent)

    async def create_pod(self, request: web.Request) -> web.Response:
        pod, namespace = await request.json(), request.match_info["namespace"]
        self._version += 1
        number = self._version
        pod["metadata"] |= {"namespace": namespace, "uid": f"uid-{number}", "resourceVersion": str(number)}
        pod["metadata"]["creationTimestamp"] = "2026-01-01T10:20:29Z"
        pod["status"] = _status(namespace, pod["spec"]["containers"][0]["name"])
        self._pods[namespace, pod["metadata"]["name"]] = pod
        for watched, queue in self._watches:
            if watched == namespace:
                queue.put_nowait(pod)
        return await _json(pod, status=201)

    async def get_pod(self, request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        metadata = {"namespace": namespace, "name": name, "uid": name, "resourceVersion": "1"}
        spec = {"containers": [{"name": "base", "image": "scripted"}]}
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec}
        return await _json(self._pods.get((namespace, name)) or pod | {"status": _status(namespace, "base")})

    async def list_pods(self, request: web.Request) -> web.StreamResponse:
        """Return an empty list: clients list only at their start."""
        if "watch" in request.query:
            return await self._watch(request)
        metadata = {"resourceVersion": str(self._version)}
        return await _json({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": []})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = await _stream(request, "application/json")
        watch = (request.match_info["namespace"], asyncio.Queue())
        self._watches.append(watch)
        try:
            while True:
                event = {"type": "ADDED", "object": await watch[1].get()}
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._watches.remove(watch)

    async def log(self, request: web.Request) -> web.StreamResponse:
        kind, _, lines = request.match_info["namespace"].partition("-")
        response = await _stream(request, "text/plain")
        at, remaining = 0, int(lines) * LINE_BYTES
        while remaining:
            chunk = self._page[at : at + min(remaining, CHUNK_BYTES)]
            await response.write(chunk)
            at, remaining = (at + len(chunk)) % len(self._page), remaining - len(chunk)
        if kind == "open":
            await asyncio.Event().wait()
        return response


async def _json(answer: object, status: int = 200) -> web.Response:
    from aiohttp import web

    return web.json_response(answer, status=status)


async def _stream(request: web.Request, content_type: str) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response


def _status(namespace: str, container: str) -> dict[str, Any]:
    began, ended = "2026-01-01T10:20:30Z", "2026-01-01T10:20:31Z"
    over = namespace.startswith("over-")
    state = (
        {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": began, "finishedAt": ended}}
        if over
        else {"running": {"startedAt": began}}
    )
    status = {
        "name": container,
        "ready": not over,
        "restartCount": 0,
        "image": "scripted",
        "imageID": "scripted",
    }
    phase = "Succeeded" if over else "Running"
    return {"phase": phase, "startTime": began, "containerStatuses": [status | {"state": state}]}


def main() -> None:
    from aiohttp import web

    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    web.run_app(
        Server().application(),
        sock=listener,
        backlog=1024,
        print=None,
        access_log=None,
        handler_cancellation=True,
    )


if __name__ == "__main__":
    main()
