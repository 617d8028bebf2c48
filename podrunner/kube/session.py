"""One client's session with its API server: credentials, the gate, one repeat after a 401, errors from answers.

Between the typed verbs (``client``), which know Kubernetes' paths and objects, and the transport, which knows neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from time import time
from typing import TYPE_CHECKING

import anyio

from podrunner.errors import ApiError, ForbiddenError, TransportError
from podrunner.event_loop import current_time
from podrunner.kube.answers import answer_error
from podrunner.kube.bodies import MAX_ERROR_BODY_BYTES
from podrunner.kube.credentials import Credentials, StaticCredentials
from podrunner.kube.gate import RetryAfterGate
from podrunner.kube.hints import hinted
from podrunner.kube.limiter import RequestLimiter, verb_class_of
from podrunner.kube.rights import KnownRights
from podrunner.kube.transport import (
    HandshakeRefusedError,
    Request,
    Response,
    ResponseStream,
    Transport,
    WebSocket,
    headers_of,
)
from podrunner.redaction import harmless, looks_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from podrunner.kube.limiter import VerbClass

__all__ = ["JSON", "JSON_OR_ANY", "Session"]

JSON = "application/json"

JSON_OR_ANY = "application/json, */*"
"""Accepted where a success is no object: a log (text), a switch to WebSocket; refusals still come as JSON. From 1.36 on
an API server passes a WebSocket handshake on to the kubelet, which answers 406 unless ``*/*`` is accepted (gate
``ExtendWebSocketsToKubelet``; ``InstallDebuggingHandlers`` in pkg/kubelet/server/server.go names no media type)."""

_FIXED = {"Accept-Encoding": "identity", "User-Agent": "podrunner"}
"""``identity`` is needed, not merely cheaper: from 1.37 on a streaming list is compressed for clients that accept gzip,
a gzip member per flush (gate ``WatchListCompression``), of which Python's decoders read only the first."""


class Session:
    """Sends requests with an identity, and turns refusals into errors.

    Args:
        transport: Carries the requests.
        credentials: Our identity; None: anonymous, or a client certificate.
        headers: More headers for each request (impersonation, an embedder's own), as a mapping or as pairs: one may
            repeat.
        timeout_s: Seconds for one request; for a stream, until it begins.
        gate: Closed by ``Retry-After``.
        lanes: Limits requests in flight; None: 32 at once.
        now: Seconds since the epoch, to read dates in ``Retry-After``.
        credentials_of: Where the credentials come from, for the error of a 401; "": not known.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        credentials: Credentials | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        timeout_s: float = 30.0,
        gate: RetryAfterGate | None = None,
        lanes: RequestLimiter | None = None,
        now: Callable[[], float] = time,
        credentials_of: str = "",
    ) -> None:
        self._transport = transport
        self._credentials = credentials or StaticCredentials()
        self._fixed = _fixed_headers(headers or ())
        self._timeout_s = timeout_s
        self._now = now
        self._credentials_of = credentials_of
        self._headers: dict[tuple[str | None, ...], Mapping[str, str]] = {}
        self._rights = KnownRights()
        self.gate: RetryAfterGate = gate or RetryAfterGate()
        self.limiter: RequestLimiter = lanes or RequestLimiter(32)

    async def send(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        gated: bool = True,
        before_send: Callable[[], None] | None = None,
    ) -> bytes:
        """Send one request and return the body of its success.

        Args:
            method: HTTP method.
            target: Path and query.
            body: The body, or None.
            content_type: Of the body; None: JSON.
            gated: False sends it also while the gate is closed, and beside the limiter: for what must not be late, as a
                lease.
            before_send: Called when all waiting is over, right before the request goes out; again, if it is repeated
                after a 401. What it raises is raised, and nothing goes out.

        Raises:
            ApiError: The server refused.
            TransportError: It could not be asked, or did not answer.
        """
        kind = None if body is None else content_type or JSON
        verb_class = verb_class_of(method) if gated else None
        if verb_class is not None and (self.gate.closed or not self.limiter.try_acquire(verb_class)):
            await self._acquire(verb_class)
        try:
            authorization = await self._credentials.authorization()
            headers = self._headers_for(authorization, kind)
            request = Request(method, target, headers, body, self._timeout_s)
            response = await self._ask(request, before_send)
            if response.status == 401 and await self._credentials.renew(authorization):
                headers = self._headers_for(await self._credentials.authorization(), kind)
                request = Request(method, target, headers, body, self._timeout_s)
                response = await self._ask(request, before_send)
        finally:
            if verb_class is not None:
                self.limiter.release(verb_class)
        if not 200 <= response.status < 300:
            raise self._refused(request, response.status, response.headers, response.body)
        self._rights.note(method, target)
        return response.body

    async def _acquire(self, verb_class: VerbClass) -> None:
        """Acquires a permit while the gate is open: a request that may not be sent holds none."""
        while True:
            if self.gate.closed:
                await self.gate.wait()
            if self.limiter.try_acquire(verb_class):
                return
            await self.limiter.acquire(verb_class)
            if not self.gate.closed:
                return
            self.limiter.release(verb_class)

    async def _ask(self, request: Request, before_send: Callable[[], None] | None) -> Response:
        if before_send is not None:
            before_send()
        try:
            return await self._transport.request(request)
        except TransportError:
            self._note_interruption()
            raise

    @asynccontextmanager
    async def stream(self, target: str, *, accept: str = JSON) -> AsyncIterator[ResponseStream]:
        """Open a stream. Entering raises what :meth:`send` raises.

        Args:
            target: Path and query.
            accept: The media type that is asked for.
        """
        if self.gate.closed:
            await self.gate.wait()
        async with AsyncExitStack() as stack:
            authorization = await self._credentials.authorization()
            stream, request = await self._begin(stack, target, accept, authorization)
            if stream.status == 401 and await self._credentials.renew(authorization):
                await stack.aclose()
                renewed = await self._credentials.authorization()
                stream, request = await self._begin(stack, target, accept, renewed)
            if not 200 <= stream.status < 300:
                raise self._refused(request, stream.status, stream.headers, await self._error_body(stream))
            self._rights.note("GET", target)
            yield stream

    async def _begin(
        self, stack: AsyncExitStack, target: str, accept: str, authorization: str | None
    ) -> tuple[ResponseStream, Request]:
        headers = self._headers_for(authorization, None, accept=accept)
        request = Request("GET", target, headers, None, self._timeout_s)
        try:
            return await stack.enter_async_context(self._transport.stream(request)), request
        except TransportError:
            self._note_interruption()
            raise

    def _note_interruption(self) -> None:
        """Note a request without an answer: after it a server may have started that does not know the rights yet."""
        self._rights.interrupted(current_time())

    async def _error_body(self, stream: ResponseStream) -> bytes:
        """Read the body of a refusal, as far as it comes in time: the status alone says enough."""
        body = b""
        with anyio.move_on_after(self._timeout_s):
            try:
                async for batch in stream:
                    body += batch
                    if len(body) >= MAX_ERROR_BODY_BYTES:
                        break
            except TransportError:
                return body[:MAX_ERROR_BODY_BYTES]
        return body[:MAX_ERROR_BODY_BYTES]

    @asynccontextmanager
    async def upgrade(self, target: str, subprotocols: Sequence[str]) -> AsyncIterator[WebSocket]:
        """Open a WebSocket. Entering raises what :meth:`send` raises."""
        if self.gate.closed:
            await self.gate.wait()
        async with AsyncExitStack() as stack:
            authorization = await self._credentials.authorization()
            try:
                socket = await self._shake(stack, target, subprotocols, authorization)
            except ApiError as error:
                if error.status != 401 or not await self._credentials.renew(authorization):
                    raise
                renewed = await self._credentials.authorization()
                socket = await self._shake(stack, target, subprotocols, renewed)
            self._rights.note("GET", target)
            yield socket

    async def _shake(
        self, stack: AsyncExitStack, target: str, subprotocols: Sequence[str], authorization: str | None
    ) -> WebSocket:
        headers = self._headers_for(authorization, None, accept=JSON_OR_ANY)
        request = Request("GET", target, headers, None, self._timeout_s)
        try:
            return await stack.enter_async_context(self._transport.upgrade(request, subprotocols))
        except HandshakeRefusedError as error:
            answer = error.response
            raise self._refused(request, answer.status, answer.headers, answer.body) from harmless(
                error, secrets=request.credentials
            )

    def _headers_for(
        self, authorization: str | None, content_type: str | None, *, accept: str = JSON
    ) -> Mapping[str, str]:
        """Return the headers, built once per token and kinds of body and answer."""
        headers = self._headers.get((authorization, content_type, accept))
        if headers is None:
            headers = headers_of([*self._pairs(authorization, content_type, accept)])
            if len(self._headers) >= 16:  # tokens that were replaced
                self._headers.clear()
            self._headers[authorization, content_type, accept] = headers
        return headers

    def _pairs(
        self, authorization: str | None, content_type: str | None, accept: str
    ) -> Iterator[tuple[str, str]]:
        """Give the headers: the credentials and the body's kind count over an embedder's own, those over the rest."""
        given = {"authorization": authorization, "content-type": content_type}
        fixed = [(name, value) for name, value in self._fixed if given.get(name.lower()) is None]
        if all(name.lower() != "accept" for name, _ in fixed):
            yield "Accept", accept
        yield from fixed
        if authorization is not None:
            yield "Authorization", authorization
        if content_type is not None:
            yield "Content-Type", content_type

    @property
    def secrets(self) -> frozenset[str]:
        """The credentials that were sent lately: what must not appear in errors."""
        sent = {authorization for authorization, _, _ in self._headers if authorization is not None}
        own = (value for name, value in self._fixed if looks_secret(name))
        return frozenset(sent.union(own))

    def _refused(self, request: Request, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
        error = answer_error(
            status,
            headers,
            body,
            method=request.method,
            path=request.path,
            now_s=self._now(),
            secrets=self.secrets,
        )
        if error.retry_after_s is not None:
            self.gate.close_for(error.retry_after_s)
        if isinstance(error, ForbiddenError):
            self._rights.judge(error, request.target, now_s=current_time())
        return hinted(error, target=request.target, credentials_of=self._credentials_of)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def _fixed_headers(
    own: Mapping[str, str] | Sequence[tuple[str, str]],
) -> tuple[tuple[str, str], ...]:
    """Return the headers of each request: an embedder's own count over ours, but for the encoding."""
    pairs = [*own.items()] if isinstance(own, Mapping) else [*own]
    own_pairs = [(name, value) for name, value in pairs if name.lower() != "accept-encoding"]
    named = {name.lower() for name, _ in own_pairs}
    ours = [(name, value) for name, value in _FIXED.items() if name.lower() not in named]
    return (*ours, *own_pairs)
