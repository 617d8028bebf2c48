"""Who may see the board: which hosts it is asked for by, and how a browser proves that it was given the URL. Pure.

A page of another site must not read the board, although the browser can reach it. A request that came by another name
(DNS rebinding) is refused by its Host header, and of other sites' requests the cookie goes with a followed
link only (``SameSite=Lax``), whose answer that site cannot read.
"""

from __future__ import annotations

import hmac
import secrets
from enum import Enum
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["HEADERS", "LOOPBACK_HOSTS", "Access", "Verdict", "host_of"]

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS: Final = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
)
"""On each answer: no other origin's code runs, no other origin frames or reads it, and no cache keeps it."""


class Verdict(Enum):
    """What becomes of a request."""

    SERVE = "serve"
    """It is answered."""
    LET_IN = "let in"
    """It has the token: the browser gets the cookie, and is sent to the address without the token."""
    WRONG_HOST = "wrong host"
    """It was sent to another name than the board's: 421."""
    WRONG_TOKEN = "wrong token"  # noqa: S105  # no password
    """It has a token, and not this one: 403."""
    UNKNOWN = "unknown"
    """It has neither cookie nor token: 401."""
    WRONG_METHOD = "wrong method"
    """It wants to change something: 405."""


def host_of(header: str) -> str:
    """Return the host of a Host header in lower case, without the port."""
    name = header.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.rpartition(":")[0] if ":" in name else name


class _Cookie(NamedTuple):
    name: str
    value: str


class Access:
    """Decides about requests.

    Args:
        token: What the URL holds that lets a browser in; None: every request is served whose host is right, since
            something else in front of the board decides.
        hosts: The names by which the board may be asked for, without ports.
    """

    def __init__(self, token: str | None, *, hosts: Collection[str] = LOOPBACK_HOSTS) -> None:
        self._token = token
        self._hosts = frozenset(host.lower() for host in hosts)
        # Cookies are shared by all ports of a host: two boards on a machine need two names.
        self._cookie = _Cookie(f"podrunner-board-{secrets.token_hex(4)}", secrets.token_urlsafe(32))

    def judge(self, *, method: str, host: str, cookies: str, token: str | None) -> Verdict:
        """Return what becomes of a request.

        Args:
            method: Its method.
            host: Its Host header, or "".
            cookies: Its Cookie header, or "".
            token: The token in its query; None: there is none.
        """
        if host_of(host) not in self._hosts:
            return Verdict.WRONG_HOST
        if method not in {"GET", "HEAD"}:
            return Verdict.WRONG_METHOD
        if self._token is None:
            return Verdict.SERVE
        if token is not None:
            return Verdict.LET_IN if _same(token, self._token) else Verdict.WRONG_TOKEN
        return Verdict.SERVE if self._has_cookie(cookies) else Verdict.UNKNOWN

    def _has_cookie(self, header: str) -> bool:
        try:
            found = SimpleCookie(header).get(self._cookie.name)
        except CookieError:
            return False
        return found is not None and _same(found.value, self._cookie.value)

    def cookie_header(self, *, path: str, secure: bool) -> str:
        """Return the Set-Cookie header for a browser that is let in.

        Args:
            path: Where the board is.
            secure: Whether it is served by HTTPS.
        """
        more = "; Secure" if secure else ""
        return f"{self._cookie.name}={self._cookie.value}; Path={path}; HttpOnly; SameSite=Lax{more}"


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode())
