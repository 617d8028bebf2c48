"""Open a client: access, transport and credentials put together, and closed again."""

from __future__ import annotations

import importlib
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import current_token

from podrunner.errors import ConfigError
from podrunner.kube.access import Access, access_of_api_client, open_access
from podrunner.kube.client import KubeClient
from podrunner.kube.first_contact import FirstContactTransport
from podrunner.kube.flow import AdaptiveLimit
from podrunner.kube.limiter import RequestLimiter
from podrunner.kube.rotation import RotatingTransport
from podrunner.kube.sockets import SocketOption, keepalive_options
from podrunner.kube.tls import ssl_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    import httpx

    from podrunner.config import RunnerConfig, TcpKeepalive
    from podrunner.kube.transport import Transport

__all__ = ["connect", "open_transport"]

_UNLIMITED_CONNECTIONS = 2
"""Connections for requests about Leases, which are not limited."""


@asynccontextmanager
async def connect(
    config: RunnerConfig,
    *,
    access: Access | None = None,
    api_client: Any = None,
    http_client: httpx.AsyncClient | None = None,
    lends_terminal: bool = False,
    around: Callable[[Transport], Transport] | None = None,
) -> AsyncIterator[KubeClient]:
    """Open a client for the cluster that the configuration names; leaving the context closes it.

    No request is sent yet: a server that cannot be reached shows with the first one, as UnreachableError until one was
    answered.

    Args:
        config: ``cluster``, ``kubeconfig``, ``context``, TLS, ``transport``, ``connections``, timeouts, keepalive.
        access: How to reach the server, instead of what the configuration says.
        api_client: An embedder's ``kubernetes_asyncio.client.ApiClient``, to take over its configuration; stays open.
        http_client: An embedder's ``httpx.AsyncClient``, to send requests with; stays open. Its own TLS settings,
            proxies and pool apply: a watch and each followed log hold one of its connections.
        lends_terminal: Whether a kubeconfig's exec plugin may use this process's terminal, to ask for a password or to
            show a login's address. Only for a command that does not read standard input itself.
        around: Puts a transport of the caller's around the one that sends, such as one that counts; None: nothing.

    Raises:
        ConfigError: Access, transport or certificates cannot be had; says what would help.
    """
    found = access or await _find_access(config, api_client, lends_terminal=lends_terminal)
    transport = FirstContactTransport(
        open_transport(config, found, http_client=http_client),
        found,
        connect_timeout_s=min(config.connect_timeout_s, config.retry.initial_connect_timeout_s),
    )
    client = KubeClient(
        transport if around is None else around(transport),
        credentials=found.credentials,
        headers=found.headers,
        timeout_s=config.request_timeout_s,
        creates=AdaptiveLimit(maximum=config.max_creates_in_flight or config.connections),
        lanes=RequestLimiter(config.connections),
        credentials_of=found.credentials_of,
    )
    try:
        yield client
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()


async def _find_access(config: RunnerConfig, api_client: Any, *, lends_terminal: bool) -> Access:
    if api_client is not None:
        return access_of_api_client(api_client)
    return await open_access(config, lends_terminal=lends_terminal)


def open_transport(
    config: RunnerConfig, access: Access, *, http_client: httpx.AsyncClient | None = None
) -> Transport:
    """Make the transport that the configuration and the running event loop ask for.

    Raises:
        ConfigError: It does not run here, or is not installed.
    """
    name = _transport_name(config, access, given=http_client is not None)
    if http_client is not None:
        return _httpx_transport(config, access, http_client)
    make = _httpx_transport if name == "httpx" else _aiohttp_transport
    if not access.url.startswith("https:"):
        return make(config, access)
    return RotatingTransport(access.rotation, lambda: make(config, access))


def _aiohttp_transport(config: RunnerConfig, access: Access) -> Transport:
    from podrunner.kube.aiohttp_transport import AiohttpTransport

    return AiohttpTransport(
        access.url,
        connections=config.connections + _UNLIMITED_CONNECTIONS,
        connect_timeout_s=config.connect_timeout_s,
        tls=_tls(access),
        server_name=access.tls.server_name,
        proxy=access.proxy,
        socket_options=_socket_options(config.tcp_keepalive),
    )


def _httpx_transport(
    config: RunnerConfig, access: Access, client: httpx.AsyncClient | None = None
) -> Transport:
    try:
        from podrunner.kube.httpx_transport import HttpxTransport, httpx_client
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the httpx transport needs {error.name}, which is not installed",
            key="transport",
            remedy="Install podrunner[httpx] (on trio: podrunner[trio]).",
        ) from error
    patience_s, server_name = config.connect_timeout_s, access.tls.server_name
    if client is not None:
        return HttpxTransport(access.url, requests=client, connect_timeout_s=patience_s, owns_clients=False)
    _check_socks(access)
    made = partial(
        httpx_client,
        tls=_tls(access),
        proxy=access.proxy,
        socket_options=_socket_options(config.tcp_keepalive),
    )
    return HttpxTransport(
        access.url,
        requests=made(connections=config.connections + _UNLIMITED_CONNECTIONS),
        streams=made(connections=None),
        connect_timeout_s=patience_s,
        server_name=server_name,
    )


def _transport_name(config: RunnerConfig, access: Access, *, given: bool) -> str:
    loop = "asyncio" if "asyncio" in current_token().backend_class.__module__ else "trio"
    needs_httpx = loop == "trio" or _is_socks(access.proxy)
    if given or (config.transport == "auto" and needs_httpx):
        return "httpx"
    if config.transport == "aiohttp" and needs_httpx:
        raise ConfigError(
            "the aiohttp transport runs on asyncio only, and this is trio"
            if loop == "trio"
            else "the aiohttp transport knows no SOCKS proxies",
            key="transport",
            value="aiohttp",
            remedy='Use transport="auto" or "httpx".',
        )
    return "httpx" if config.transport == "httpx" else "aiohttp"


def _is_socks(proxy: str | None) -> bool:
    return proxy is not None and proxy.startswith("socks")


def _check_socks(access: Access) -> None:
    if not _is_socks(access.proxy):
        return
    try:
        importlib.import_module("socksio")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "a SOCKS proxy needs socksio, which is not installed",
            source=access.source,
            key="proxy-url",
            remedy="Install podrunner[socks].",
        ) from error


def _tls(access: Access) -> ssl.SSLContext | None:
    if not access.url.startswith("https:"):
        return None
    try:
        return ssl_context(access.tls)
    except ConfigError as error:
        if error.source is not None:
            raise
        source, key, remedy = (
            access.source,
            error.key,
            error.remedy,
        )  # it stands in there, not in a file of its own
        raise ConfigError(error.problem, source=source, key=key, remedy=remedy) from error.__cause__


def _socket_options(keepalive: TcpKeepalive) -> list[SocketOption]:
    if not keepalive.enabled:
        return []
    return keepalive_options(idle_s=keepalive.idle_s, interval_s=keepalive.interval_s, count=keepalive.count)
