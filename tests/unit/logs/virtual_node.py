"""A node in virtual time with log connections that fail as real ones do: break, end early, hang, refuse, rotate.

It knows what the container truly wrote. What a collector made of it is the tests' business.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec
from podrunner.errors import ServerError, TransportError
from podrunner.logs import ContainerView

STEP_S = 0.01
_AT_ONCE = 1000


class Run(msgspec.Struct, eq=False):
    """One run of the container: its lines, each with its stamp, and from which on the node still has them."""

    number: int
    began_at: str
    first: tuple[int, int]
    lines: list[bytes] = msgspec.field(default_factory=list)
    kept_from: int = 0
    ended: bool = False


class VirtualNode:
    """One container on a node; also the watch, which may lag behind it.

    Attributes:
        chunk: Bytes per batch of a connection.
        refusals: How many requests to come are refused.
        requests: How many requests were answered.
        sent_bytes: How much of the log they brought.
        cut: After how many bytes the next connection breaks.
        is_late: Whether the watch ever reported a restart late.
    """

    def __init__(self, chunk: int) -> None:
        self.chunk = chunk
        self.refusals = 0
        self.is_late = False
        self.second, self.nano = 60, 0
        self.latest = self.second, self.nano
        self.runs = [Run(0, self._began_at(), self.latest)]
        self.connections: list[Connection] = []
        self.requests = 0
        self.sent_bytes = 0
        self.cut: Callable[[], float] = lambda: math.inf
        self.view = ContainerView(started=True, began_at=self.run.began_at)
        self._change = anyio.Event()

    @property
    def run(self) -> Run:
        return self.runs[-1]

    @property
    def truth(self) -> list[str]:
        """All that was ever written, in order."""
        return [text_of(line) for run in self.runs for line in run.lines]

    # What happens to the container

    def write(self, count: int, *, one_stamp: bool) -> None:
        for _ in range(count):
            self.nano += 0 if one_stamp else 1
            stamp = b"2024-05-01T10:%02d:%02d.%09dZ" % (*divmod(self.second, 60), self.nano)
            self.run.lines.append(stamp + b" run %d line %d" % (self.run.number, len(self.run.lines)))
        self.nano += 1
        self._note_time()

    def write_late(self, count: int) -> None:
        """Lines of the other stream, which were stamped before those that stand before them."""
        began = self.run.first
        for at in range(count):
            second, nano = max((self.second - 1, 999_999_000 - at), began)
            stamp = b"2024-05-01T10:%02d:%02d.%09dZ" % (*divmod(second, 60), nano)
            self.run.lines.append(stamp + b" run %d line %d" % (self.run.number, len(self.run.lines)))

    def set_back(self, seconds: int) -> None:
        """Sets the node's clock back, but not before the run began."""
        self.second, self.nano = max((self.second - seconds, self.nano), self.run.first)

    def tick(self) -> None:
        self.second, self.nano = self.second + 1, 0
        self._note_time()

    def rotate(self) -> None:
        self.run.kept_from = len(self.run.lines)

    def restart(self) -> None:
        self.run.ended = True
        # Later than all before: with a clock set back between two runs nothing tells them apart.
        self.second, self.nano = self.latest[0], self.latest[1] + 1
        self._note_time()
        self.runs.append(Run(len(self.runs), self._began_at(), self.latest))

    def end(self) -> None:
        self.run.ended = True

    def _note_time(self) -> None:
        self.latest = max(self.latest, (self.second, self.nano))

    def _began_at(self) -> str:
        return "2024-05-01T10:{:02d}:{:02d}Z".format(*divmod(self.second, 60))

    # What happens to the readers

    def each_connection(self, fate: str) -> None:
        for connection in self.connections:
            connection.fate = fate

    @asynccontextmanager
    async def stream_log(
        self,
        namespace: str,
        name: str,
        *,
        follow: bool = False,
        since_time: str | None = None,
        tail_lines: int | None = None,
        previous: bool = False,
        **options: object,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        await anyio.sleep(STEP_S / 3)
        if self.refusals:
            self.refusals -= 1
            raise ServerError(status=500, server_message="the kubelet is starting")
        if previous and len(self.runs) == 1:
            raise ServerError(status=400, server_message="no previous run")
        run = self.runs[-2 if previous else -1]
        connection = Connection(
            run, since=since_time or "", tail_lines=tail_lines, follow=follow, chunk=self.chunk
        )
        connection.left = self.cut()
        self.requests += 1
        self.connections.append(connection)
        batches = connection.batches()
        try:
            yield batches
        finally:
            self.sent_bytes += connection.sent
            self.connections.remove(connection)
            with anyio.CancelScope(shield=True):
                await batches.aclose()

    # The watch

    def report(self) -> None:
        """The watch learns how things stand, but not yet that the pod is over."""
        self.view = ContainerView(
            self.run.number, started=True, ended=self.run.ended, began_at=self.run.began_at
        )
        self._wake()

    def report_end(self) -> None:
        self.view = ContainerView(
            self.run.number, started=True, ended=True, final=True, began_at=self.run.began_at
        )
        self._wake()

    def container(self, name: str) -> ContainerView:
        del name
        return self.view

    async def changed(self) -> None:
        await self._change.wait()

    def _wake(self) -> None:
        self._change.set()
        self._change = anyio.Event()


class Connection:
    """One answer to a log request. It holds the file open: rotation takes nothing from it."""

    def __init__(self, run: Run, *, since: str, tail_lines: int | None, follow: bool, chunk: int) -> None:
        self.fate = ""
        self.left = math.inf
        self.sent = 0
        self._run = run
        self._follow = follow
        self._chunk = chunk
        self._since = since[:19].encode()
        self._next = max(
            run.kept_from, len(run.lines) - (len(run.lines) if tail_lines is None else tail_lines)
        )
        self._until = len(run.lines)

    async def batches(self) -> AsyncIterator[bytes]:
        while True:
            await anyio.sleep(STEP_S / 3)
            data = self._take()
            for at in range(0, len(data), self._chunk):
                await self._meet_fate()
                if self.fate == "end":
                    return
                batch = data[at : at + self._chunk][: int(min(self.left - self.sent, self._chunk))]
                self.sent += len(batch)
                yield batch
                if self.sent >= self.left:
                    raise TransportError("connection cut")
                await anyio.sleep(STEP_S / 5)
            await self._meet_fate()
            if self.fate == "end" or (not data and (not self._follow or self._run.ended)):
                return

    def _take(self) -> bytes:
        until = len(self._run.lines) if self._follow else self._until
        data = b""
        while not data and self._next < until:
            lines = self._run.lines[self._next : min(self._next + _AT_ONCE, until)]
            self._next += len(lines)
            data = b"".join(line + b"\n" for line in lines if line[:19] >= self._since)
        return data

    async def _meet_fate(self) -> None:
        if self.fate == "break":
            raise TransportError("connection reset")
        if self.fate == "hang":
            await anyio.sleep_forever()
        if self.fate == "end" and not self._follow:
            self.fate = ""  # only a follow is cut in good order


def text_of(line: bytes) -> str:
    return line.split(b" ", 1)[1].decode()
