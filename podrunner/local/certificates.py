"""The certificate of one loopback server, made at its start and forgotten at its end.

kubectl sends no bearer token over plain HTTP (clientcmd reads credentials only for ``https``), so LocalCluster serves
HTTPS. ``trustme`` makes the authority and the certificate; it comes with the extra ``podrunner[local]`` and is imported
here only. The authority's key is never written anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from podrunner.errors import ConfigError

__all__ = ["Certificates", "make_certificates"]

_NAMES = ("localhost", "127.0.0.1", "::1")
_LIFETIME = timedelta(days=365)
_SKEW = timedelta(hours=1)  # a clock that is set back meanwhile does no harm


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts.

    Attributes:
        authority: Certificate of the authority, for clients.
        chain: Certificate of the server.
        key: Private key of the server; secret, hence absent from ``repr``.
    """

    authority: str
    chain: str
    key: str = field(repr=False)


def make_certificates() -> Certificates:
    """Make an authority and a certificate for loopback that it signs, valid for a year.

    Raises:
        ConfigError: ``trustme`` is not installed.
    """
    try:
        import trustme
    except ImportError as error:
        raise ConfigError(
            f"LocalCluster's HTTPS needs the package {error.name or 'trustme'}, which is not installed",
            remedy="Run pip install 'podrunner[local]', or serve plain HTTP with LocalCluster(tls=False).",
        ) from error
    now = datetime.now(UTC)
    authority = trustme.CA(organization_name="podrunner")
    server = authority.issue_cert(
        *_NAMES,
        organization_name="podrunner",
        not_before=now - _SKEW,
        not_after=now + _LIFETIME,
    )
    return Certificates(
        authority=authority.cert_pem.bytes().decode(),
        chain="".join(each.bytes().decode() for each in server.cert_chain_pems),
        key=server.private_key_pem.bytes().decode(),
    )
