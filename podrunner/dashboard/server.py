"""Serves the board on loopback, with uvicorn, until it is cancelled."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import uvicorn

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podrunner.dashboard.hub import Hub

__all__ = ["loopback_socket", "serve"]

_CONNECTIONS: Final = 256
_BACKLOG: Final = 128
_LEAVES_WITHIN_S: Final = 3


def loopback_socket(port: int) -> socket.socket:
    """Return a listening socket on 127.0.0.1.

    Args:
        port: The port; 0: a free one.

    Raises:
        UsageError: The port is taken, or may not be used.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"the board cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
    return listener


class _Server(uvicorn.Server):
    """A server that leaves signals to the command, which cancels it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(app: Any, listener: socket.socket, hub: Hub) -> None:
    """Serve until cancelled; then end the viewers' streams and close, within some seconds.

    Args:
        app: The ASGI application.
        listener: The socket; it is closed at the end.
        hub: Of the board.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_LEAVES_WITHIN_S,
    )
    server = _Server(config)

    async def run() -> None:
        with anyio.CancelScope(shield=True):
            await server.serve(sockets=[listener])

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, name="podrunner-board-server")
            try:
                await anyio.sleep_forever()
            finally:
                hub.close()
                server.should_exit = True
    finally:
        listener.close()
