"""One connection to a port in a pod: SPDY, tunnelled through a WebSocket, as kubectl does it since 1.31.

Subprotocol ``SPDY/3.1+portforward.k8s.io`` (KEP-4006; on by default since Kubernetes 1.31). Older WebSocket channels
cannot say the end of one direction. Each connection has a WebSocket of its own: SPDY could carry several, but neither
containerd nor the kubelet keeps windows, so that one slow reader would hold up all others.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

from podrunner.errors import PodrunnerError, TransportError
from podrunner.redaction import redact
from podrunner.spdy.connection import (
    ConnectionFailed,
    DataReceived,
    Event,
    SpdyConnection,
    StreamEnded,
    StreamReset,
    WindowOpened,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from podrunner.kube.transport import WebSocket

__all__ = ["SUBPROTOCOLS", "ForwardedConnection", "PortForwardError"]

SUBPROTOCOLS = ("SPDY/3.1+portforward.k8s.io",)

CHUNK_BYTES = 32 * 1024
"""Bytes of one frame, as kubectl sends them."""


class PortForwardError(PodrunnerError):
    """The port in the pod took no connection, or the server forwards none; the server says why."""


class ForwardedConnection:
    """A connection to a port in a pod. One task may receive while another sends.

    Args:
        socket: The WebSocket, whose subprotocol is one of :data:`SUBPROTOCOLS`.
        port: The port in the pod.
        secrets: The credentials that were sent: a server may quote them.

    Raises:
        PortForwardError: The server does not speak the subprotocol.
    """

    def __init__(self, socket: WebSocket, port: int, *, secrets: Collection[str] = ()) -> None:
        if socket.subprotocol not in SUBPROTOCOLS:
            raise PortForwardError(
                "this server does not tunnel port-forward through a WebSocket (Kubernetes 1.31 or newer does)"
            )
        self._socket = socket
        self._secrets = secrets
        self._spdy = SpdyConnection(is_client=True)
        headers = {"port": str(port), "requestid": "0"}
        self._error = self._spdy.open({"streamtype": "error", **headers})
        self._spdy.end(self._error)
        self._data = self._spdy.open({"streamtype": "data", **headers})
        self._received: deque[bytes] = deque()
        self._problem = b""
        self._open: set[int] = {self._error, self._data}
        self._window = anyio.Event()
        self._sending = anyio.Lock()

    async def begin(self) -> None:
        """Ask for the connection.

        Raises:
            TransportError: The WebSocket broke.
        """
        await self._flush()

    async def receive(self) -> bytes:
        """Return the next bytes of the pod's side; empty at their end.

        Raises:
            TransportError: The WebSocket broke before that end.
        """
        while not self._received and self._data in self._open:
            await self._take()
        if not self._received:
            return b""
        data = self._received.popleft()
        self._spdy.consumed(self._data, len(data))
        await self._flush()
        return data

    async def wait_over(self) -> None:
        """Wait until the pod's side takes nothing more either; what still comes is dropped.

        Raises:
            PortForwardError: The connection failed; the server says why.
            TransportError: The WebSocket broke.
        """
        while self._open:
            await self._take()
            self._received.clear()
        if self._problem:
            raise PortForwardError(redact(self._problem.decode("utf-8", "replace"), secrets=self._secrets))

    async def send(self, data: bytes) -> None:
        """Send all bytes; waits while the pod's side is slow.

        Raises:
            TransportError: The WebSocket broke, or the pod's side takes no more.
        """
        rest = memoryview(data)
        while rest:
            size = min(await self._sendable(), CHUNK_BYTES)
            self._spdy.send_data(self._data, bytes(rest[:size]))
            rest = rest[size:]
            await self._flush()

    async def _sendable(self) -> int:
        while not (size := self._spdy.sendable(self._data)):
            if not self._spdy.is_writable(self._data):
                raise TransportError("the pod's side of the connection is closed")
            self._window = anyio.Event()
            await self._window.wait()
        return size

    async def send_eof(self) -> None:
        """Say that nothing more will be sent; the pod's side may go on.

        Raises:
            TransportError: The WebSocket broke.
        """
        self._spdy.end(self._data)
        await self._flush()

    async def _take(self) -> None:
        message = await self._socket.receive()
        if message is None:
            raise TransportError("the connection to the pod ended before the port's did")
        for event in self._spdy.receive(message):
            self._handle(event)
        await self._flush()

    def _handle(self, event: Event) -> None:
        match event:
            case DataReceived(stream, data) if stream == self._data:
                self._received.append(data)
            case DataReceived(stream, data):
                self._problem += data
                self._spdy.consumed(stream, len(data))
            case StreamEnded(stream):
                self._open.discard(stream)
            case StreamReset(stream):
                self._open.discard(stream)
                self._window.set()
            case WindowOpened():
                self._window.set()
            case ConnectionFailed(problem):
                raise TransportError(f"the server sent {problem}")

    async def _flush(self) -> None:
        async with self._sending:  # frames keep their order
            if data := self._spdy.data_to_send():
                await self._socket.send(data)
