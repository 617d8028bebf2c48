"""Where the API server is, and how to be let in: by a kubeconfig, from inside a pod, explicit, by an embedder's client.

Sending requests does not belong here (``session``, the transports), nor does starting a LocalCluster (the runner does
that, and comes with its kubeconfig).
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from podrunner.errors import ConfigError
from podrunner.kube.cluster_choice import (
    SERVICE_ACCOUNT,
    choose_cluster,
    missing_in_pod,
    service_account_namespace,
)
from podrunner.kube.credentials import (
    ApiClientCredentials,
    CertificateCredentials,
    Credentials,
    Grant,
    RenewedCredentials,
    StaticCredentials,
    TokenFileCredentials,
)
from podrunner.kube.kubeconfig import (
    Kubeconfig,
    kubeconfig_paths,
    read_kubeconfig,
)
from podrunner.kube.proxy import is_loopback, proxy_variable, resolve_proxy
from podrunner.kube.server_url import server_url, url_parts
from podrunner.kube.tls import Pem, TlsRotation, TlsSettings
from podrunner.redaction import HIDDEN, redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from podrunner.config import RunnerConfig
    from podrunner.kube.plugins import Granted

__all__ = [
    "Access",
    "access_of_api_client",
    "explicit_access",
    "open_access",
]

_logger = logging.getLogger(__name__)

_PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach an API server.

    Attributes:
        url: Its URL, with the path prefix if it has one.
        user: Name of the user's entry in the kubeconfig; "" if there is none.
        rotation: TLS settings, which may be replaced meanwhile; unused with a plain-text URL.
        credentials: Our identity.
        namespace: The namespace that the source names (context, service account), or None.
        proxy: URL of an HTTP proxy, or None.
        headers: More headers for each request, as pairs: one may repeat.
        source: Where all this comes from, for messages.
    """

    url: str
    user: str = ""
    rotation: TlsRotation = field(default_factory=lambda: TlsRotation(TlsSettings()))
    credentials: Credentials = field(default_factory=StaticCredentials)
    namespace: str | None = None
    proxy: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    source: str = "explicit"

    @property
    def credentials_of(self) -> str:
        """Where the credentials come from, for messages."""
        return f"{self.source}, user {self.user}" if self.user else self.source

    @property
    def tls(self) -> TlsSettings:
        """The TLS settings as they are now."""
        return self.rotation.settings

    def __post_init__(self) -> None:
        """Check the URL.

        Raises:
            ConfigError: It is none of http or https, or it holds credentials; or the proxy's is no URL.
        """
        parts = url_parts(self.url)
        if parts is None or parts.scheme not in {"http", "https"}:
            raise _bad_url(self, "this is no URL of an API server", "Give https://host:port.")
        if parts.username is not None:
            raise _bad_url(self, "an API server's URL takes no credentials", "Give a token or a certificate.")
        if self.proxy is not None:
            _check_proxy(self.proxy, source=self.source)


def _check_proxy(url: str, *, source: str, key: str = "proxy-url") -> None:
    parts = url_parts(url)
    if parts is None or parts.scheme not in _PROXY_SCHEMES:
        user, at, host = url.rpartition("@")
        raise ConfigError(
            "this is no URL of a proxy",
            source=source,
            key=key,
            value=redact(f"{HIDDEN if user else ''}{at}{host}"),
            remedy="Give it with its scheme, as http://host:port, https://… or socks5://….",
        )


def _bad_url(access: Access, problem: str, remedy: str) -> ConfigError:
    return ConfigError(problem, source=access.source, key="url", value=redact(access.url), remedy=remedy)


async def open_access(
    config: RunnerConfig,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
    lends_terminal: bool = False,
) -> Access:
    """Find out how to reach the cluster that the configuration names.

    Args:
        config: Its ``cluster``, ``kubeconfig``, ``context``, ``verify_ssl``, ``ssl_ca_cert`` and
            ``exec_plugin_timeout_s`` are read.
        environ: The environment: KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST, proxies; an exec plugin gets it too.
        service_account: Where a pod finds its token.
        lends_terminal: Whether an exec plugin may use standard input and standard error, if they are a terminal.

    Raises:
        ConfigError: What is needed is missing or malformed; says what, where, and what would help.
    """
    kind = choose_cluster(config, environ=environ, service_account=service_account)
    if kind == "local":
        raise ConfigError(
            "a local cluster has to be started first",
            key="cluster",
            value="local",
            remedy="PodRunner and AsyncPodRunner start it; by hand, start podrunner.local.LocalCluster and "
            'connect with cluster="kubeconfig" and its kubeconfig.',
        )
    if kind == "in-cluster":
        access = _in_cluster(environ, service_account)
    else:
        from podrunner.kube.plugins import granter_of

        paths = kubeconfig_paths(config.kubeconfig, environ)
        found = read_kubeconfig(paths, context=config.context)
        run = partial(
            granter_of,
            environ=environ,
            timeout_s=config.exec_plugin_timeout_s,
            lends_terminal=lends_terminal,
        )
        access = await _of_kubeconfig(found, run)
    return _with_proxy(_overridden(access, config), environ)


def _in_cluster(environ: Mapping[str, str], service_account: Path) -> Access:
    if missing := missing_in_pod(environ, service_account):
        raise ConfigError(
            f"in_cluster is set, but this process does not run in a pod of a cluster: {missing}",
            key="cluster",
            value="in-cluster",
            remedy='Use cluster="kubeconfig" with a kubeconfig (CLI: --kubeconfig FILE), or cluster="local" '
            "(CLI: --local) for a cluster on this machine.",
        )
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    token, authority = service_account / "token", service_account / "ca.crt"
    return Access(
        url=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        rotation=TlsRotation(TlsSettings(ca=authority if authority.is_file() else None)),
        credentials=TokenFileCredentials(token),
        namespace=service_account_namespace(service_account),
        source=f"service account in {service_account}",
    )


_Granter: TypeAlias = "Callable[[Kubeconfig], Callable[[], Awaitable[Granted]]]"


async def _of_kubeconfig(kubeconfig: Kubeconfig, granter: _Granter) -> Access:
    access = Access(
        url=kubeconfig.url,
        user=kubeconfig.user.name,
        namespace=kubeconfig.namespace,
        proxy=kubeconfig.proxy,
        headers=kubeconfig.impersonation,
        source=f"kubeconfig {kubeconfig.source}, context {kubeconfig.context}",
    )
    if not _may_identify(access, kubeconfig):
        return access
    if not kubeconfig.is_static:
        return await _granted(access, granter(kubeconfig))
    rotation = TlsRotation(kubeconfig.tls)
    return replace(access, rotation=rotation, credentials=_static(kubeconfig, rotation))


def _may_identify(access: Access, kubeconfig: Kubeconfig) -> bool:
    """Whether credentials may be sent: as kubectl, not in plain text through a network."""
    parts = urlsplit(access.url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return True
    if kubeconfig.user.fields:
        _logger.warning(
            "the server %s speaks plain HTTP: no credentials are sent to it, as by kubectl",
            redact(access.url),
        )
    return False


def _static(kubeconfig: Kubeconfig, rotation: TlsRotation) -> Credentials:
    value = kubeconfig.authorization
    if kubeconfig.token_file is not None:
        return TokenFileCredentials(kubeconfig.token_file, fallback=value, user=kubeconfig.user)
    if value is None and isinstance(rotation.settings.certificate, Path):
        return CertificateCredentials(rotation)
    return StaticCredentials(value)


async def _granted(access: Access, ask: Callable[[], Awaitable[Granted]]) -> Access:
    first = await ask()
    rotation = TlsRotation(first.tls)

    async def fetch() -> Grant:
        granted = await ask()
        rotation.offer(granted.tls)
        return granted.grant

    return replace(access, rotation=rotation, credentials=RenewedCredentials(first.grant, fetch))


def _overridden(access: Access, config: RunnerConfig) -> Access:
    """Let the configuration's own TLS settings win."""
    if not config.verify_ssl:
        access.rotation.settings = replace(access.tls, verify=False)
    if config.ssl_ca_cert is not None:
        access.rotation.settings = replace(access.tls, ca=config.ssl_ca_cert)
    return access


def _with_proxy(access: Access, environ: Mapping[str, str]) -> Access:
    if access.proxy or (proxy := resolve_proxy(access.url, environ)) is None:
        return access
    _check_proxy(proxy, source="environment", key=proxy_variable(access.url, environ))
    return replace(access, proxy=proxy)


def explicit_access(
    url: str,
    *,
    token: str | None = None,
    ca: Pem | None = None,
    verify: bool = True,
    environ: Mapping[str, str] = os.environ,
) -> Access:
    """Say it all by hand.

    Args:
        url: The API server's URL.
        token: A bearer token, or None.
        ca: A PEM file, or its content; None: the system's authorities.
        verify: False trusts any certificate.
        environ: The environment, for a proxy.

    Raises:
        ConfigError: The URL is none of http or https.
    """
    credentials = StaticCredentials(f"Bearer {token}" if token else None)
    tls = TlsSettings(ca=ca, verify=verify)
    return _with_proxy(
        Access(url=server_url(url), rotation=TlsRotation(tls), credentials=credentials), environ
    )


def access_of_api_client(api_client: Any) -> Access:
    """Take over what an embedder's ``kubernetes_asyncio.client.ApiClient`` is configured with. It stays the embedder's.

    Its token is asked for with each request, so its refresh hook works on.
    """
    from podrunner.kube.plugins import tls_of_configuration

    configuration = api_client.configuration
    own = tuple(
        (name, value) for name, value in api_client.default_headers.items() if name.lower() != "user-agent"
    )
    return Access(
        url=configuration.host.rstrip("/"),
        rotation=TlsRotation(tls_of_configuration(configuration)),
        credentials=ApiClientCredentials(configuration),
        proxy=configuration.proxy,
        headers=own,
        source="ApiClient",
    )
