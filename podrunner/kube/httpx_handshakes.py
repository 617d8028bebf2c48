"""A connection of httpx is made within its time as a whole, and none is left open when its making is cancelled.

httpcore (1.0.9) bounds each step by itself (TCP, then TLS), a proxy's answer to CONNECT by the time for an answer, and
a SOCKS proxy's by nothing. And it closes a connection whose handshake fails, but not one whose handshake is cancelled
(``_backends/{trio,anyio}.py``, ``_async/socks_proxy.py``): its socket stays open until it is garbage. Its trace
extension, which is public, shows all of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HandshakeTrace"]

_HANDSHAKES_FAILED = ("setup_socks5_connection.failed", "start_tls.failed")


class HandshakeTrace:
    """The extension ``trace`` of one request: follows the connection that is made for it, if one is.

    Args:
        timeout_s: Seconds for the whole connection: TCP, the proxy, TLS.

    Attributes:
        connecting: To send the request in; cancelled when the connection is not there in time.
        is_sending: Whether the request is being sent: it may be in the same moment as the time is over.
    """

    __slots__ = ("_stream", "_timeout_s", "connecting", "is_sending")

    def __init__(self, *, timeout_s: float) -> None:
        self._stream: Any = None
        self._timeout_s = timeout_s
        self.connecting: anyio.CancelScope = anyio.CancelScope()
        self.is_sending: bool = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Set the connection's deadline while it is made; close its stream if a handshake ends without one.

        Args:
            event: Such as ``connection.start_tls.failed``.
            info: What the event comes with: its arguments, ``return_value`` or ``exception``.
        """
        step = event.partition(".")[2]
        if step == "connect_tcp.started":
            self.connecting.deadline = anyio.current_time() + self._timeout_s
        elif step == "send_request_headers.started" and info["request"].method != b"CONNECT":
            self.connecting.deadline, self.is_sending = math.inf, True
        elif step in ("connect_tcp.complete", "start_tls.complete"):
            self._stream = info["return_value"]
        elif step in _HANDSHAKES_FAILED and self._stream is not None:
            stream, self._stream = self._stream, None
            with anyio.CancelScope(shield=True):
                await stream.aclose()
