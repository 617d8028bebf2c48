"""Reports each request of a client: a transport around the client's own, which is there only while one observes.

What is made of the reports does not belong here.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import msgspec

from podrunner.errors import TransportError
from podrunner.kube.transport import HandshakeRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from podrunner.kube.client import KubeClient
    from podrunner.kube.transport import Request, Response, ResponseStream, Transport, WebSocket

__all__ = ["ApiRequest", "observe_requests"]

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch"}


class ApiRequest(msgspec.Struct, frozen=True):
    """A request to the API server that was answered, or not.

    Attributes:
        verb: As Kubernetes' audit log says it: ``create``, ``get``, ``list``, ``watch``, ``update``, ``patch``,
            ``delete``.
        resource: The resource, and a subresource: ``pods``, ``pods/log``, ``leases``, …
        code: The HTTP status; 0: no answer.
        seconds: From sending to the whole answer; of a stream, to its begin. Waiting for a permit does not count.
    """

    verb: str
    resource: str
    code: int
    seconds: float


@contextmanager
def observe_requests(client: KubeClient, report: Callable[[ApiRequest], None]) -> Iterator[None]:
    """Calls a function with each request of a client, until the block is left.

    Several may observe one client. Requests that begin meanwhile and end later are reported too; one that is cancelled
    is not.
    """
    session = client._session  # noqa: SLF001  # the client's own room
    observed = session._transport  # noqa: SLF001
    if not isinstance(observed, _ObservedTransport):
        observed = session._transport = _ObservedTransport(observed)  # noqa: SLF001
    observed.reports = (*observed.reports, report)
    try:
        yield
    finally:
        observed.reports = tuple(each for each in observed.reports if each is not report)
        if not observed.reports:
            session._transport = observed.inner  # noqa: SLF001


class _ObservedTransport:
    """Carries requests by another transport, and reports them.

    Attributes:
        inner: The other one.
        reports: What is called with each request.
    """

    def __init__(self, inner: Transport) -> None:
        self.inner: Transport = inner
        self.reports: tuple[Callable[[ApiRequest], None], ...] = ()

    async def request(self, request: Request) -> Response:
        began_s = time.monotonic()
        try:
            response = await self.inner.request(request)
        except TransportError:
            self._report(request, 0, began_s)
            raise
        self._report(request, response.status, began_s)
        return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[ResponseStream]:
        began_s, has_begun = time.monotonic(), False
        try:
            async with self.inner.stream(request) as stream:
                has_begun = True
                self._report(request, stream.status, began_s)
                yield stream
        except TransportError:
            if not has_begun:
                self._report(request, 0, began_s)
            raise

    @asynccontextmanager
    async def upgrade(self, request: Request, subprotocols: Sequence[str]) -> AsyncIterator[WebSocket]:
        began_s, has_begun = time.monotonic(), False
        try:
            async with self.inner.upgrade(request, subprotocols) as socket:
                has_begun = True
                self._report(request, 101, began_s)
                yield socket
        except HandshakeRefusedError as error:
            self._report(request, error.response.status, began_s)
            raise
        except TransportError:
            if not has_begun:
                self._report(request, 0, began_s)
            raise

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _report(self, request: Request, code: int, began_s: float) -> None:
        verb, resource = verb_and_resource(request.method, request.target)
        done = ApiRequest(verb, resource, code, time.monotonic() - began_s)
        for report in self.reports:
            report(done)


def verb_and_resource(method: str, target: str) -> tuple[str, str]:
    """Return a request's verb and resource, as Kubernetes' audit log names them."""
    path, _, query = target.partition("?")
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    resource = "/".join([*parts[:1], *parts[2:3]])
    if method == "DELETE":
        return ("delete" if len(parts) > 1 else "deletecollection"), resource
    if method != "GET":
        return _VERBS.get(method, method.lower()), resource
    if len(parts) > 1:
        return "get", resource
    return ("watch" if "watch" in parse_qs(query) else "list"), resource
