"""Connections: when headers and bodies must have come, and what a request that is no HTTP is answered.

A client that sends half of a request and waits holds its connection for a bounded time, and no other connection.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web

from podrunner.local.api.encoding.rendering import encode_json
from podrunner.local.api.status import StatusError, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BODY_S", "HEADER_S", "IDLE_S", "Connection", "connection_factory", "read_body"]

logger: logging.Logger = logging.getLogger(__name__)

HEADER_S = 10.0
"""Seconds from a connection's begin, or from the first byte of a further request, until its headers are complete."""

BODY_S = 30.0
"""Seconds until a request's body is complete."""

IDLE_S = 90.0
"""Seconds that a connection stays open between two requests (``IdleTimeout`` in apiserver's ``secure_serving.go``)."""

_MAX_LINE = 64 * 1024
"""Bytes of a request line, and of one header: a label selector may name hundreds of values."""

_LINGER_S = 2.0
"""Seconds that a client has to read the refusal of a request whose body it still sends."""


class Connection(web.RequestHandler):
    """A connection whose requests must have complete headers within a time.

    The handler of requests calls :meth:`begin` and :meth:`end`.

    Attributes:
        is_last: Whether the connection ends with the current request: what follows could be the rest of its body.
    """

    __slots__ = ("_busy", "_header_s", "_overdue", "is_last")

    def __init__(self, server: web.Server, *, header_s: float, **options: Any) -> None:
        super().__init__(server, **options)
        self._header_s = header_s
        self._busy = False
        self._overdue: asyncio.TimerHandle | None = None
        self.is_last: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Expect nothing any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; those that begin a request set the time until which its headers must be complete."""
        if not self._busy and self._overdue is None:
            self._expect()
        super().data_received(data)

    def begin(self) -> None:
        """Note that the headers of a request are complete."""
        self._busy = True
        self._expect_nothing()

    def end(self) -> None:
        """Note that a request is answered."""
        self._busy = False

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP with a ``Status`` of 400; the connection is closed after it."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        logger.debug("a request that is no HTTP: %s", message)
        refusal = bad_request(f"the request is no valid HTTP: {(message or '')[:200]}")
        response = web.Response(
            body=encode_json(refusal.body()), status=refusal.code, content_type="application/json"
        )
        response.force_close()
        return response

    def _expect(self) -> None:
        self._overdue = asyncio.get_running_loop().call_later(self._header_s, self._give_up)

    def _expect_nothing(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _give_up(self) -> None:
        self._overdue = None
        if not self._busy:
            self.force_close()


def connection_factory(server: web.Server, *, header_s: float = HEADER_S) -> Callable[[], Connection]:
    """Return what makes the protocol of each new connection."""
    loop = asyncio.get_running_loop()
    return lambda: Connection(
        server,
        header_s=header_s,
        loop=loop,
        keepalive_timeout=IDLE_S,
        lingering_time=_LINGER_S,
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_LINE,
        access_log=None,
    )


async def read_body(request: web.Request, *, within_s: float = BODY_S) -> bytes:
    """Return a request's body; 408 if it is not complete in time, 400 if it cannot be decompressed.

    A body that is larger than the application allows raises aiohttp's own error.
    """
    try:
        async with asyncio.timeout(within_s):
            return await request.read()
    except TimeoutError:
        _end_after(request)
        message = f"the body of the request was not complete within {within_s:g} s"
        raise StatusError(408, "Timeout", message) from None
    except web.RequestPayloadError as error:
        _end_after(request)
        request.content.feed_eof()  # nothing of it can be read any more
        raise bad_request(f"the body of the request cannot be read: {error}") from None


def _end_after(request: web.Request) -> None:
    if isinstance(request.protocol, Connection):
        request.protocol.is_last = True
