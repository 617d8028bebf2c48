"""Until a Kubernetes API server has answered: failures name the address and where it comes from.

A wrong address, a server that does not run and one that is no Kubernetes look like an outage to everything above, which
is patient with outages. Once an API server has answered, everything passes through, and this costs one test.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from time import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from podrunner.errors import RequestTimeoutError, TransportError, UnreachableError
from podrunner.kube.answers import answer_error
from podrunner.kube.transport import HandshakeRefusedError
from podrunner.redaction import shown_origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from podrunner.kube.access import Access
    from podrunner.kube.transport import Request, Response, ResponseStream, Transport, WebSocket

__all__ = ["FirstContactTransport"]

T = TypeVar("T")

_OF_ANY_SERVER = frozenset({401, 403, 407, 429})
"""Refusals that say what they mean, also if it is a gateway that refuses."""


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class FirstContactTransport:
    """Passes everything on, and turns failures before the first answer of an API server into UnreachableError.

    A request that was sent and got no answer in time stays what it is: that server is slow, not missing.

    Args:
        transport: Carries the requests.
        access: The address, and where it comes from.
        connect_timeout_s: Seconds for a connection, until then.
    """

    def __init__(self, transport: Transport, access: Access, *, connect_timeout_s: float) -> None:
        self._transport = transport
        self._server = f"{shown_origin(access.url)}{urlsplit(access.url).path}"
        self._source = access.source
        self._by = f", by way of the proxy {shown_origin(access.proxy)}" if access.proxy else ""
        self._connect_timeout_s = connect_timeout_s
        self._reached = False

    async def request(self, request: Request) -> Response:
        """See :meth:`podrunner.kube.transport.Transport.request`."""
        if self._reached:
            return await self._transport.request(request)
        try:
            response = await self._transport.request(self._hastened(request))
        except TransportError as error:
            raise self._unreachable(request, error) from error.__cause__
        self._judge(request, response.status, response.headers, response.body)
        return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[ResponseStream]:
        """See :meth:`podrunner.kube.transport.Transport.stream`."""
        async with AsyncExitStack() as stack:
            if self._reached:
                stream = await stack.enter_async_context(self._transport.stream(request))
            else:
                stream = await self._first(stack, request, self._transport.stream(self._hastened(request)))
                self._judge(request, stream.status, stream.headers, None)
            yield stream

    @asynccontextmanager
    async def upgrade(self, request: Request, subprotocols: Sequence[str]) -> AsyncIterator[WebSocket]:
        """See :meth:`podrunner.kube.transport.Transport.upgrade`."""
        async with AsyncExitStack() as stack:
            if self._reached:
                socket = await stack.enter_async_context(self._transport.upgrade(request, subprotocols))
            else:
                opening = self._transport.upgrade(self._hastened(request), subprotocols)
                socket = await self._first(stack, request, opening)
                self._reached = True
            yield socket

    async def _first(
        self, stack: AsyncExitStack, request: Request, opening: AbstractAsyncContextManager[T]
    ) -> T:
        try:
            return await stack.enter_async_context(opening)
        except TransportError as error:
            raise self._unreachable(request, error) from error.__cause__
        except HandshakeRefusedError as error:
            self._judge(request, error.response.status, error.response.headers, error.response.body)
            raise

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _hastened(self, request: Request) -> Request:
        return msgspec.structs.replace(request, connect_timeout_s=self._connect_timeout_s)

    def _unreachable(self, request: Request, error: TransportError) -> TransportError:
        if isinstance(error, RequestTimeoutError) and error.sent:
            where = f"nothing has answered yet at {self._server} ({self._source}{self._by})"
            return RequestTimeoutError(f"{error}; {where}", method=error.method, url=error.url)
        return self._error(request, str(error).removeprefix(f"{error.method} {error.url}: "), sent=error.sent)

    def _judge(self, request: Request, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
        """Note that an API server answered; raise if it was another one."""
        if _is_of_kubernetes(status, headers.get("Content-Type", ""), body):
            self._reached = True
        elif status not in _OF_ANY_SERVER and not 300 <= status < 400:
            answer = answer_error(
                status,
                headers,
                body or b"",
                method=request.method,
                path=request.path,
                now_s=time(),
                secrets=request.credentials,
            )
            said = f": {answer.server_message}" if answer.server_message else ""
            problem = f"another server answers {request.method} {request.path} with {status}{said}"
            raise self._error(request, problem, sent=True)

    def _error(self, request: Request, problem: str, *, sent: bool) -> UnreachableError:
        return UnreachableError(
            f"no Kubernetes API server at {self._server} ({self._source}{self._by}): {problem}",
            server=self._server,
            source=self._source,
            method=request.method,
            url=f"{self._server}{request.path}",
            sent=sent,
        )


def _is_of_kubernetes(status: int, content_type: str, body: bytes | None) -> bool:
    """Say whether an API server answered: by an object, or by a log's text. Of a stream, only the headers are known."""
    media = content_type.partition(";")[0].strip().lower()
    succeeded = 200 <= status < 300
    if body is None:
        return media != "text/html"
    if succeeded and media == "text/plain":
        return True
    try:
        found = _OBJECT.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    # Any refusal of an API server is a Status; what fails on the way may say less.
    return bool(found) if succeeded else status >= 500 or not found.keys().isdisjoint({"kind", "reason"})
