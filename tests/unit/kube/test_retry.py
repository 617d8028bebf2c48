"""What fails for a moment is tried again, with a budget and a backoff per kind of trouble."""

from __future__ import annotations

import logging
from collections import deque
from random import Random

import pytest
from podrunner.config import RetrySettings
from podrunner.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
    QuotaExceededError,
    ServerError,
    TooManyRequestsError,
    TransportError,
)
from podrunner.kube.answers import Trouble
from podrunner.kube.retry import Backoff, RequestRetry, retrying

pytestmark = pytest.mark.anyio

POLICY = RequestRetry.of(RetrySettings(attempts=4, initial_s=1.0, max_s=5.0, jitter=0.0))

LOST = TransportError("connection reset")
THROTTLED = TooManyRequestsError(status=429)
QUOTA = QuotaExceededError(status=403, server_message="exceeded quota")
CONFLICT = ConflictError(status=409, details={"kind": "resourcequotas"})


class Server:
    """Fails as scripted, then succeeds; and the sleep of the caller that retries."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = deque(failures)
        self.calls = 0
        self.slept: list[float] = []

    async def call(self):
        self.calls += 1
        if self.failures:
            raise self.failures.popleft()
        return "done"

    async def sleep(self, seconds):
        self.slept.append(seconds)

    async def run(self, **options):
        return await retrying(self.call, policy=POLICY, name="create pod n/a", sleep=self.sleep, **options)


async def test_a_success_is_not_wrapped():
    server = Server()
    assert await server.run() == "done"
    assert (server.calls, server.slept) == (1, [])


async def test_waits_double_up_to_their_longest():
    server = Server(LOST, LOST, LOST)
    assert await server.run() == "done"
    assert server.slept == [1.0, 2.0, 4.0]


async def test_the_budget_ends_it_with_the_last_error():
    last = ServerError(status=500)
    server = Server(*[ServerError(status=500)] * 3, last)
    with pytest.raises(ServerError) as caught:
        await server.run()
    assert caught.value is last
    assert server.calls == 4


@pytest.mark.parametrize(
    "error", [NotFoundError(status=404), AlreadyExistsError(status=409), ValueError("ours")]
)
async def test_what_is_final_is_raised_at_once(error):
    """L6."""
    server = Server(error)
    with pytest.raises(type(error)):
        await server.run()
    assert (server.calls, server.slept) == (1, [])


async def test_a_final_error_after_a_passing_one_ends_it():
    server = Server(LOST, AlreadyExistsError(status=409))
    with pytest.raises(AlreadyExistsError):
        await server.run()
    assert server.calls == 2


async def test_each_kind_of_trouble_has_a_budget_of_its_own():
    server = Server(LOST, THROTTLED, LOST, THROTTLED, LOST, THROTTLED, CONFLICT)
    assert await server.run() == "done"
    assert server.calls == 8


async def test_a_quota_is_waited_for_longer_and_a_conflict_shorter():
    """L3, L4."""
    server = Server(QUOTA, QUOTA, CONFLICT)
    await server.run()
    assert server.slept == [2.0, 4.0, 0.125]
    patient = Server(*[QUOTA] * 15)
    assert await patient.run() == "done"
    assert max(patient.slept) == 10.0


async def test_the_servers_own_wait_comes_before_a_shorter_backoff():
    """L5."""
    server = Server(
        TooManyRequestsError(status=429, retry_after_s=9.0), ApiError(status=408, retry_after_s=0.1)
    )
    await server.run()
    assert server.slept == [9.0, 1.0]


async def test_without_a_limit_it_goes_on():
    endless = RequestRetry.of(RetrySettings(attempts=0, initial_s=0.1, max_s=1.0))
    server = Server(*[LOST] * 2_000)
    assert await retrying(server.call, policy=endless, name="x", sleep=server.sleep) == "done"
    assert max(server.slept) <= 1.0


async def test_each_retry_is_reported_and_logged_with_its_reason(caplog):
    reported = []
    with caplog.at_level(logging.INFO, "podrunner.kube.retry"):
        await Server(LOST).run(on_retry=lambda error, wait_s: reported.append((error, wait_s)))
    assert reported == [(LOST, 1.0)]
    assert "create pod n/a failed, trying again in 1.0 s: connection reset" in caplog.text


def test_jitter_spreads_the_waits():
    backoff = Backoff(initial_s=1.0, max_s=8.0, attempts=3, jitter=0.5)
    waits = [backoff.wait_s(2, random=Random(seed)) for seed in range(200)]
    assert 1.0 < min(waits) < 1.1
    assert 1.9 < max(waits) <= 2.0


def test_every_trouble_has_a_backoff():
    assert set(POLICY.backoffs) == set(Trouble)
