"""Credentials that a program (``exec``) or an identity provider (``auth-provider``) grants.

Programs are run by ``exec_plugin``. OIDC providers are asked by kubernetes-asyncio's code. It knows asyncio only, and
its import is long: both happen in a worker thread with a loop of its own, so that trio is served alike and no event
loop waits. Nothing else of a kubeconfig needs kubernetes-asyncio.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio

from podrunner.errors import ConfigError
from podrunner.kube.credentials import Grant
from podrunner.kube.exec_credential import exec_plugin_of
from podrunner.kube.exec_plugin import PLUGIN_TIMEOUT_S, PluginRunner
from podrunner.kube.tls import TlsSettings
from podrunner.redaction import harmless, redact_output, secrets_in, shown_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from podrunner.kube.kubeconfig import Kubeconfig

__all__ = ["Granted", "granter_of", "tls_of_configuration"]

_REPLACED_BY: Final = {
    "gcp": "Use gke-gcloud-auth-plugin: `gcloud container clusters get-credentials` writes such a kubeconfig.",
    "azure": "Use kubelogin: `kubelogin convert-kubeconfig` converts the file.",
}
"""Providers that client-go has removed (gcp and azure in 1.26), and what came in their place."""

_UNKNOWN: Final = (
    "Use an exec plugin (EKS: `aws eks get-token`; GKE: gke-gcloud-auth-plugin; Azure: kubelogin)."
)


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant, with the TLS settings that came along: a plugin may grant a client certificate."""

    grant: Grant
    tls: TlsSettings


def granter_of(
    kubeconfig: Kubeconfig,
    *,
    environ: Mapping[str, str] = os.environ,
    timeout_s: float = PLUGIN_TIMEOUT_S,
    lends_terminal: bool = False,
) -> Callable[[], Awaitable[Granted]]:
    """Return the function that runs the context's plugin, or asks its identity provider, each time it is called.

    It raises ConfigError if that fails; the plugin's own message is in the text.

    Args:
        kubeconfig: One whose user is not static.
        environ: The environment of the plugin.
        timeout_s: Seconds that a run of it may take.
        lends_terminal: Whether it may use this process's terminal.

    Raises:
        ConfigError: The user's settings are incomplete or malformed, or name a provider that was removed.
    """
    user = kubeconfig.user
    provider = user.fields.get("auth-provider")
    if provider is not None:
        if user.fields.get("exec") is not None:
            raise user.error("exec", "an auth-provider is given beside it", "Keep one of them.")
        _check_provider(kubeconfig, provider)
        return lambda: anyio.to_thread.run_sync(_fetch, kubeconfig, abandon_on_cancel=True)
    plugin = exec_plugin_of(kubeconfig)
    runner = PluginRunner(plugin, environ=environ, timeout_s=timeout_s, lends_terminal=lends_terminal)
    return lambda: _run(runner, kubeconfig.tls)


def _check_provider(kubeconfig: Kubeconfig, provider: Any) -> None:
    name = provider.get("name") if isinstance(provider, dict) else None
    if name == "oidc":
        return
    if replacement := _REPLACED_BY.get(str(name)):
        problem = f"the auth provider {name} was removed in Kubernetes 1.26"
        raise kubeconfig.user.error("auth-provider", problem, replacement)
    raise kubeconfig.user.error("auth-provider", f"there is no auth provider {shown_value(name)}", _UNKNOWN)


async def _run(runner: PluginRunner, tls: TlsSettings) -> Granted:
    found = await runner.run()
    value = f"Bearer {found.token}" if found.token else None
    ends = found.expires_at_s if found.expires_at_s is not None else _token_expiry(value or "")
    grant = Grant(value, ends, found.certificate)
    return Granted(grant, replace(tls, certificate=found.certificate, key=found.key))


def _fetch(kubeconfig: Kubeconfig) -> Granted:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import load_kube_config

    configuration = Configuration()
    configuration.api_key = {}
    load = load_kube_config(
        config_file=kubeconfig.source, context=kubeconfig.context, client_configuration=configuration
    )
    try:
        with _silent():
            asyncio.run(load)
    except Exception as error:  # noqa: BLE001  # whatever an identity provider or the libraries raise
        secrets = (*kubeconfig.secrets, *secrets_in(dict(os.environ)))
        said = redact_output(str(error), secrets=secrets)
        raise _not_obtained(kubeconfig, said) from harmless(error, secrets=secrets)
    value = configuration.api_key.get("BearerToken")
    if value is None:
        raise _not_obtained(kubeconfig, "no token was granted")
    return Granted(Grant(value, _token_expiry(value)), kubeconfig.tls)


def _not_obtained(kubeconfig: Kubeconfig, why: str) -> ConfigError:
    return ConfigError(
        f"the credentials of context {kubeconfig.context!r} could not be obtained: {why}",
        source=kubeconfig.source,
        key="users",
        remedy="Run `kubectl auth whoami` with this kubeconfig to see what is wrong with its user.",
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep kubernetes-asyncio from logging, in this thread, what went wrong: the error says it, redacted."""
    this = threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != this

    logger = logging.getLogger("kubernetes_asyncio.config.kube_config")
    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)


def _token_expiry(value: str) -> float | None:
    """Read ``exp`` of a JSON web token (RFC 7519). It is not verified: the server does that."""
    parts = value.rpartition(" ")[2].split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        ends = float(claims["exp"])
    except (binascii.Error, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return ends if isfinite(ends) else None


def tls_of_configuration(configuration: Any) -> TlsSettings:
    """Take the TLS settings out of a ``kubernetes_asyncio.client.Configuration``."""
    return TlsSettings(
        verify=bool(configuration.verify_ssl),
        ca=_path(configuration.ssl_ca_cert),
        certificate=_path(configuration.cert_file),
        key=_path(configuration.key_file),
        server_name=configuration.tls_server_name,
    )


def _path(name: str | os.PathLike[str] | None) -> Path | None:
    return Path(name) if name else None
