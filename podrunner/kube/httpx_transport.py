"""The httpx transport: for trio, and for embedders that bring their own ``httpx.AsyncClient``.

Two clients by default, for the reason that the aiohttp transport has two sessions: long streams must not take the
places of requests. An embedder's own client serves both.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx

from podrunner.errors import RequestTimeoutError, TransportError
from podrunner.kube.bodies import AnswerTooLongError
from podrunner.kube.httpx_bodies import body_of, exhaust, pieces_of
from podrunner.kube.httpx_handshakes import HandshakeTrace
from podrunner.kube.sockets import HALF_AN_ANSWER, NO_ANSWER, NO_HTTP, plain_tls, system_message
from podrunner.kube.transport import HandshakeRefusedError, Request, Response, timeout_message
from podrunner.kube.websocket_frames import FramedSocket, chosen_subprotocol, handshake_headers
from podrunner.redaction import harmless, redact, shown_origin

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from podrunner.kube.sockets import SocketOption

__all__ = ["HttpxTransport", "httpx_client"]

_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


def httpx_client(
    *,
    connections: int | None,
    tls: ssl.SSLContext | None = None,
    proxy: str | None = None,
    socket_options: Sequence[SocketOption] = (),
) -> httpx.AsyncClient:
    """Make a client as this transport wants it: no environment, no cookies, no redirects.

    Args:
        connections: Size of its pool; None: no bound.
        tls: The SSL context; None for plain text.
        proxy: URL of an HTTP proxy, or None.
        socket_options: Set on each socket.
    """
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(
            verify=tls
            if tls is not None
            else False,  # unused with plain text: spares loading the system's CAs
            proxy=proxy,
            limits=limits,
            socket_options=socket_options,
            trust_env=False,
        ),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        trust_env=False,
        follow_redirects=False,
    )


class HttpxTransport:
    """Carries requests over httpx.

    Args:
        url: The API server's URL, with its path prefix if it has one.
        requests: Sends plain requests.
        streams: Opens streams and WebSockets; None: the same client.
        connect_timeout_s: Seconds for TCP and TLS.
        server_name: The name that the server's certificate must have; None: the URL's host.
        owns_clients: Whether closing the transport closes the clients.
    """

    def __init__(
        self,
        url: str,
        *,
        requests: httpx.AsyncClient,
        streams: httpx.AsyncClient | None = None,
        connect_timeout_s: float = 10.0,
        server_name: str | None = None,
        owns_clients: bool = True,
    ) -> None:
        self._url = url.rstrip("/")
        self._requests = requests
        self._streams = streams or requests
        self._connect_timeout_s = connect_timeout_s
        self._extensions: dict[str, Any] = {"sni_hostname": server_name} if server_name else {}
        self._owns = owns_clients

    async def request(self, request: Request) -> Response:
        """See :meth:`podrunner.kube.transport.Transport.request`."""
        built = self._build(self._requests, request, read_s=request.timeout_s)
        try:
            # httpx bounds each read, not the whole: an answer that drips would never end.
            with anyio.fail_after(request.timeout_s):
                answer = await _sent(self._requests, built)
                return await _whole(answer)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, TransportError) as error:
            raise self._failed(request, error) from harmless(error, secrets=request.credentials)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[_Stream]:
        """See :meth:`podrunner.kube.transport.Transport.stream`."""
        answer = await self._open(request)
        pieces = pieces_of(answer)
        try:
            yield _Stream(answer, pieces, failed=partial(self._failed, request))
        finally:
            await _close(answer)
            await exhaust(pieces)

    async def _open(self, request: Request, headers: Mapping[str, str] | None = None) -> httpx.Response:
        built = self._build(self._streams, request, read_s=None)
        built.headers.update(headers or {})
        try:
            with anyio.fail_after(request.timeout_s):
                return await _sent(self._streams, built)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._failed(request, error) from harmless(error, secrets=request.credentials)

    @asynccontextmanager
    async def upgrade(self, request: Request, subprotocols: Sequence[str]) -> AsyncIterator[FramedSocket]:
        """See :meth:`podrunner.kube.transport.Transport.upgrade`."""
        asked = handshake_headers(subprotocols)
        answer = await self._open(request, asked)
        try:
            socket = await self._switched(answer, request, asked)
            try:
                yield socket
            finally:
                with anyio.CancelScope(shield=True):
                    await socket.close()
        finally:
            await _close(answer)

    async def _switched(
        self, answer: httpx.Response, request: Request, asked: Mapping[str, str]
    ) -> FramedSocket:
        if answer.status_code != 101:
            raise HandshakeRefusedError(await self._whole(answer, request))
        stream = answer.extensions.get("network_stream")
        if stream is None:
            raise TransportError(
                "this httpx client's transport cannot switch protocols; exec needs one that can"
            )
        failed = partial(self._failed, request)
        return FramedSocket(
            stream,
            subprotocol=chosen_subprotocol(asked, answer.headers),
            failed=failed,
            failures=_stream_failures(),
        )

    async def _whole(self, answer: httpx.Response, request: Request) -> Response:
        try:
            with anyio.fail_after(request.timeout_s):
                return await _whole(answer)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, TransportError):
            return Response(answer.status_code, answer.headers, b"")

    async def aclose(self) -> None:
        """Close all connections, unless the client is the embedder's."""
        if self._owns:
            await self._requests.aclose()
            await self._streams.aclose()

    def _build(self, client: httpx.AsyncClient, request: Request, *, read_s: float | None) -> httpx.Request:
        connect_s = request.connect_timeout_s or self._connect_timeout_s
        return client.build_request(
            request.method,
            self._url + request.target,
            content=request.body,
            headers=_as_bytes(request.headers),
            timeout=httpx.Timeout(read_s, connect=connect_s),
            extensions={**self._extensions, "trace": HandshakeTrace(timeout_s=connect_s)},
        )

    def _failed(self, request: Request, error: BaseException) -> TransportError:
        sent = not isinstance(error, _NEVER_SENT)
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            kind: type[TransportError] = RequestTimeoutError
            said = timeout_message(request, sent=sent, connect_timeout_s=self._connect_timeout_s)
        else:
            kind = AnswerTooLongError if isinstance(error, AnswerTooLongError) else TransportError
            said = _message_of(error)
        shown = f"{shown_origin(self._url)}{request.path}"
        message = f"{request.method} {shown}: {redact(said, secrets=request.credentials)}"
        return kind(message, method=request.method, url=shown, sent=sent)


class _Stream:
    """A response whose body is read as it comes."""

    def __init__(
        self,
        answer: httpx.Response,
        pieces: AsyncIterator[bytes],
        *,
        failed: Callable[[BaseException], TransportError],
    ) -> None:
        self._answer = answer
        self._failed = failed
        self._body = body_of(answer, pieces)

    @property
    def status(self) -> int:
        return self._answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        try:
            batch = await self._body.piece()
        except (httpx.HTTPError, httpx.StreamError, TransportError) as error:
            raise self._failed(error) from harmless(error)
        if not batch:
            raise StopAsyncIteration
        return batch


async def _sent(client: httpx.AsyncClient, built: httpx.Request) -> httpx.Response:
    """Send a request, and return its answer as soon as there are its headers."""
    trace: HandshakeTrace = built.extensions["trace"]
    with trace.connecting:
        return await client.send(built, stream=True, follow_redirects=False)
    if trace.is_sending:  # the server may have it
        raise httpx.ReadTimeout("the connection came as its time was over", request=built)
    raise httpx.ConnectTimeout("no connection in time", request=built)


async def _whole(answer: httpx.Response) -> Response:
    """Read a body as far as it may go, and close the response."""
    pieces = pieces_of(answer)
    try:
        body, _ = await body_of(answer, pieces).whole(status=answer.status_code)
    finally:
        await _close(answer)
        await exhaust(pieces)
    return Response(answer.status_code, answer.headers, body)


async def _close(answer: httpx.Response) -> None:
    """Close a response; also when cancelled, or its connection would leak."""
    with anyio.CancelScope(shield=True):
        await answer.aclose()


def _stream_failures() -> tuple[type[Exception], ...]:
    import httpcore

    return (
        httpcore.NetworkError,
        httpcore.TimeoutException,
        httpcore.ProtocolError,
        anyio.ClosedResourceError,
    )


def _as_bytes(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers, repeated ones too, in UTF-8: httpx itself takes text in ASCII only."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


_OURS: Final = (
    ("Server disconnected", NO_ANSWER),
    ("peer closed connection without sending complete", HALF_AN_ANSWER),
    ("illegal ", NO_HTTP),
)
"""Beginnings of what h11 says, which may quote the server, and what is said instead."""


def _message_of(error: BaseException) -> str:
    """Return the message of the error, or of its cause: on trio, httpx's own is often empty."""
    is_connecting = isinstance(error, httpx.ConnectError)
    if is_connecting and (said := system_message(error)):
        return f"cannot connect: {said}"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy refuses: {error}"
    cause: BaseException | None = error
    while cause is not None:
        if text := str(cause):
            ours = next((ours for theirs, ours in _OURS if text.startswith(theirs)), None)
            return ours or (f"cannot connect: {plain_tls(text)}" if is_connecting else text)
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
