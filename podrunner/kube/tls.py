"""TLS settings, as they come from a kubeconfig or a service account, and the SSL context made of them.

Where the settings come from does not belong here (``access``).
"""

from __future__ import annotations

import os
import shutil
import ssl
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from podrunner.errors import ConfigError
from podrunner.kube.sockets import plain_tls

__all__ = ["Pem", "TlsRotation", "TlsSettings", "check_client_certificate", "ssl_context", "sweep_folders"]

_FOLDER: Final = "podrunner-tls-"
_LIVES_S: Final = 60.0
"""Such a folder exists for milliseconds. One that is so old was left by a killed process."""

Pem = Path | bytes
"""A PEM file, or its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How to trust the server, and how to be trusted by it.

    Attributes:
        verify: False trusts any certificate (``insecure-skip-tls-verify``).
        ca: The authorities to trust; None: the system's.
        certificate: The client's certificate, or None.
        key: Its key; None if it is in the same file.
        server_name: The name that the server's certificate must have; None: the URL's host.
    """

    verify: bool = True
    ca: Pem | None = None
    certificate: Pem | None = None
    key: Pem | None = field(default=None, repr=False)
    server_name: str | None = None


class TlsRotation:
    """Settings that may be replaced while they are in use, because a client certificate was renewed.

    Args:
        settings: The first ones.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self.settings: TlsSettings = settings

    def offer(self, settings: TlsSettings) -> None:
        """Take the client certificate of these settings, if it is another; the rest stays as it is."""
        if (settings.certificate, settings.key) != (self.settings.certificate, self.settings.key):
            self.settings = replace(self.settings, certificate=settings.certificate, key=settings.key)

    def reread(self) -> None:
        """Have the files read again: their content changed."""
        self.settings = replace(self.settings)


def ssl_context(settings: TlsSettings) -> ssl.SSLContext:
    """Build the context for a connection to the API server.

    Raises:
        ConfigError: A certificate or key cannot be read; names the file.
    """
    context = _trusting(settings.ca)
    # Python 3.13 demands extensions that many clusters' own authorities lack, and Kubernetes' Go clients do not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_client_certificate(context, settings)
    return context


def _trusting(authorities: Pem | None) -> ssl.SSLContext:
    try:
        if isinstance(authorities, bytes):
            return ssl.create_default_context(cadata=authorities.decode("ascii"))
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"the certificate authority cannot be read: {_said(error)}",
            source=_named(authorities),
            key="certificate-authority",
            remedy="Give a PEM file with the cluster's CA certificate.",
        ) from error


def _said(error: Exception) -> str:
    """Return what is wrong with a certificate, in OpenSSL's words or the system's."""
    if isinstance(error, ssl.SSLError):
        return plain_tls(str(error))
    return "it is no PEM" if isinstance(error, ValueError) else getattr(error, "strerror", "") or str(error)


def check_client_certificate(certificate: Pem, key: Pem) -> None:
    """Check that both can be read and belong together.

    Raises:
        ConfigError: They cannot, or do not.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load_client_certificate(context, TlsSettings(certificate=certificate, key=key))


def _load_client_certificate(context: ssl.SSLContext, settings: TlsSettings) -> None:
    if settings.certificate is None:
        return
    # OpenSSL reads a key from files only: what came inline is written to a private folder for a moment.
    sweep_folders(Path(tempfile.gettempdir()), now_s=time.time())
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
        try:
            certificate = _as_file(settings.certificate, Path(folder, "certificate.pem"))
            key = _as_file(settings.key, Path(folder, "key.pem")) if settings.key is not None else None
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise ConfigError(
                f"the client certificate or its key cannot be read: {_said(error)}",
                source=_named(settings.certificate),
                key="client-certificate",
                remedy="Give a PEM certificate and the key that belongs to it.",
            ) from error


def sweep_folders(parent: Path, *, now_s: float) -> None:
    """Remove the folders of processes that were killed while OpenSSL read from them: they hold private keys.

    Args:
        parent: Where they are.
        now_s: Seconds since the epoch.
    """
    for folder in parent.glob(f"{_FOLDER}*"):
        with suppress(OSError):  # it is gone already
            found = folder.lstat()
            if (
                stat.S_ISDIR(found.st_mode)
                and found.st_uid == os.geteuid()
                and now_s - found.st_mtime > _LIVES_S
            ):
                shutil.rmtree(folder, ignore_errors=True)


def _as_file(pem: Pem, place: Path) -> Path:
    if isinstance(pem, Path):
        return pem
    place.touch(mode=0o600)
    place.write_bytes(pem)
    return place


def _named(pem: Pem | None) -> str | None:
    return str(pem) if isinstance(pem, Path) else None
