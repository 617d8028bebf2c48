"""A transport that goes on with a renewed client certificate.

A connection's identity is settled when it opens, so connections of the old certificate are of no use to later requests:
they get a transport of their own, while streams end on the one they began on.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from podrunner.kube.tls import TlsRotation
    from podrunner.kube.transport import Request, Response, ResponseStream, Transport, WebSocket

__all__ = ["RotatingTransport"]


class RotatingTransport:
    """Passes everything to a transport that is made anew when the TLS settings are replaced.

    Args:
        rotation: The settings.
        make: Makes a transport with the settings as they are then.
    """

    def __init__(self, rotation: TlsRotation, make: Callable[[], Transport]) -> None:
        self._rotation = rotation
        self._make = make
        self._settings = rotation.settings
        self._current = make()
        self._retired: Transport | None = None

    async def request(self, request: Request) -> Response:
        """See :meth:`podrunner.kube.transport.Transport.request`."""
        if self._settings is not self._rotation.settings:
            await self._rotate()
        return await self._current.request(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[ResponseStream]:
        """See :meth:`podrunner.kube.transport.Transport.stream`."""
        if self._settings is not self._rotation.settings:
            await self._rotate()
        async with self._current.stream(request) as stream:
            yield stream

    @asynccontextmanager
    async def upgrade(self, request: Request, subprotocols: Sequence[str]) -> AsyncIterator[WebSocket]:
        """See :meth:`podrunner.kube.transport.Transport.upgrade`."""
        if self._settings is not self._rotation.settings:
            await self._rotate()
        async with self._current.upgrade(request, subprotocols) as socket:
            yield socket

    async def _rotate(self) -> None:
        """Make another transport; the one before lives on until the next rotation: a whole certificate's life."""
        made, self._settings = self._make(), self._rotation.settings
        ended, self._retired, self._current = self._retired, self._current, made
        if ended is not None:
            await ended.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._current.aclose()
        if self._retired is not None:
            await self._retired.aclose()
