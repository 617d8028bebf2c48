"""LocalCluster: an API server and a kubelet in a thread of this process, for as long as a ``with`` block.

The thread, its event loop, the folder and its lock, the token and the kubeconfig belong here. What is served is
``control``'s business.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import threading
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio.to_thread

from podrunner.errors import UsageError
from podrunner.interruption import complete, interruptions, persist, wait_out
from podrunner.local.certificates import Certificates, make_certificates
from podrunner.local.control import ControlPlane
from podrunner.local.folder import ClusterFolder
from podrunner.local.kubeconfig import kubeconfig, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from podrunner.local.kubelet import Lifecycle
    from podrunner.local.kubelet.isolation import IsolationChoice

__all__ = ["LocalCluster"]

T = TypeVar("T")

_HOST = "127.0.0.1"
_BEGINS_WITHIN_S = 5.0
"""A thread that was started begins at once; one that Ctrl-C kept from being started never does."""
_STOP_TIMEOUT_S = 30.0
"""Longest wait for the thread's end: the kubelet kills what is left after a few seconds."""


class LocalCluster:
    """A small Kubernetes on this machine's loopback address, for development, demos and tests.

    Use it as ``async with LocalCluster() as cluster`` (asyncio, trio) or ``with LocalCluster.blocking() as cluster``.
    Any client finds it by :attr:`kubeconfig`.

    Args:
        folder: Where logs, volumes and the kubeconfig are; None for a temporary folder that is removed at the end.
        port: TCP port; 0 for a free one.
        images: Image name → what it means here; None: every name runs with this machine's own programs.
        strict_images: An image that is not in ``images`` ends in ``ErrImagePull``, as on a real node.
        isolation: How containers are kept apart: ``auto``, ``namespaces`` or ``none``.
        capacity: Allocatable resources of the node (``{"nvidia.com/gpu": "2"}``), over those of the machine.
        tls: Serve HTTPS, which needs ``podrunner[local]``. False serves plain HTTP, to which kubectl sends no token.

    Raises:
        ConfigError: HTTPS is asked for, and ``podrunner[local]`` is not installed.

    Attributes:
        url: Address of the API server, once started.
        token: Bearer token of the only user.
        folder: The folder, once started.
        kubeconfig: The kubeconfig file (mode 0600), once started.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        port: int = 0,
        images: Mapping[str, Any] | None = None,
        strict_images: bool = False,
        isolation: IsolationChoice = "auto",
        capacity: Mapping[str, str] | None = None,
        tls: bool = True,
    ) -> None:
        self._folder = ClusterFolder(Path(folder) if folder is not None else None)
        self._port = port
        self._certificates: Certificates | None = make_certificates() if tls else None
        self._node_options: dict[str, Any] = {
            "images": images,
            "strict_images": strict_images,
            "isolation": isolation,
            "capacity": capacity,
        }
        self._thread: threading.Thread | None = None
        self._begun = threading.Event()
        self._over = threading.Event()
        self._is_stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._control: ControlPlane | None = None
        self.token: str = secrets.token_urlsafe(32)
        self.url: str = ""

    @property
    def folder(self) -> Path:
        """The cluster's folder."""
        return self._folder.path

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file."""
        return self._folder.path / "kubeconfig"

    @property
    def authority(self) -> str | None:
        """PEM text of the certificate authority; None without TLS."""
        return self._certificates.authority if self._certificates else None

    @classmethod
    @contextmanager
    def blocking(cls, *args: Any, **options: Any) -> Iterator[Self]:
        """Run a cluster as a context manager for code without an event loop; takes the arguments of the class."""
        cluster = cls(*args, **options)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()

    async def __aenter__(self) -> Self:
        try:
            await complete(partial(anyio.to_thread.run_sync, self.start), name="start of a LocalCluster")
        except interruptions():
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        stop = partial(persist, partial(anyio.to_thread.run_sync, self.stop))
        await complete(stop, name="stop of a LocalCluster")

    def start(self) -> None:
        """Start the thread and wait until the API server answers.

        Raises:
            UsageError: It runs already, its folder is used by another, or its port is taken.
        """
        if self._thread is not None:
            raise UsageError("this LocalCluster runs already")
        started: Future[None] = Future()
        self._begun, self._over, self._is_stopped = threading.Event(), threading.Event(), False
        self._loop = self._stopping = None
        try:
            self._thread = threading.Thread(
                target=self._run, args=(started,), name="podrunner-local-cluster", daemon=True
            )
            self._thread.start()
            started.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything: containers, server, thread; remove a temporary folder. A second call does nothing.

        What a signal's handler raises meanwhile, such as KeyboardInterrupt at Ctrl-C, is raised when that is done.
        """
        thread = self._thread
        if thread is None:
            return
        self._is_stopped = True
        interruption = wait_out(self._begun, within_s=_BEGINS_WITHIN_S)
        if self._begun.is_set():
            if self._loop is not None and self._stopping is not None:
                with suppress(RuntimeError):  # closed by now: a start that failed ends by itself
                    self._loop.call_soon_threadsafe(self._stopping.set)
            interruption = wait_out(self._over, within_s=_STOP_TIMEOUT_S) or interruption
            if not self._over.is_set():
                raise UsageError(f"the LocalCluster's thread did not end within {_STOP_TIMEOUT_S:.0f} s")
            thread.join()
        self._thread = None
        if interruption is not None:
            raise interruption

    def call(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Run a function on the cluster's own event loop and wait for its result; for tests and tools.

        Objects of the cluster (its store, its kubelet) may only be touched there.
        """
        if self._loop is None or self._thread is None or self._is_stopped:
            raise UsageError("this LocalCluster does not run")
        if threading.current_thread() is self._thread:
            return function(*args, **options)

        async def run() -> T:
            return function(*args, **options)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def script(
        self, matches: Callable[[Mapping[str, Any]], bool] | Mapping[str, str], lifecycle: Lifecycle
    ) -> None:
        """Let pods live a scripted life, without processes: thousands of them cost little.

        Args:
            matches: Labels that a pod must have, or a function of the pod.
            lifecycle: Durations, exit code and log.
        """
        self.call(self.control.kubelet.script, matches, lifecycle)

    @property
    def control(self) -> ControlPlane:
        """What runs on the cluster's loop; reach into it only through :meth:`call`."""
        if self._control is None:
            raise UsageError("this LocalCluster does not run")
        return self._control

    def _run(self, started: Future[None]) -> None:
        self._begun.set()
        try:
            with self._folder:
                asyncio.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)
        finally:
            self._over.set()

    async def _serve(self, started: Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        if self._is_stopped:  # before there was an event to say so
            self._stopping.set()
        async with AsyncExitStack() as stack:
            self._control = ControlPlane(
                self.folder, token=self.token, authority=self.authority or "", **self._node_options
            )
            stack.push_async_callback(self._control.stop)
            port = await self._control.start(host=_HOST, port=self._port, tls=self._tls_context())
            self.url = f"{'https' if self._certificates else 'http'}://{_HOST}:{port}"
            text = kubeconfig(url=self.url, token=self.token, authority=self.authority)
            write_private(self.kubeconfig, text)
            stack.callback(self.kubeconfig.unlink, missing_ok=True)
            started.set_result(None)
            await self._stopping.wait()

    def _tls_context(self) -> ssl.SSLContext | None:
        if self._certificates is None:
            return None
        chain, key = self.folder / ".tls.crt", self.folder / ".tls.key"
        write_private(chain, self._certificates.chain)
        write_private(key, self._certificates.key)
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key)
        finally:
            key.unlink()
            chain.unlink()
        return context
