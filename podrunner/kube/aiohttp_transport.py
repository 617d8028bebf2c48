"""The default transport: an aiohttp session of our own. asyncio only.

Two sessions: one whose pool is bounded, for requests, and one without a bound, for streams that live for minutes or
hours (watch, followed log, exec), so that they never take a request's place. No cookie jar, no environment, no
redirects. See ``docs/decisions/0004-transport.md``.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from podrunner.errors import RequestTimeoutError, TransportError
from podrunner.kube.bodies import MAX_MESSAGE_BYTES, AnswerTooLongError, Body
from podrunner.kube.sockets import HALF_AN_ANSWER, NO_ANSWER, NO_HTTP, Sockets, plain_tls, system_message
from podrunner.kube.time_limits import TimeLimits
from podrunner.kube.transport import HandshakeRefusedError, Request, Response, timeout_message
from podrunner.redaction import harmless, redact, shown_origin

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import SimpleNamespace

    from podrunner.kube.sockets import SocketOption

__all__ = ["AiohttpTransport"]

READ_BUFFER_BYTES = 64 * 1024
"""How much of a stream waits for a slow reader: a thousand followed logs must not hold hundreds of megabytes. Larger
buffers made a watch no faster."""

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)

_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)

_CLOSE_WITHIN_S = 2.0
"""Seconds for the closing handshake of a WebSocket: aiohttp waits for it as long as messages come."""

_ROUNDS_TO_CLOSE = 10
"""asyncio closes a socket in a later round of its loop: TLS protocol first, then the transport below it. Four or five
do; whatever an event loop of another make needs, closing has an end."""


class AiohttpTransport:
    """Carries requests over aiohttp.

    Args:
        url: The API server's URL, with its path prefix if it has one.
        connections: How many connections plain requests share; further requests wait for one.
        connect_timeout_s: Seconds for TCP and TLS.
        tls: The SSL context; None for a plain-text URL.
        server_name: The name that the server's certificate must have; None: the URL's host.
        proxy: URL of an HTTP proxy, or None.
        socket_options: Set on each socket.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 32,
        connect_timeout_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        proxy: str | None = None,
        socket_options: Sequence[SocketOption] = (),
    ) -> None:
        self._url = url.rstrip("/")
        self._extra: dict[str, Any] = {"proxy": proxy, "server_hostname": server_name}
        self._sockets = Sockets(socket_options)
        connect = partial(_connector, tls=tls, sockets=self._sockets)
        self._connect_timeout_s = connect_timeout_s
        self._requests = _session(connect(limit=connections))
        self._streams = _session(connect(limit=0))
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._limits = TimeLimits()

    async def request(self, request: Request) -> Response:
        """See :meth:`podrunner.kube.transport.Transport.request`."""
        try:
            return await self._limits.keep(request.timeout_s, self._answered(request))
        except (*_FAILURES, TransportError) as error:
            raise self._failed(request, error) from harmless(error, secrets=request.credentials)

    async def _answered(self, request: Request) -> Response:
        response = await self._requests.request(
            request.method,
            URL(self._url + request.target, encoded=True),
            data=request.body,
            headers=request.headers,
            timeout=self._timeout(request.connect_timeout_s),
            allow_redirects=False,
            **self._extra,
        )
        return _at_hand(response) or await _whole(response)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[_Stream]:
        """See :meth:`podrunner.kube.transport.Transport.stream`."""
        response = await self._open(request)
        try:
            yield _Stream(response, failed=partial(self._failed, request))
        finally:
            _hang_up(response)

    async def _open(self, request: Request) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(request.timeout_s):
                return await self._streams.request(
                    request.method,
                    URL(self._url + request.target, encoded=True),
                    data=request.body,
                    headers=request.headers,
                    timeout=self._timeout(request.connect_timeout_s),
                    allow_redirects=False,
                    **self._extra,
                )
        except _FAILURES as error:
            raise self._failed(request, error) from harmless(error, secrets=request.credentials)

    @asynccontextmanager
    async def upgrade(self, request: Request, subprotocols: Sequence[str]) -> AsyncIterator[_Socket]:
        """See :meth:`podrunner.kube.transport.Transport.upgrade`."""
        socket_ = await self._handshake(request, subprotocols)
        try:
            yield _Socket(socket_, failed=partial(self._failed, request))
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await socket_.close()

    async def _handshake(
        self, request: Request, subprotocols: Sequence[str]
    ) -> aiohttp.ClientWebSocketResponse:
        refusals: list[Response] = []
        try:
            async with (
                asyncio.timeout(request.timeout_s),
                # A session for this one handshake: its trace keeps the refusal's body, which ws_connect throws away.
                _session(
                    self._streams.connector,
                    timeout=self._timeout(request.connect_timeout_s),
                    trace=_keep_refusal(refusals),
                    owns=False,
                ) as session,
            ):
                opened: aiohttp.ClientWebSocketResponse = await session.ws_connect(
                    URL(self._url + request.target, encoded=True),
                    method=request.method,
                    protocols=subprotocols,
                    headers=request.headers,
                    max_msg_size=MAX_MESSAGE_BYTES,
                    **self._extra,
                )
                return opened
        except aiohttp.WSServerHandshakeError as error:
            if refusals:
                raise HandshakeRefusedError(refusals[0]) from None
            raise self._failed(request, error) from harmless(error, secrets=request.credentials)
        except _FAILURES as error:
            raise self._failed(request, error) from harmless(error, secrets=request.credentials)

    async def aclose(self) -> None:
        """Close all connections: no socket is open when this returns.

        aiohttp forgets a connection whose request was cancelled once TLS is shut down, but asyncio keeps its socket
        until the server has answered that, and the loop may end first.
        """
        self._limits.close()
        await self._requests.close()
        await self._streams.close()
        self._sockets.shut_down()
        for _ in range(_ROUNDS_TO_CLOSE):
            if not self._sockets.still_open:
                return
            await asyncio.sleep(0)

    def _timeout(self, connect_s: float | None) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(connect_s)
        if timeout is None:
            sock_connect_s = connect_s or self._connect_timeout_s
            timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=sock_connect_s)
            self._timeouts[connect_s] = timeout
        return timeout

    def _failed(self, request: Request, error: BaseException) -> TransportError:
        sent = not isinstance(error, _NEVER_SENT)
        if isinstance(error, TimeoutError):
            kind: type[TransportError] = RequestTimeoutError
            said = timeout_message(request, sent=sent, connect_timeout_s=self._connect_timeout_s)
        else:
            kind = AnswerTooLongError if isinstance(error, AnswerTooLongError) else TransportError
            said = _message_of(error)
        url = f"{shown_origin(self._url)}{request.path}"
        message = f"{request.method} {url}: {redact(said, secrets=request.credentials)}"
        return kind(message, method=request.method, url=url, sent=sent)


class _Stream:
    """A response whose body is read as it comes."""

    def __init__(self, response: aiohttp.ClientResponse, *, failed: Any) -> None:
        self._response = response
        self._failed = failed
        self._body = _body(response)

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        try:
            batch = await self._body.piece()
        except (*_FAILURES, TransportError) as error:
            raise self._failed(error) from harmless(error)
        if not batch:
            raise StopAsyncIteration
        return batch


class _Socket:
    """A WebSocket of aiohttp, which answers pings itself."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse, *, failed: Any) -> None:
        self._socket = socket_
        self._failed = failed

    @property
    def subprotocol(self) -> str | None:
        return self._socket.protocol

    async def receive(self) -> bytes | None:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data).encode()
        if message.type is aiohttp.WSMsgType.ERROR and _is_too_long(message.data):
            raise self._failed(TransportError(f"a message is longer than {MAX_MESSAGE_BYTES} bytes"))
        return None

    async def send(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except _FAILURES as error:
            raise self._failed(error) from harmless(error)


def _session(
    connector: aiohttp.BaseConnector | None,
    *,
    timeout: aiohttp.ClientTimeout = _NO_TIMEOUT,
    trace: aiohttp.TraceConfig | None = None,
    owns: bool = True,
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=owns,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        read_bufsize=READ_BUFFER_BYTES,
        auto_decompress=False,  # bodies does it, within bounds
        timeout=timeout,
        trace_configs=[trace] if trace is not None else None,
    )


def _connector(*, limit: int, tls: ssl.SSLContext | None, sockets: Sockets) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(
        limit=limit,
        ssl=tls if tls is not None else True,
        socket_factory=sockets.open,
    )


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """Close the connection at once: a polite end of TLS would wait for the server's, which may outlast the loop."""
    connection = response.connection  # None once the body was read to its end
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _body(response: aiohttp.ClientResponse) -> Body:
    return Body(response.content.readany, response.headers)


def _at_hand(response: aiohttp.ClientResponse) -> Response | None:
    """Return a plain answer that has come to its end, as most have when their headers are read; else None."""
    is_success = 200 <= response.status < 300
    if not (is_success and response.content.is_eof()) or "Content-Encoding" in response.headers:
        return None
    return Response(response.status, response.headers, response.content.read_nowait())


async def _whole(response: aiohttp.ClientResponse) -> Response:
    try:
        body, complete = await _body(response).whole(status=response.status)
    except BaseException:
        _hang_up(response)
        raise
    if not complete:
        _hang_up(response)
    return Response(response.status, response.headers, body)


def _is_too_long(error: object) -> bool:
    return isinstance(error, aiohttp.WebSocketError) and error.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


def _keep_refusal(refusals: list[Response]) -> aiohttp.TraceConfig:
    async def keep(_session: Any, _context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        response = params.response
        if response.status != 101:
            refusals.append(await _whole(response))

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(keep)
    return trace


def _message_of(error: BaseException) -> str:  # noqa: PLR0911  # a table: one return per row
    """Return a plain message: aiohttp's own quote its settings, its parser, and what the server sent."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return plain_tls(f"the server's certificate is not trusted: {error.certificate_error}")
        case aiohttp.ClientConnectorError():
            said = system_message(error.os_error) or error.os_error.strerror or error.os_error
            return plain_tls(f"cannot connect: {said}")
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refuses: {error.status} {error.message}"
        case aiohttp.ServerDisconnectedError():
            return NO_ANSWER
        case aiohttp.ClientPayloadError():
            return HALF_AN_ANSWER
    if type(error) is aiohttp.ClientResponseError:  # its subclasses are answers: a proxy's, a WebSocket's
        return NO_HTTP
    return str(error) or type(error).__name__
