"""A browser's part of ASGI: requests, and streams that are read at the test's own pace."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio

__all__ = ["Answer", "Stream", "get", "streaming"]


@dataclass
class Answer:
    """An answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


def _scope(url: str, method: str, headers: dict[str, str]) -> dict[str, Any]:
    parts = urlsplit(url)
    given = {"host": "127.0.0.1:8000", **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
    }


async def get(app: Any, url: str, *, method: str = "GET", **headers: str) -> Answer:
    """Send a request and read its whole answer."""
    answer = Answer()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        _take(answer, message)

    await app(_scope(url, method, headers), receive, send)
    return answer


def _take(answer: Answer, message: dict[str, Any]) -> None:
    if message["type"] == "http.response.start":
        answer.status = message["status"]
        answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
    else:
        answer.body += message.get("body", b"")


class Stream:
    """A stream of events; nothing more is taken from the server than is read here."""

    def __init__(self, receive: Any) -> None:
        self._parts = receive
        self.answer = Answer()
        self.ended = False

    async def next(self, kind: str = "") -> tuple[str, Any]:
        """Return the next event, or the next of a kind; ("", None) at the end."""
        while True:
            try:
                message = await self._parts.receive()
            except anyio.EndOfStream:
                self.ended = True
                return "", None
            _take(self.answer, message)
            part = message.get("body", b"").decode()
            if part.startswith("event: "):
                found, data = part.removesuffix("\n\n").split("\n", 1)
                if kind in {"", found.removeprefix("event: ")}:
                    return found.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@asynccontextmanager
async def streaming(app: Any, url: str, **headers: str) -> AsyncIterator[Stream]:
    """Open a stream of events; leaving it is a viewer that leaves."""
    left = anyio.Event()
    send_parts, receive_parts = anyio.create_memory_object_stream[dict[str, Any]](0)

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def serve() -> None:
        async with send_parts:
            await app(_scope(url, "GET", headers), receive, send_parts.send)

    async with anyio.create_task_group() as tasks, receive_parts:
        tasks.start_soon(serve)
        yield Stream(receive_parts)
        left.set()
        with anyio.move_on_after(5):
            async for _ in receive_parts:
                continue
        tasks.cancel_scope.cancel()
