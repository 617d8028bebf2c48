"""Credentials stay fresh, and one renewal serves all."""

from __future__ import annotations

import logging
from pathlib import Path

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


def test_a_device_without_an_end_is_no_token_file():
    with pytest.raises(ConfigError, match="the token cannot be read: it is larger than 16 MiB"):
        TokenFileCredentials(Path("/dev/zero"))


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_token_file_without_a_token_is_named(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        TokenFileCredentials(path)


async def test_a_renewal_that_fails_fails_once_for_all_that_wait_and_not_again_at_once(clock):
    """K3: one process for many requests, though it fails; then none for a while."""
    plugin = Plugin(clock)
    plugin.failing = True
    credentials = renewed(plugin, clock)
    clock.now += 901
    errors = []

    async def ask():
        with pytest.raises(TransportError, match="plugin failed") as caught:
            await credentials.authorization()
        errors.append(caught.value)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
    await ask()
    assert (len(errors), plugin.calls) == (21, 1)
    assert not any(error.sent for error in errors)
    clock.now += RETRY_RENEWAL_S
    plugin.failing = False
    assert await credentials.authorization() == "Bearer token-2"


@pytest.mark.parametrize("life_s", [0.0, -3600.0])
async def test_a_grant_that_is_over_when_it_comes_is_used_and_renewed_in_no_loop(clock, life_s):
    """K3: ``expirationTimestamp`` in the past; the server's clock decides, not ours."""
    plugin = Plugin(clock, life_s=life_s)
    credentials = renewed(plugin, clock)
    for _ in range(5):
        assert await credentials.authorization() == "Bearer token-0"
    clock.now += RETRY_RENEWAL_S
    for _ in range(5):
        assert await credentials.authorization() == "Bearer token-1"
    assert await credentials.renew("Bearer token-1")
    assert (await credentials.authorization(), plugin.calls) == ("Bearer token-2", 2)


async def test_a_refused_token_that_stays_the_same_is_not_asked_for_in_a_loop(clock):
    """K3."""
    calls = []

    async def same():
        calls.append(1)
        return Grant("Bearer token-0", None)

    credentials = RenewedCredentials(Grant("Bearer token-0", None), same, clock=clock)
    for _ in range(5):
        assert not await credentials.renew("Bearer token-0")
    assert len(calls) == 1
    clock.now += RETRY_RENEWAL_S
    assert not await credentials.renew("Bearer token-0")
    assert len(calls) == 2


async def test_a_request_that_is_cancelled_while_it_renews_leaves_the_renewal_to_the_next(clock):
    """K3."""
    plugin = Plugin(clock)
    started = anyio.Event()

    async def hang_at_first():
        if plugin.calls == 0:
            plugin.calls = 1
            started.set()
            await anyio.sleep_forever()
        return await plugin()

    credentials = RenewedCredentials(Grant("Bearer token-0", clock.now), hang_at_first, clock=clock)
    clock.now += RETRY_RENEWAL_S
    values = []

    async def ask():
        values.append(await credentials.authorization())

    async with anyio.create_task_group() as waiting, anyio.create_task_group() as first:
        first.start_soon(ask)
        await started.wait()
        waiting.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        first.cancel_scope.cancel()
    assert values == ["Bearer token-2"]


async def test_certificates_are_renewed_once_for_all_connections_that_were_refused(clock):
    """K3: which certificate was refused is not known; one that stays refused is not asked for in a loop."""
    made = iter([b"1", b"2", b"2"])
    calls = []

    async def fetch():
        calls.append(1)
        await anyio.lowlevel.checkpoint()
        return Grant(None, None, next(made))

    credentials = RenewedCredentials(Grant(None, None, b"0"), fetch, clock=clock)
    assert await credentials.renew(None)
    assert await credentials.renew(None), "a connection of the certificate before"
    assert len(calls) == 1
    clock.now += RETRY_RENEWAL_S
    assert await credentials.renew(None)
    clock.now += RETRY_RENEWAL_S
    assert not await credentials.renew(None)
    assert not await credentials.renew(None)
    assert len(calls) == 3


async def test_a_token_beside_a_token_file_is_used_until_the_file_can_be_read(tmp_path, clock):
    """As in client-go."""
    path = tmp_path / "token"
    credentials = TokenFileCredentials(path, fallback="Bearer own", clock=clock)
    assert await credentials.authorization() == "Bearer own"
    path.write_text("file")
    assert await credentials.renew("Bearer own")
    assert await credentials.authorization() == "Bearer file"
