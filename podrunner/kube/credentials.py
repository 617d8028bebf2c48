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
from podrunner.kube.impersonation import is_header_value
from podrunner.redaction import harmless, redact_output
from podrunner.workload.files import read_bounded, shown_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from podrunner.kube.kubeconfig_entry import Entry
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
"""Renew so long before the end, at most a fifth of the life: under the skew of 300 s by which kubernetes-asyncio sees
an OIDC token as expired too, and fetches another."""

RENEW_AHEAD_SHARE = 0.2

RETRY_RENEWAL_S = 10.0
"""So long after a failed renewal, or one that brought nothing new, there is no other: a plugin never runs in a loop."""


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
        fallback: The header's value while the file cannot be read; None: an unreadable file is an error.
        user: The kubeconfig's entry that names the file, for errors; None: there is none.
        clock: Seconds that only ever grow.
    """

    def __init__(
        self,
        path: Path,
        *,
        fallback: str | None = None,
        user: Entry | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._path = path
        self._user = user
        self._clock = clock
        try:
            self._value = self._read()
        except ConfigError:
            if fallback is None:
                raise
            self._value = fallback
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
            # A short file, in memory wherever a kubelet wrote it.
            token = read_bounded(self._path).decode().strip()
        except OSError as error:
            raise self._error(f"the token cannot be read: {error.strerror}") from error
        except ValueError as error:  # also what is too large, and a path that no system takes
            why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise self._error(f"the token cannot be read: {why}") from None
        if not token:
            raise self._error("the token file is empty")
        if not is_header_value(token):
            raise self._error("the token has a line break or another control character in it")
        return f"Bearer {token}"

    def _error(self, problem: str) -> ConfigError:
        file = shown_path(self._path)
        remedy = "Write one token into it, as it was issued, in one line."
        if self._user is None:
            return ConfigError(problem, source=file, remedy=remedy)
        return self._user.error("tokenFile", f"{problem} ({file})", remedy)


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
        certificate: The client certificate that was granted, or None.
    """

    value: str | None = field(repr=False)
    expires_at_s: float | None = None
    certificate: bytes | None = field(default=None, repr=False)


class RenewedCredentials:
    """Credentials of an exec plugin or an OIDC provider: renewed before they expire, and once when they are refused.

    However many requests notice at once, one renewal runs, and its result or its error is all of theirs; until it ends
    the others use a token that is still valid. After one that failed or brought nothing new, and with a grant that is
    over when it comes, there is none for :data:`RETRY_RENEWAL_S`.

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
        self._renewals = 0
        self._failure: TransportError | None = None
        self._renewed_at_s = float("-inf")
        self._paused_until_s = float("-inf")

    async def authorization(self) -> str | None:
        """Return the value, renewed first if it is about to expire."""
        if self._clock() >= self._renew_at_s:
            await self._renew_ahead()
        return self._grant.value

    async def _renew_ahead(self) -> None:
        if self._lock.locked() and not self._expired():
            return
        try:
            await self._renew_once(is_wanted=lambda: self._clock() >= self._renew_at_s)
        except TransportError as error:
            if self._expired():
                raise
            if self._renew_at_s <= self._clock():
                _log.warning("credentials could not be renewed, the present ones are still valid: %s", error)
            self._renew_at_s = self._clock() + RETRY_RENEWAL_S

    async def renew(self, refused: str | None) -> bool:
        """Fetch another grant, unless another task did so meanwhile."""
        before = self._grant
        if before.value is None and self._clock() < self._renewed_at_s + RETRY_RENEWAL_S:
            return (
                not self._is_paused()
            )  # refused was probably the certificate before, on a connection of its own
        await self._renew_once(is_wanted=lambda: self._grant is before and before.value == refused)
        return self._grant.value != refused or self._grant.certificate != before.certificate

    async def _renew_once(self, *, is_wanted: Callable[[], bool]) -> None:
        """Renew, or share the renewal that another task has just ended; during a pause, only its error."""
        before = self._renewals
        async with self._lock:
            if not is_wanted():
                return
            if self._renewals == before and not self._is_paused():
                await self._replace()
            elif self._failure is not None:
                raise TransportError(str(self._failure), sent=False) from self._failure

    def _is_paused(self) -> bool:
        return self._clock() < self._paused_until_s

    async def _replace(self) -> None:
        try:
            granted = await self._fetch()
        except ConfigError as error:  # it worked before: a passing error of the issuer
            self._renewals += 1
            self._paused_until_s = self._clock() + RETRY_RENEWAL_S
            self._failure = TransportError(f"the credentials could not be renewed: {error}", sent=False)
            raise self._failure from error
        before, self._grant, self._failure = self._grant, granted, None
        self._renewals += 1
        self._renewed_at_s = self._clock()
        if (granted.value, granted.certificate) == (before.value, before.certificate):
            self._paused_until_s = self._clock() + RETRY_RENEWAL_S
        self._renew_at_s = _renew_at(granted, now_s=self._clock())

    def _expired(self) -> bool:
        return self._grant.expires_at_s is not None and self._clock() >= self._grant.expires_at_s


def _renew_at(grant: Grant, *, now_s: float) -> float:
    if grant.expires_at_s is None:
        return float("inf")
    life_s = max(0.0, grant.expires_at_s - now_s)
    renew_at_s = grant.expires_at_s - min(RENEW_AHEAD_S, RENEW_AHEAD_SHARE * life_s)
    return renew_at_s if life_s > 0 else now_s + RETRY_RENEWAL_S


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
