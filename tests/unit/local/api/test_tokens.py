"""Tokens: the cluster's own never ends, issued ones do, and none is ever shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from podrunner.local.api.status import StatusError
from podrunner.local.api.tokens import ADMIN, Tokens

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def test_the_clusters_own_token():
    tokens = Tokens("secret")
    assert tokens.user("Bearer secret", now=NOW) == ADMIN
    for wrong in ("", "Bearer", "Bearer other", "bearer secret", "Bearer sécret", "Bearer \udcff"):
        with pytest.raises(StatusError, match="401"):
            tokens.user(wrong, now=NOW)


def test_an_issued_token_ends():
    tokens = Tokens("secret")
    token, expiry = tokens.issue("system:serviceaccount:n:a", seconds=5, now=NOW)
    assert expiry == NOW + timedelta(minutes=10)
    assert tokens.user(f"Bearer {token}", now=NOW) == "system:serviceaccount:n:a"
    with pytest.raises(StatusError):
        tokens.user(f"Bearer {token}", now=expiry)
    _, longer = tokens.issue("x", seconds=None, now=expiry)
    assert longer == expiry + timedelta(hours=1)
    assert token not in repr(tokens)
    assert repr(tokens) == "Tokens(issued=1)"


def test_expired_tokens_are_forgotten():
    tokens = Tokens("secret")
    tokens.issue("a", seconds=600, now=NOW)
    tokens.issue("b", seconds=600, now=NOW + timedelta(hours=1))
    assert repr(tokens) == "Tokens(issued=1)"
