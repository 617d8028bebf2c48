"""TcpProxy: bytes from one side to the other, late, slowly, or not at all. TLS goes through it unseen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from podrunner.testing.faults.life import Proxy
from podrunner.testing.faults.listener import Connection
from podrunner.testing.faults.upstream import redirected, server_of

if TYPE_CHECKING:
    from podrunner.local import LocalCluster

__all__ = ["Line", "TcpProxy"]

_BATCH = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How a connection is. The defaults are: perfect.

    Attributes:
        delay_s: Seconds that each batch takes, in either direction.
        bytes_per_s: So fast at most, from the server; None: as it comes.
        cut_after_bytes: Reset after so many bytes from the server; None: never.
        freeze_after_bytes: Let nothing more pass after so many, without closing it; None: never.
    """

    delay_s: float = 0.0
    bytes_per_s: float | None = None
    cut_after_bytes: int | None = None
    freeze_after_bytes: int | None = None


class TcpProxy(Proxy):
    """Passes bytes on to an API server, and does to them what :attr:`line` says.

    Args:
        cluster: A LocalCluster that runs, or the kubeconfig of any cluster.

    Attributes:
        line: How connections are that begin from now on; set it at any time.
    """

    def __init__(self, cluster: LocalCluster | Path | str) -> None:
        kubeconfig = Path(cluster) if isinstance(cluster, str | Path) else cluster.kubeconfig
        document = redirected(kubeconfig, "")
        there = urlsplit(server_of(kubeconfig))
        self._address = (there.hostname or "", there.port or (443 if there.scheme == "https" else 80))
        self.line: Line = Line()

        def to_here(url: str) -> dict[str, object]:
            document["clusters"][0]["cluster"]["server"] = url
            return document

        super().__init__(self._serve, to_here, name="podrunner-tcp-proxy", scheme=there.scheme)

    async def _serve(self, client: Connection) -> None:
        line = self.line
        reader, writer = await asyncio.open_connection(*self._address)
        server = Connection(reader, writer)
        try:
            both = [
                asyncio.ensure_future(_pump(client, server, Line(delay_s=line.delay_s), owner=client)),
                asyncio.ensure_future(_pump(server, client, line, owner=client)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        finally:
            server.close()


async def _pump(source: Connection, target: Connection, line: Line, *, owner: Connection) -> None:
    passed = 0
    while data := await source.reader.read(_BATCH if line.bytes_per_s is None else 1024):
        if line.delay_s:
            await asyncio.sleep(line.delay_s)
        if line.cut_after_bytes is not None and passed + len(data) >= line.cut_after_bytes:
            await target.send(data[: line.cut_after_bytes - passed])
            target.reset()
            return
        if line.freeze_after_bytes is not None and passed + len(data) >= line.freeze_after_bytes:
            await target.send(data[: line.freeze_after_bytes - passed])
            owner.frozen = True
        await owner.pause_if_frozen()
        await target.send(data)
        passed += len(data)
        if line.bytes_per_s is not None:
            await asyncio.sleep(len(data) / line.bytes_per_s)
