"""Credentials stay fresh, and one renewal serves all."""

from __future__ import annotations

import logging

import anyio
import pytest
from podrunner.errors import ConfigError, TransportError
from podrunner.kube.answers import is_transient
from podrunner.kube.credentials import (
    RETRY_RENEWAL_S,
    Grant,
    RenewedCredentials,
    StaticCredentials,
    TokenFileCredentials,
)

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self, now=1_000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


class Plugin:
    """Grants token-1, token-2, … for a quarter of an hour each."""

    def __init__(self, clock, life_s=900.0):
        self.clock = clock
        self.life_s = life_s
        self.calls = 0
        self.failing = False

    async def __call__(self):
        self.calls += 1
        await anyio.lowlevel.checkpoint()
        if self.failing:
            raise ConfigError("plugin failed")
        return Grant(f"Bearer token-{self.calls}", self.clock.now + self.life_s)


def renewed(plugin, clock):
    return RenewedCredentials(Grant("Bearer token-0", clock.now + plugin.life_s), plugin, clock=clock)


async def test_a_static_value_is_never_renewed():
    assert await StaticCredentials("Bearer x").authorization() == "Bearer x"
    assert not await StaticCredentials("Bearer x").renew("Bearer x")
    assert "Bearer x" not in repr(StaticCredentials("Bearer x"))


async def test_a_token_is_renewed_before_it_expires(clock):
    """L8: a fifth of its life before the end."""
    plugin = Plugin(clock)
    credentials = renewed(plugin, clock)
    clock.now += 700
    assert await credentials.authorization() == "Bearer token-0"
    clock.now += 21
    assert await credentials.authorization() == "Bearer token-1"
    assert plugin.calls == 1


async def test_one_renewal_serves_all_requests_that_notice(clock):
    """L8."""
    plugin = Plugin(clock)
    credentials = renewed(plugin, clock)
    clock.now += 10_000
    values = []

    async def ask():
        values.append(await credentials.authorization())

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    assert set(values) == {"Bearer token-1"}
    assert plugin.calls == 1


async def test_while_it_is_renewed_the_others_use_what_is_still_valid(clock):
    plugin = Plugin(clock)
    credentials = renewed(plugin, clock)
    clock.now += 800
    values = []

    async def ask():
        values.append(await credentials.authorization())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
    assert sorted(values) == ["Bearer token-0", "Bearer token-0", "Bearer token-1"]


async def test_one_renewal_serves_all_requests_that_are_refused(clock):
    """L8."""
    plugin = Plugin(clock)
    credentials = renewed(plugin, clock)
    answers = []

    async def refused():
        answers.append(await credentials.renew("Bearer token-0"))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(refused)
    assert answers == [True] * 10
    assert plugin.calls == 1


async def test_the_same_token_again_is_no_renewal(clock):
    async def same():
        return Grant("Bearer token-0", None)

    credentials = RenewedCredentials(Grant("Bearer token-0", None), same, clock=clock)
    clock.now += 1e9
    assert await credentials.authorization() == "Bearer token-0"
    assert not await credentials.renew("Bearer token-0")


async def test_a_renewal_that_fails_leaves_the_valid_token_for_a_while(clock, caplog):
    plugin = Plugin(clock)
    plugin.failing = True
    credentials = renewed(plugin, clock)
    clock.now += 800
    with caplog.at_level(logging.WARNING):
        assert await credentials.authorization() == "Bearer token-0"
        assert await credentials.authorization() == "Bearer token-0"
    assert plugin.calls == 1
    assert "still valid" in caplog.text
    assert "token-0" not in caplog.text
    clock.now += RETRY_RENEWAL_S
    plugin.failing = False
    assert await credentials.authorization() == "Bearer token-2"


async def test_an_expired_token_that_cannot_be_renewed_is_an_error(clock):
    plugin = Plugin(clock)
    plugin.failing = True
    credentials = renewed(plugin, clock)
    clock.now += 901
    with pytest.raises(TransportError, match="plugin failed") as caught:
        await credentials.authorization()
    assert (caught.value.sent, is_transient(caught.value)) == (False, True), (
        "it worked before, it may work again"
    )
    with pytest.raises(TransportError):
        await credentials.renew("Bearer token-0")


async def test_a_token_file_is_read_again_each_minute_and_when_refused(tmp_path, clock):
    """L8: the kubelet rotates it."""
    path = tmp_path / "token"
    path.write_text("one\n")
    credentials = TokenFileCredentials(path, clock=clock)
    path.write_text("two")
    assert await credentials.authorization() == "Bearer one"
    clock.now += 60
    assert await credentials.authorization() == "Bearer two"
    assert not await credentials.renew("Bearer two")
    path.write_text("three")
    assert await credentials.renew("Bearer two")
    assert await credentials.authorization() == "Bearer three"


async def test_a_token_file_that_is_gone_for_a_moment_does_no_harm(tmp_path, clock, caplog):
    path = tmp_path / "token"
    path.write_text("one")
    credentials = TokenFileCredentials(path, clock=clock)
    path.unlink()
    clock.now += 60
    assert await credentials.authorization() == "Bearer one"
    assert "cannot be read" in caplog.text
    assert not await credentials.renew("Bearer one")


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_token_file_without_a_token_is_named(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        TokenFileCredentials(path)
