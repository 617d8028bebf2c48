"""The end of a scheduler by SIGKILL, at a moment that the round's plan names: nothing can be tidied up before it.

It replaces the methods of the transports that send: the runner has done what comes before the request, and nothing of
what comes after it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from podrunner.kube.aiohttp_transport import AiohttpTransport
from podrunner.kube.httpx_transport import HttpxTransport
from podrunner.kube.transport import Request
from tests.processes.delivery.plan import LEASE_S, Fuse

__all__ = ["ArmedFuse", "label_of"]

_AMID_S = 0.002
"""Between sending a request and the death: the server may have seen it, and its answer is not back."""


class ArmedFuse:
    """Kills this process when its moment has come.

    Args:
        fuse: When; None: never.
    """

    def __init__(self, fuse: Fuse | None) -> None:
        self._fuse = fuse or Fuse(kind="none")
        self._seen = 0
        self._lock = threading.Lock()

    def arm(self) -> None:
        """Begin to count."""
        if self._fuse.kind == "clock":
            _in(self._fuse.after_s, _kill)
        if self._fuse.kind == "pause":
            _in(self._fuse.after_s, _pause)
        if self._fuse.kind == "request":
            for transport in (AiohttpTransport, HttpxTransport):
                self._wrap(transport)

    def step(self, name: str) -> None:
        """Note that the program has come to a step."""
        if self._fuse.kind in {"step", "hang"} and self._is_due(counts=name == self._fuse.match):
            if self._fuse.kind == "step":
                _kill()
            threading.Event().wait()

    def is_done(self) -> None:
        """Note that all is done: a fuse whose moment did not come kills now."""
        if self._fuse.kind not in {"none", "hang", "pause"}:
            _kill()

    def _is_due(self, *, counts: bool) -> bool:
        with self._lock:
            self._seen += counts
            return counts and self._seen == self._fuse.count

    def _before(self, request: Request) -> bool:
        """Kill, or have it done soon; whether it is due after the answer."""
        if not self._is_due(counts=label_of(request).startswith(self._fuse.match)):
            return False
        if self._fuse.moment == "before":
            _kill()
        if self._fuse.moment == "amid":
            _in(_AMID_S, _kill)
        return True

    def _wrap(self, transport: Any) -> None:
        send: Callable[..., Awaitable[Any]] = transport.request
        open_stream = transport.stream

        async def request(its: Any, request: Request) -> Any:
            due = self._before(request)
            answer = await send(its, request)
            if due:
                _kill()
            return answer

        @asynccontextmanager
        async def stream(its: Any, request: Request) -> AsyncIterator[Any]:
            due = self._before(request)
            async with open_stream(its, request) as answer:
                if due:
                    _kill()
                yield answer

        transport.request = request
        transport.stream = stream


def label_of(request: Request) -> str:
    """Return what a request is about: ``POST pods``, ``GET log``, ``PUT leases``, …"""
    parts = request.path.strip("/").split("/")
    known = [part for part in ("log", "leases", "events", "secrets", "pods") if part in parts]
    watch = " watch" if "watch=" in request.target else ""
    return f"{request.method} {known[0] if known else parts[-1]}{watch}"


def _in(after_s: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(after_s, act)
    timer.daemon = True
    timer.start()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _pause() -> None:
    """Stop this process for longer than its Lease lasts; another process lets it go on."""
    subprocess.Popen(["sh", "-c", f"sleep {LEASE_S + 1}; kill -CONT {os.getpid()}"])
    os.kill(os.getpid(), signal.SIGSTOP)
