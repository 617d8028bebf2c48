"""What both proxies have in common: a thread, a kubeconfig, and a life as a context manager of either kind."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import anyio.to_thread

from podrunner.testing.faults.listener import HOST, Listener
from podrunner.testing.faults.upstream import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from podrunner.testing.faults.listener import Connection

__all__ = ["Proxy"]


class Proxy:
    """A listener before an API server, with a kubeconfig that leads to it.

    Use it as ``async with`` or ``with Proxy.blocking(…)``; or call :meth:`start` and :meth:`stop`.
    """

    def __init__(
        self,
        handle: Callable[[Connection], Awaitable[None]],
        document: Callable[[str], dict[str, Any]],
        *,
        name: str,
        scheme: str,
    ) -> None:
        self._listener = Listener(handle, name=name)
        self._document = document
        self._scheme = scheme
        self._folder: Path | None = None

    @property
    def url(self) -> str:
        """Its address, once started."""
        return f"{self._scheme}://{HOST}:{self._listener.port}"

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig (mode 0600) by which clients reach the API server through the proxy, once started."""
        assert self._folder is not None, "the proxy is started"
        return self._folder / "kubeconfig"

    @classmethod
    @contextmanager
    def blocking(cls, *args: Any, **options: Any) -> Iterator[Self]:
        """A started proxy for code without an event loop; takes what the class takes."""
        proxy = cls(*args, **options)
        proxy.start()
        try:
            yield proxy
        finally:
            proxy.stop()

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.stop)

    def start(self) -> None:
        """Start it; return when connections are accepted.

        Raises:
            UsageError: It runs already.
        """
        self._listener.start()
        self._folder = Path(tempfile.mkdtemp(prefix="podrunner-faults-"))
        write_kubeconfig(self._document(self.url), self._folder)

    def stop(self) -> None:
        """Close all connections and end the thread. Twice is harmless."""
        self._listener.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def cut(self) -> int:
        """Reset all connections: the other side gets RST. Return how many there were."""
        return self._listener.cut()

    def freeze(self) -> int:
        """Let nothing pass any more on the connections that are open now, which stay open: half-open TCP.

        New connections work. Return how many there were.
        """
        return self._listener.freeze()

    def down(self) -> None:
        """Reset all connections and refuse new ones, until :meth:`up`: a server that is being restarted."""
        self._listener.down()

    def up(self) -> None:
        """Accept connections again, at the same port."""
        self._listener.up()

    def outage(self) -> AbstractContextManager[None]:
        """Be down for as long as a ``with`` block."""
        return self._listener.outage()
