"""Where the API server is, and how to be let in: by a kubeconfig, from inside a pod, explicit, by an embedder's client.

Sending requests does not belong here (``session``, the transports), nor does starting a LocalCluster (the runner does
that, and comes with its kubeconfig).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, urlsplit

from podrunner.errors import ConfigError
from podrunner.kube.credentials import (
    ApiClientCredentials,
    CertificateCredentials,
    Credentials,
    Grant,
    RenewedCredentials,
    StaticCredentials,
    TokenFileCredentials,
)
from podrunner.kube.kubeconfig import Kubeconfig, is_there, kubeconfig_paths, read_kubeconfig
from podrunner.kube.plugins import fetch_grant, tls_of_configuration
from podrunner.kube.proxy import resolve_proxy
from podrunner.kube.tls import Pem, TlsRotation, TlsSettings
from podrunner.redaction import HIDDEN, redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from podrunner.config import RunnerConfig

__all__ = [
    "Access",
    "ClusterKind",
    "access_of_api_client",
    "choose_cluster",
    "explicit_access",
    "kubeconfig_of",
    "open_access",
]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's token, authority and namespace (Kubernetes' ServiceAccount admission)."""

_PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})

ClusterKind = Literal["local", "in-cluster", "kubeconfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach an API server.

    Attributes:
        url: Its URL, with the path prefix if it has one.
        rotation: TLS settings, which may be replaced meanwhile; unused with a plain-text URL.
        credentials: Our identity.
        namespace: The namespace that the source names (context, service account), or None.
        proxy: URL of an HTTP proxy, or None.
        headers: More headers for each request.
        source: Where all this comes from, for messages.
    """

    url: str
    rotation: TlsRotation = field(default_factory=lambda: TlsRotation(TlsSettings()))
    credentials: Credentials = field(default_factory=StaticCredentials)
    namespace: str | None = None
    proxy: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    source: str = "explicit"

    @property
    def tls(self) -> TlsSettings:
        """The TLS settings as they are now."""
        return self.rotation.settings

    def __post_init__(self) -> None:
        """Check the URL.

        Raises:
            ConfigError: It is none of http or https, or it holds credentials; or the proxy's is no URL.
        """
        parts = _parts(self.url)
        if parts is None or parts.scheme not in {"http", "https"}:
            raise _bad_url(self, "this is no URL of an API server", "Give https://host:port.")
        if parts.username is not None:
            raise _bad_url(self, "an API server's URL takes no credentials", "Give a token or a certificate.")
        if self.proxy is not None:
            _check_proxy(self.proxy, source=self.source)


def _parts(url: str) -> SplitResult | None:
    """Split a URL; None if it has no host, or a port that is no number."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if has_host else None


def _check_proxy(url: str, *, source: str) -> None:
    parts = _parts(url)
    if parts is None or parts.scheme not in _PROXY_SCHEMES:
        user, at, host = url.rpartition("@")
        raise ConfigError(
            "this is no URL of a proxy",
            source=source,
            key="proxy-url",
            value=redact(f"{HIDDEN if user else ''}{at}{host}"),
            remedy="Give http://host:port.",
        )


def _bad_url(access: Access, problem: str, remedy: str) -> ConfigError:
    return ConfigError(problem, source=access.source, key="url", value=redact(access.url), remedy=remedy)


def choose_cluster(
    config: RunnerConfig, *, environ: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
) -> ClusterKind:
    """Resolve ``cluster="auto"``: the cluster of the pod that this process runs in, else that of a kubeconfig.

    Never ``local``: a LocalCluster runs pods as processes of this machine, which only the caller can want.

    Raises:
        ConfigError: ``auto``, and neither is there; names both places, and what else can be set.
    """
    if config.cluster != "auto":
        return config.cluster
    if config.kubeconfig is None and _inside_pod(environ, service_account):
        return "in-cluster"
    paths = kubeconfig_paths(config.kubeconfig, environ)
    if config.kubeconfig is not None or any(is_there(path) for path in paths):
        return "kubeconfig"
    raise ConfigError(
        f"no cluster was found: not in a pod ({_not_in_pod(environ, service_account)}), "
        f"and no kubeconfig ({_no_kubeconfig(paths, environ)})",
        key="cluster",
        value="auto",
        remedy="Name a kubeconfig (kubeconfig=…, KUBECONFIG, CLI: --kubeconfig FILE), or set "
        'cluster="local" (CLI: --local) to run pods as processes of this machine.',
    )


def kubeconfig_of(config: RunnerConfig, *, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the kubeconfig that a configuration means; None: it means none, or several that are merged.

    Raises:
        ConfigError: As :func:`choose_cluster`.
    """
    if choose_cluster(config, environ=environ) != "kubeconfig":
        return None
    there = [path for path in kubeconfig_paths(config.kubeconfig, environ) if is_there(path)]
    return there[0] if len(there) == 1 else None


def _no_kubeconfig(paths: Sequence[Path], environ: Mapping[str, str]) -> str:
    missing = ", ".join(map(str, paths))
    return f"KUBECONFIG names {missing}, not there" if environ.get("KUBECONFIG") else f"there is no {missing}"


def _inside_pod(environ: Mapping[str, str], service_account: Path) -> bool:
    return not _not_in_pod(environ, service_account)


def _not_in_pod(environ: Mapping[str, str], service_account: Path) -> str:
    """Say what a process in a pod would have and this one lacks; "" in a pod."""
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        return "KUBERNETES_SERVICE_HOST is not set"
    token = service_account / "token"
    return "" if is_there(token) else f"there is no {token}"


async def open_access(
    config: RunnerConfig, *, environ: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
) -> Access:
    """Find out how to reach the cluster that the configuration names.

    Args:
        config: Its ``cluster``, ``kubeconfig``, ``context``, ``verify_ssl`` and ``ssl_ca_cert`` are read.
        environ: The environment: KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST, proxies.
        service_account: Where a pod finds its token.

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
        paths = kubeconfig_paths(config.kubeconfig, environ)
        access = await _of_kubeconfig(read_kubeconfig(paths, context=config.context))
    return _with_proxy(_overridden(access, config), environ)


def _in_cluster(environ: Mapping[str, str], service_account: Path) -> Access:
    if missing := _not_in_pod(environ, service_account):
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
        namespace=_namespace(service_account / "namespace"),
        source=f"service account in {service_account}",
    )


def _namespace(path: Path) -> str | None:
    return (path.read_text("utf-8").strip() or None) if path.is_file() else None


async def _of_kubeconfig(kubeconfig: Kubeconfig) -> Access:
    access = Access(
        url=kubeconfig.url,
        namespace=kubeconfig.namespace,
        proxy=kubeconfig.proxy,
        headers=kubeconfig.impersonation,
        source=f"kubeconfig {kubeconfig.source}, context {kubeconfig.context}",
    )
    if not kubeconfig.is_static:
        return await _granted(access, kubeconfig)
    rotation = TlsRotation(kubeconfig.tls)
    return replace(access, rotation=rotation, credentials=_static(kubeconfig, rotation))


def _static(kubeconfig: Kubeconfig, rotation: TlsRotation) -> Credentials:
    if kubeconfig.token_file is not None:
        return TokenFileCredentials(kubeconfig.token_file)
    if kubeconfig.authorization is None and isinstance(rotation.settings.certificate, Path):
        return CertificateCredentials(rotation)
    return StaticCredentials(kubeconfig.authorization)


async def _granted(access: Access, kubeconfig: Kubeconfig) -> Access:
    first = await fetch_grant(kubeconfig)
    rotation = TlsRotation(first.tls)

    async def fetch() -> Grant:
        granted = await fetch_grant(kubeconfig)
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
    return access if access.proxy else replace(access, proxy=resolve_proxy(access.url, environ))


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
        Access(url=url.rstrip("/"), rotation=TlsRotation(tls), credentials=credentials), environ
    )


def access_of_api_client(api_client: Any) -> Access:
    """Take over what an embedder's ``kubernetes_asyncio.client.ApiClient`` is configured with. It stays the embedder's.

    Its token is asked for with each request, so its refresh hook works on.
    """
    configuration = api_client.configuration
    own = {name: value for name, value in api_client.default_headers.items() if name.lower() != "user-agent"}
    return Access(
        url=configuration.host.rstrip("/"),
        rotation=TlsRotation(tls_of_configuration(configuration)),
        credentials=ApiClientCredentials(configuration),
        proxy=configuration.proxy,
        headers=own,
        source="ApiClient",
    )
