"""The whole walk of pods (create, watch, delete) by a bare aiohttp session, which keeps none of the promises.

It sends the requests, splits the watch's lines, and decodes a few fields: what a launcher costs at least with aiohttp.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

AT_ONCE = 32
"""Requests at once: half of them create, half of them delete."""
POD: dict[str, Any] = {
    "restartPolicy": "Never",
    "containers": [{"name": "base", "image": "registry.example.com/data/worker:1", "command": ["worker"]}],
}


@asynccontextmanager
async def opened(
    url: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    ssl: Any = True,
    spec: Mapping[str, Any] = POD,
) -> AsyncIterator[BareWalk]:
    """Open the session and its watch.

    Args:
        url: The server's address.
        path: Of its pods: ``/api/v1/namespaces/NAME/pods``.
        headers: Sent with each request, beside ``Accept``.
        ssl: As aiohttp's ``ssl``.
        spec: Of each pod.
    """
    import aiohttp

    async with aiohttp.ClientSession(
        url,
        connector=aiohttp.TCPConnector(limit=AT_ONCE + 1, ssl=ssl),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", **(headers or {})},
    ) as session:
        walk = BareWalk(session, path, spec)
        query = "?watch=1&labelSelector=app%3Dbare"
        async with session.get(path + query, timeout=aiohttp.ClientTimeout(None)) as stream:
            watching = asyncio.create_task(walk.watch(stream.content))
            yield walk
            watching.cancel()


class BareWalk:
    """Creates pods, waits for their success on the watch, deletes them, and waits until they are gone."""

    def __init__(self, session: Any, path: str, spec: Mapping[str, Any]) -> None:
        import msgspec

        meta = msgspec.defstruct("Meta", [("name", str), ("deletionTimestamp", str, "")])
        status = msgspec.defstruct("Status", [("phase", str)])
        pod = msgspec.defstruct("Pod", [("metadata", meta), ("status", status)])
        event = msgspec.defstruct("Event", [("type", str), ("object", pod)])
        self._decode = msgspec.json.Decoder(event).decode
        self._session, self._path, self._spec = session, path, spec
        self._over: asyncio.Queue[str] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._left = 0
        self._made = 0
        self.created_s = 0.0
        """Seconds from the beginning of the last :meth:`go` until all of its pods existed."""

    async def watch(self, content: Any) -> None:
        """Read the watch until it ends."""
        rest = b""
        while data := await content.readany():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(self._decode(line))

    def _take(self, event: Any) -> None:
        if event.type == "DELETED":
            self._left -= 1
            if not self._left:
                self._gone.set()
        elif event.object.status.phase == "Succeeded" and not event.object.metadata.deletionTimestamp:
            self._over.put_nowait(event.object.metadata.name)

    async def go(self, pods: int) -> None:
        """Take so many pods through their lives."""
        self._left = pods
        self._gone.clear()
        began = time.perf_counter()
        names = iter([f"bare-{self._made + number}" for number in range(pods)])
        self._made += pods
        deleters = [asyncio.create_task(self._delete()) for _ in range(AT_ONCE // 2)]
        await asyncio.gather(*(self._create(names) for _ in range(AT_ONCE // 2)))
        self.created_s = time.perf_counter() - began
        await self._gone.wait()
        for task in deleters:
            task.cancel()

    async def _create(self, names: Any) -> None:
        for name in names:
            meta = {"name": name, "labels": {"app": "bare"}}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": self._spec}
            headers = {"Content-Type": "application/json"}
            async with self._session.post(
                self._path, data=json.dumps(pod).encode(), headers=headers
            ) as answer:
                assert answer.status == 201, await answer.text()
                await answer.read()

    async def _delete(self) -> None:
        while True:
            name = await self._over.get()
            async with self._session.delete(f"{self._path}/{name}") as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
