"""TCP keepalive on the connections that a transport really opens."""

from __future__ import annotations

import gc
import socket
from urllib.parse import urlsplit

import pytest
from podrunner.config import TcpKeepalive
from podrunner.kube import Request, explicit_access, open_transport

pytestmark = pytest.mark.anyio


def to_server(url: str) -> list[socket.socket]:
    """The sockets of this process that are connected to the server."""
    port = urlsplit(url).port
    return [
        found for found in gc.get_objects() if isinstance(found, socket.socket) and _peer_port(found) == port
    ]


def _peer_port(found: socket.socket) -> int | None:
    try:
        return found.getpeername()[1]
    except (OSError, IndexError):
        return None


@pytest.mark.parametrize("enabled", [True, False])
async def test_probes_are_set_on_every_connection(config, stub, *, enabled: bool):
    """W2."""
    stub.json({})
    keepalive = TcpKeepalive(enabled=enabled, idle_s=61, interval_s=7, count=3)
    transport = open_transport(config.with_changes(tcp_keepalive=keepalive), explicit_access(stub.url))
    try:
        await transport.request(Request("GET", "/", {}, timeout_s=40))
        (opened,) = to_server(stub.url)
        probing = bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        interval_s = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        assert (probing and interval_s == 7) is enabled
    finally:
        await transport.aclose()
