"""The identity that a request carries, and how it is renewed.

Each kind of credentials gives the value of the ``Authorization`` header, renews it before it expires where that is
known, and once when the server refuses it. Where credentials come from does not belong here (``access``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from podrunner.errors import ConfigError, TransportError
from podrunner.redaction import harmless, redact_output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from podrunner.kube.tls import TlsRotation

__all__ = [
    "ApiClientCredentials",
    "CertificateCredentials",
    "Credentials",
    "Grant",
    "RenewedCredentials",
    "StaticCredentials",
    "TokenFileCredentials",
]

_log = logging.getLogger(__name__)

TOKEN_FILE_PERIOD_S = 60.0
"""How long a token file's content is used: the kubelet rotates it at 80 % of its life, which is ten minutes or more."""

RENEW_AHEAD_S = 240.0
"""Renew so long before the end, at most a fifth of the life: under kubernetes-asyncio's own skew of 300 s, so that it
sees the token as expired too and fetches another."""

RENEW_AHEAD_SHARE = 0.2

RETRY_RENEWAL_S = 10.0
"""After a failed renewal the old token, as long as it is valid, is used for so long before the next try."""


class Credentials(Protocol):
    """Where the ``Authorization`` header comes from."""

    async def authorization(self) -> str | None:
        """Return the header's value; None: none is sent (a client certificate identifies us)."""
        ...

    async def renew(self, refused: str | None) -> bool:
        """The server refused this value with a 401: get another. False: there is no other, trying again is in vain."""
        ...


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """A value that never changes, or none."""

    value: str | None = field(default=None, repr=False)

    async def authorization(self) -> str | None:
        """Return the value."""
        return self.value

    async def renew(self, refused: str | None) -> bool:
        """There is nothing to renew."""
        del refused
        return False


class TokenFileCredentials:
    """A bearer token in a file that another process rotates: a service account's, in a pod.

    Args:
        path: The file.
        clock: Seconds that only ever grow.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._clock = clock
        self._value = self._read()
        self._read_at = clock()

    async def authorization(self) -> str | None:
        """Return the token, read again when it is a minute old; the last one if the file cannot be read now."""
        if self._clock() - self._read_at >= TOKEN_FILE_PERIOD_S:
            self._read_at = self._clock()
            try:
                self._value = self._read()
            except ConfigError as error:
                _log.warning("the token file cannot be read, going on with the last token: %s", error)
        return self._value

    async def renew(self, refused: str | None) -> bool:
        """Read the file again."""
        self._read_at = float("-inf")
        return await self.authorization() != refused

    def _read(self) -> str:
        try:
            token = self._path.read_text(
                "utf-8"
            ).strip()  # a short file, in memory wherever a kubelet wrote it
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the token cannot be read: {error}", source=str(self._path)) from error
        if not token:
            raise ConfigError("the token file is empty", source=str(self._path))
        return f"Bearer {token}"


class CertificateCredentials:
    """A client certificate in files that another process rotates. The connection itself carries the identity.

    Args:
        rotation: Notified when the files have changed.
    """

    def __init__(self, rotation: TlsRotation) -> None:
        self._rotation = rotation
        self._seen = self._stamps()

    async def authorization(self) -> str | None:
        """No header is sent."""
        return None

    async def renew(self, refused: str | None) -> bool:
        """Check whether the files changed since they were read."""
        del refused
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        self._rotation.reread()
        return True

    def _stamps(self) -> list[tuple[int, int]]:
        settings = self._rotation.settings
        files = [
            pem for pem in (settings.certificate, settings.key) if isinstance(pem, Path) and pem.is_file()
        ]
        return [(found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in files)]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a plugin or an identity provider granted.

    Attributes:
        value: The header's value, or None if a client certificate was granted.
        expires_at_s: When it ends, in seconds since the epoch; None: not known.
    """

    value: str | None = field(repr=False)
    expires_at_s: float | None = None


class RenewedCredentials:
    """Credentials of an exec plugin or an OIDC provider: renewed before they expire, and once when they are refused.

    However many requests notice at once, one renewal runs; until it ends the others use a token that is still valid.

    Args:
        grant: What was granted first.
        fetch: Fetches the next grant; may take seconds.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, grant: Grant, fetch: Callable[[], Awaitable[Grant]], *, clock: Callable[[], float] = time
    ) -> None:
        self._grant = grant
        self._fetch = fetch
        self._clock = clock
        self._renew_at_s = _renew_at(grant, now_s=clock())
        self._lock = anyio.Lock()

    async def authorization(self) -> str | None:
        """Return the value, renewed first if it is about to expire."""
        if self._clock() >= self._renew_at_s:
            await self._renew_ahead()
        return self._grant.value

    async def _renew_ahead(self) -> None:
        if self._lock.locked() and not self._expired():
            return
        async with self._lock:
            if self._clock() < self._renew_at_s:
                return
            try:
                await self._replace()
            except TransportError as error:
                if self._expired():
                    raise
                self._renew_at_s = self._clock() + RETRY_RENEWAL_S
                _log.warning("credentials could not be renewed, the present ones are still valid: %s", error)

    async def renew(self, refused: str | None) -> bool:
        """Fetch another grant, unless another task did so meanwhile."""
        under_way = self._lock.locked()
        async with self._lock:
            if self._grant.value == refused and not under_way:
                await self._replace()
        return self._grant.value is None or self._grant.value != refused

    async def _replace(self) -> None:
        try:
            self._grant = await self._fetch()
        except ConfigError as error:  # it worked before: a passing error of the issuer
            raise TransportError(f"the credentials could not be renewed: {error}", sent=False) from error
        self._renew_at_s = _renew_at(self._grant, now_s=self._clock())

    def _expired(self) -> bool:
        return self._grant.expires_at_s is not None and self._clock() >= self._grant.expires_at_s


def _renew_at(grant: Grant, *, now_s: float) -> float:
    if grant.expires_at_s is None:
        return float("inf")
    life_s = max(0.0, grant.expires_at_s - now_s)
    return grant.expires_at_s - min(RENEW_AHEAD_S, RENEW_AHEAD_SHARE * life_s)


class ApiClientCredentials:
    """The credentials of an embedder's own kubernetes-asyncio configuration, refreshed by its own hook.

    Args:
        configuration: A ``kubernetes_asyncio.client.Configuration``.
    """

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration

    async def authorization(self) -> str | None:
        """Ask the configuration, which runs its refresh hook."""
        try:
            value = await self._configuration.get_api_key_with_prefix("BearerToken")
        except Exception as error:  # noqa: BLE001  # the hook is the embedder's code; the next call may succeed
            raise TransportError(
                f"the ApiClient's refresh hook failed: {redact_output(str(error))}", sent=False
            ) from harmless(error)
        return str(value) if value else None

    async def renew(self, refused: str | None) -> bool:
        """Ask again: the hook may know more by now."""
        return await self.authorization() != refused
