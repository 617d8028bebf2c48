"""The narrow protocol between the typed verbs and an HTTP library.

Bytes out, bytes in: a request, a stream of byte batches, an upgrade to a WebSocket. A transport knows nothing of
Kubernetes, never retries, never interprets a status code; it turns its library's failures into
:class:`~podrunner.errors.TransportError`. Credentials come with each request, as a header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from podrunner.redaction import looks_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

__all__ = [
    "HandshakeRefusedError",
    "Request",
    "Response",
    "ResponseStream",
    "Transport",
    "WebSocket",
    "headers_of",
    "timeout_message",
]


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request.

    Attributes:
        method: ``GET``, ``POST``, …
        target: Path and query, percent-encoded: ``/api/v1/pods?limit=500``.
        headers: All headers that matter to the server; may hold credentials. One may repeat: see :func:`headers_of`.
        body: The body, or None.
        timeout_s: Seconds for the whole exchange; for a stream, until the answer's headers. None: no limit.
        connect_timeout_s: Seconds until there is a connection, with the search for the host's address; None: as the
            transport has it.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None = None
    timeout_s: float | None = None
    connect_timeout_s: float | None = None

    def __repr__(self) -> str:
        """Name the request without its headers, which may hold credentials."""
        return f"Request({self.method} {self.path})"

    @property
    def credentials(self) -> tuple[str, ...]:
        """The values of headers that hold credentials: what must not appear in errors."""
        return tuple(value for name, value in self.headers.items() if looks_secret(name))

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


def headers_of(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Return headers as a mapping whose ``items`` are the pairs; the usual dict, if no name repeats."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    from multidict import CIMultiDict

    return CIMultiDict(pairs)


def timeout_message(request: Request, *, sent: bool, connect_timeout_s: float) -> str:
    """Say what did not come in time: an answer, or already the connection.

    Args:
        request: The request.
        sent: Whether there was a connection.
        connect_timeout_s: The transport's own seconds for a connection, where the request names none.
    """
    if not sent:
        return f"no connection within {request.connect_timeout_s or connect_timeout_s:g} s"
    return "no answer" if request.timeout_s is None else f"no answer within {request.timeout_s} s"


class Response(msgspec.Struct, frozen=True, gc=False):
    """A whole answer. ``headers`` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ResponseStream(Protocol):
    """An answer whose body arrives in batches of bytes, as the network delivers them.

    Iterating raises :class:`~podrunner.errors.TransportError` if the connection breaks before the body's end.
    """

    @property
    def status(self) -> int:
        """The HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the iterator over the batches."""
        ...

    async def __anext__(self) -> bytes:
        """Return the next batch, never empty."""
        ...


class WebSocket(Protocol):
    """A WebSocket that carries binary messages."""

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, or None."""
        ...

    async def receive(self) -> bytes | None:
        """Return the next message, or None when the other side closed or the connection broke.

        Raises TransportError for a message that is longer than ``bodies.MAX_MESSAGE_BYTES``.
        """
        ...

    async def send(self, data: bytes) -> None:
        """Send one binary message; raises TransportError if the connection is gone."""
        ...


class HandshakeRefusedError(Exception):
    """The server did not switch protocols. Internal: the verbs make an ApiError of it.

    Attributes:
        response: What it answered instead, with its body.
    """

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(f"the server answered {response.status} instead of switching protocols")


class Transport(Protocol):
    """Carries requests to one API server."""

    async def request(self, request: Request) -> Response:
        """Send a request and return the whole answer, whatever its status; redirects are not followed.

        Of a refusal's body, only the first ``bodies.MAX_ERROR_BODY_BYTES`` are returned.

        Raises:
            AnswerTooLongError: The body of a success is longer than ``bodies.MAX_BODY_BYTES``.
            TransportError: No answer; ``sent`` says whether the server may have seen the request.
            RequestTimeoutError: No complete answer within ``request.timeout_s``.
        """
        ...

    def stream(self, request: Request) -> AbstractAsyncContextManager[ResponseStream]:
        """Send a request and return its answer as a stream, on a connection that starves no plain request.

        Leaving the context closes the connection at once. Entering raises what :meth:`request` raises.
        """
        ...

    def upgrade(
        self, request: Request, subprotocols: Sequence[str]
    ) -> AbstractAsyncContextManager[WebSocket]:
        """Open a WebSocket, offering the subprotocols in order of preference.

        Entering raises what :meth:`request` raises, and HandshakeRefusedError.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections. Calling it twice is harmless."""
        ...
