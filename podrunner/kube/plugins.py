"""Credentials that a program or an identity provider grants: kubernetes-asyncio's code runs it.

kubernetes-asyncio knows asyncio only, and its import is long: both happen in a worker thread with a loop of its own, so
that trio is served alike and no event loop waits.
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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from podrunner.errors import ConfigError
from podrunner.kube.credentials import Grant
from podrunner.kube.tls import TlsSettings
from podrunner.redaction import harmless, redact_output, secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podrunner.kube.kubeconfig import Kubeconfig

__all__ = ["Granted", "fetch_grant", "tls_of_configuration"]


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant, with the TLS settings that came along: a plugin may grant a client certificate."""

    grant: Grant
    tls: TlsSettings


async def fetch_grant(kubeconfig: Kubeconfig) -> Granted:
    """Run the context's plugin or ask its identity provider.

    Raises:
        ConfigError: It failed; its own message is in the text.
    """
    return await anyio.to_thread.run_sync(_fetch, kubeconfig, abandon_on_cancel=True)


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
            loader = asyncio.run(load)
    except Exception as error:  # noqa: BLE001  # whatever a plugin, an identity provider or their libraries raise
        # A plugin's standard error comes with it. A plugin knows our environment, too.
        secrets = (*kubeconfig.secrets, *secrets_in(dict(os.environ)))
        said = redact_output(str(error), secrets=secrets)
        raise _not_obtained(kubeconfig, said) from harmless(error, secrets=secrets)
    value = configuration.api_key.get("BearerToken")
    tls = tls_of_configuration(configuration)
    if value is None and tls.certificate is None:
        raise _not_obtained(kubeconfig, "neither a token nor a client certificate was granted")
    return Granted(Grant(value, _expiry(loader, value)), tls)


def _not_obtained(kubeconfig: Kubeconfig, why: str) -> ConfigError:
    return ConfigError(
        f"the credentials of context {kubeconfig.context!r} could not be obtained: {why}",
        source=kubeconfig.source,
        key="users",
        remedy="Run `kubectl auth whoami` with this kubeconfig to see what is wrong with its user.",
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep kubernetes-asyncio from logging, in this thread, what the plugin wrote: the error says it, redacted."""
    this = threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != this

    logger = logging.getLogger("kubernetes_asyncio.config.kube_config")
    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)


def _expiry(loader: Any, value: str | None) -> float | None:
    """Say when a grant ends: as the plugin said, else as the token itself says."""
    expiry = getattr(loader, "exec_plugin_expiry", None)
    if expiry is not None:
        return float(expiry.timestamp())
    return _token_expiry(value or "")


def _token_expiry(value: str) -> float | None:
    """Read ``exp`` of a JSON web token (RFC 7519). It is not verified: the server does that."""
    parts = value.rpartition(" ")[2].split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None


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
