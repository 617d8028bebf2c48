"""Bearer tokens: the cluster's own, and those issued to service accounts. Every accepted token has every right."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from podrunner.local.api.status import unauthorized

__all__ = ["ADMIN", "Tokens"]

ADMIN = "podrunner-local"
_SHORTEST_S, _DEFAULT_S = 600, 3600


class Tokens:
    """The tokens that are accepted. They are kept and looked up as digests, so that no time tells how much was right.

    Args:
        admin: The cluster's own token.
    """

    def __init__(self, admin: str) -> None:
        self._admin = _digest(f"Bearer {admin}")
        self._issued: dict[bytes, tuple[str, datetime]] = {}

    def __repr__(self) -> str:
        return f"Tokens(issued={len(self._issued)})"

    def user(self, authorization: str, *, now: datetime) -> str:
        """Return the user of an ``Authorization`` header; 401 if its token is not one of these."""
        given = _digest(authorization)
        if hmac.compare_digest(given, self._admin):
            return ADMIN
        name, expiry = self._issued.get(given, ("", now))
        if expiry <= now:
            self._issued.pop(given, None)
            raise unauthorized()
        return name

    def issue(self, user: str, *, seconds: int | None, now: datetime) -> tuple[str, datetime]:
        """Return a new token and its expiry; at least ten minutes, an hour by default."""
        token = secrets.token_urlsafe(32)
        expiry = now + timedelta(seconds=max(seconds or _DEFAULT_S, _SHORTEST_S))
        self._forget_expired(now)
        self._issued[_digest(f"Bearer {token}")] = (user, expiry)
        return token, expiry

    def _forget_expired(self, now: datetime) -> None:
        for given in [each for each, (_, expiry) in self._issued.items() if expiry <= now]:
            del self._issued[given]


def _digest(authorization: str) -> bytes:
    """Return the digest of a header; one that was no UTF-8 has surrogates in it."""
    return hashlib.sha256(authorization.encode(errors="surrogateescape")).digest()
