"""A node that keeps a container's log, and a watch that shows the container: the collector's two sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import anyio
import pytest
from podrunner.errors import PodrunnerError
from podrunner.logs import ContainerView, LogCursor, LogGap, PodAddress, collect, outlet
from podrunner.logs.record import LogBatch

ADDRESS = PodAddress("default", "pod-1", "uid-1")


class NoWaiting(Random):
    """Jitter that makes each back-off nothing."""

    def uniform(self, a: float, b: float) -> float:
        del a, b
        return 0.0


class FakeState:
    """What the watch knows; a test sets it."""

    def __init__(self) -> None:
        self.view = ContainerView(started=True)
        self._changed = anyio.Event()

    def container(self, name: str) -> ContainerView:
        del name
        return self.view

    def set(self, **fields: object) -> None:
        self.view = ContainerView(**fields)
        self._changed.set()
        self._changed = anyio.Event()

    def end(self, restart: int = 0) -> None:
        self.set(restart=restart, started=True, ended=True, final=True)

    async def changed(self) -> None:
        await self._changed.wait()


Script = Callable[[bytes], AsyncIterator[bytes]]


async def whole(data: bytes) -> AsyncIterator[bytes]:
    """A connection on which nothing goes wrong."""
    if data:
        yield data


class FakeNode:
    """Keeps lines with stamps per run; each connection is served by the next script, the last ones in good order."""

    def __init__(self) -> None:
        self.runs: list[list[bytes]] = [[]]
        self.scripts: list[Script | PodrunnerError] = []
        self.requests: list[dict[str, object]] = []
        self.never_open = 0
        self.otherwise: Script | PodrunnerError = whole

    def write(self, *lines: bytes, run: int = 0) -> None:
        while len(self.runs) <= run:
            self.runs.append([])
        self.runs[run] += lines

    @asynccontextmanager
    async def stream_log(
        self, namespace: str, name: str, **options: object
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.requests.append({"namespace": namespace, "name": name, **options})
        if self.never_open:
            self.never_open -= 1
            await anyio.sleep_forever()
        script = self.scripts.pop(0) if self.scripts else self.otherwise
        if isinstance(script, PodrunnerError):
            raise script
        batches = script(self._content(options))
        try:
            yield batches
        finally:
            with anyio.CancelScope(shield=True):
                await batches.aclose()

    def _content(self, options: dict[str, object]) -> bytes:
        runs = self.runs[:-1] if options.get("previous") else self.runs
        lines = runs[-1] if runs else []
        if tail := options.get("tail_lines"):  # first, as a kubelet does (ReadLogs in k8s.io/cri-client)
            lines = lines[-int(str(tail)) :]
        since = options.get("since_time")
        if since:
            lines = [line for line in lines if line[:19] >= str(since)[:19].encode()]
        return b"".join(line + b"\n" for line in lines)


class Sink:
    """Remembers all; opens at a given cursor."""

    def __init__(self, start: LogCursor | None = None) -> None:
        self.start = start
        self.items: list[LogBatch | LogGap] = []
        self.closed_at: LogCursor | None = None

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        return self.start

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        self.items.append(batch)

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        self.items.append(gap)

    async def close(self, cursor: LogCursor) -> None:
        self.closed_at = cursor

    @property
    def texts(self) -> list[str]:
        return [text for item in self.items if isinstance(item, LogBatch) for text in item.texts()]

    @property
    def gaps(self) -> list[LogGap]:
        return [item for item in self.items if isinstance(item, LogGap)]


def stamped(number: int, text: bytes | None = None, *, second: int = 0) -> bytes:
    """Line ``number``: its own nanosecond within a second."""
    body = b"line %d" % number if text is None else text
    return b"2024-05-01T10:20:%02d.%09dZ %s" % (second, number, body)


@pytest.fixture
def state() -> FakeState:
    return FakeState()


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def line() -> Callable[..., bytes]:
    return stamped


@pytest.fixture
def _time_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink whose thread is late, in real time, is not taken for one that hangs."""
    for module in (collect, outlet):
        monkeypatch.setattr(module, "CLOSE_S", 60.0)
