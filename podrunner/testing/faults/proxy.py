"""FaultProxy: passes requests on to an API server, and does to them what the rules say.

It speaks plain HTTP to its clients, so that faults can be put inside HTTP; to the API server whatever its kubeconfig
says. Which fault is due is decided in ``rules``, what it makes of a body in ``shape``; here it is done.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.testing.faults.http import Head, batches, chunk, read_head, reply
from podrunner.testing.faults.life import Proxy
from podrunner.testing.faults.listener import Connection, forever
from podrunner.testing.faults.rules import Asked, Effect, Faults, read_target
from podrunner.testing.faults.shape import Shape
from podrunner.testing.faults.upstream import Upstream, direct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from podrunner.local import LocalCluster
    from podrunner.testing.faults.rules import On

__all__ = ["FaultProxy"]

_NOTHING = Effect("passed")
_REMEMBERED = 64
"""Answers that are kept for :meth:`~podrunner.testing.faults.On.outdated`."""

_BODILESS = frozenset({204, 304})


class _ResetError(Exception):
    """The connection to the client is to be reset."""


class FaultProxy(Proxy):
    """An HTTP proxy before an API server, with faults.

    Its kubeconfig holds a token of its own, for nothing but this proxy; the proxy uses the credentials of the
    kubeconfig that it was given (a token or a client certificate). It listens on the loopback address only.

    Args:
        cluster: A LocalCluster that runs, or the kubeconfig of any cluster.
        faults: The rules; None: new ones, without any.

    Attributes:
        faults: The rules.

    Raises:
        UsageError: The kubeconfig cannot be used.
    """

    def __init__(self, cluster: LocalCluster | Path | str, faults: Faults | None = None) -> None:
        kubeconfig = Path(cluster) if isinstance(cluster, str | Path) else cluster.kubeconfig
        self.faults: Faults = faults if faults is not None else Faults()
        self._upstream = Upstream.of(kubeconfig)
        self._token = secrets.token_urlsafe(32)
        self._earlier: OrderedDict[str, tuple[Head, bytes]] = OrderedDict()
        super().__init__(
            self._serve,
            lambda url: direct(kubeconfig, url, self._token),
            name="podrunner-fault-proxy",
            scheme="http",
        )

    def on(self, method: str = "*", resource: str = "*", **selection: Any) -> On:
        """Choose requests, as :meth:`Faults.on <podrunner.testing.faults.Faults.on>` of :attr:`faults`."""
        return self.faults.on(method, resource, **selection)

    async def _serve(self, client: Connection) -> None:
        """Answer one request after the other."""
        while (head := await read_head(client.reader)) is not None:
            await client.pause_if_frozen()
            body = b"".join([data async for data in batches(client.reader, head)])
            if head.get("authorization") != f"Bearer {self._token}":
                await client.send(reply(401, {}, b"this is not the proxy's token"))
                continue
            if not await self._or_gone(client, self._exchange(client, head, body)):
                return

    async def _or_gone(self, client: Connection, exchange: Coroutine[Any, Any, bool]) -> bool:
        """Do it, or leave off when the client is gone; whether the connection can be used further."""
        doing = asyncio.ensure_future(exchange)
        gone = asyncio.ensure_future(client.gone())
        try:
            await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED)
            return bool(doing.done() and doing.result())
        except _ResetError:
            client.reset()
            return False
        finally:
            for task in (doing, gone):
                task.cancel()
            await asyncio.gather(doing, gone, return_exceptions=True)

    async def _exchange(self, client: Connection, head: Head, body: bytes) -> bool:
        method, target, _ = head.start.split(" ", 2)
        asked = read_target(method, target)
        effect = self.faults.decide(asked) or _NOTHING
        await asyncio.sleep(effect.delay_s)
        if effect.drop:
            raise _ResetError
        if effect.hang:
            await forever()
        if effect.answer is not None:
            await client.send(reply(*effect.answer))
            return True
        if effect.outdated and target in self._earlier:
            return await self._send_earlier(client, target)
        return await self._pass_on(client, head, body, effect=effect, asked=asked)

    async def _pass_on(
        self, client: Connection, head: Head, body: bytes, *, effect: Effect, asked: Asked
    ) -> bool:
        async with self._server() as server:
            await server.send(bytes(self._for_server(head, body)) + body)
            answer = await read_head(server.reader)
            if answer is None:
                raise _ResetError
            if effect.lose_reply:
                raise _ResetError
            await asyncio.sleep(effect.delay_reply_s)
            if answer.status == 101:
                await client.send(bytes(answer))
                await _relay(client, server)
                return False
            if asked.method == "HEAD" or answer.status in _BODILESS:
                await client.send(bytes(answer.having(connection=None)))
                return True
            return await self._send_body(client, server, answer, effect=effect, remember=_key(head, asked))

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[Connection]:
        server = Connection(*await self._upstream.open())
        try:
            yield server
        finally:
            server.reset()

    def _for_server(self, head: Head, body: bytes) -> Head:
        upgrade = bool(head.get("upgrade"))
        token = self._upstream.token
        return head.having(
            host=f"{self._upstream.host}:{self._upstream.port}",
            authorization=f"Bearer {token}" if token else None,
            connection="Upgrade" if upgrade else "close",
            transfer_encoding=None,
            expect=None,
            accept_encoding=None,
            content_length=str(len(body)) if body else None,
        )

    async def _send_body(
        self, client: Connection, server: Connection, answer: Head, *, effect: Effect, remember: str
    ) -> bool:
        """Send it as the effect shapes it; whether the connection can be used further."""
        await client.send(bytes(_for_client(answer)))
        shape = Shape(effect)
        kept = bytearray()
        if not shape.over:
            async for data in batches(server.reader, answer, until_close=True):
                if remember:
                    kept += data
                await _send_part(client, shape.feed(data), effect.bytes_per_s)
                if shape.over:
                    break
        if shape.over and effect.stall:
            await forever()
        if shape.over and not effect.end:
            return False  # closed without the body's end; a reset would take back what was sent
        if not shape.over:
            await _send_part(client, shape.rest(), None)
        await client.send(chunk(b""))
        if remember:
            self._remember(remember, answer, bytes(kept))
        return True

    def _remember(self, target: str, answer: Head, body: bytes) -> None:
        self._earlier[target] = (answer, body)
        self._earlier.move_to_end(target)
        if len(self._earlier) > _REMEMBERED:
            self._earlier.popitem(last=False)

    async def _send_earlier(self, client: Connection, target: str) -> bool:
        answer, body = self._earlier[target]
        await client.send(bytes(_for_client(answer)))
        await _send_part(client, body, None)
        await client.send(chunk(b""))
        return True


def _key(head: Head, asked: Asked) -> str:
    """Under what an answer is remembered; "": it is not."""
    return (
        head.start.split(" ", 2)[1]
        if asked.method == "GET" and not asked.watch and "/" not in asked.resource
        else ""
    )


def _for_client(answer: Head) -> Head:
    return answer.having(connection=None, content_length=None, transfer_encoding="chunked")


async def _send_part(client: Connection, data: bytes, bytes_per_s: float | None) -> None:
    if bytes_per_s is None:
        if data:
            await client.send(chunk(data))
        return
    step = max(1, int(bytes_per_s / 10))
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        await client.send(chunk(piece))
        await asyncio.sleep(len(piece) / bytes_per_s)


async def _relay(one: Connection, other: Connection) -> None:
    """Pass bytes both ways until either side closes."""
    both = [asyncio.ensure_future(_pass(one, other)), asyncio.ensure_future(_pass(other, one))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _pass(source: Connection, target: Connection) -> None:
    while data := await source.reader.read(64 * 1024):
        await source.pause_if_frozen()
        await target.send(data)
