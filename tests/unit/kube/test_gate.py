"""``Retry-After`` closes one gate for all."""

from __future__ import annotations

from random import Random

import anyio
import pytest
from podrunner.kube.gate import MAX_CLOSED_S, RetryAfterGate


class Time:
    """A clock that moves with each sleep."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def gate(time):
    return RetryAfterGate(clock=time, sleep=time.sleep, random=Random(1))


def test_it_is_open_at_first_and_again_after_the_wait(gate, time):
    assert not gate.closed
    gate.close_for(5)
    assert gate.closed
    time.now += 5
    assert not gate.closed


def test_the_longest_wait_counts_and_none_is_too_long(gate, time):
    gate.close_for(20)
    gate.close_for(5)
    time.now += 10
    assert gate.closed
    gate.close_for(1_000_000)
    time.now += MAX_CLOSED_S
    assert not gate.closed


def test_it_says_for_how_long_it_is_closed(gate, time):
    """H5."""
    assert gate.closed_for_s == 0
    gate.close_for(3600)
    assert gate.closed_for_s == MAX_CLOSED_S
    time.now += 50
    assert gate.closed_for_s == pytest.approx(MAX_CLOSED_S - 50)
    time.now += 20
    assert gate.closed_for_s == 0


@pytest.mark.anyio
async def test_waiting_requests_come_back_spread(gate, time):
    gate.close_for(10)
    await gate.wait()
    assert 10 <= time.slept[0] <= 12
    assert not gate.closed


@pytest.mark.anyio
async def test_a_closure_during_the_wait_is_waited_for_too(gate, time):
    """L5: a request that wakes up checks the gate again."""
    gate.close_for(1)

    async def close_again(seconds):
        if not time.slept:
            gate.close_for(30)
        await time.sleep(seconds)

    again = RetryAfterGate(clock=time, sleep=close_again, random=Random(1))
    gate = again
    gate.close_for(1)
    await gate.wait()
    assert time.now >= 130
    assert len(time.slept) == 2


@pytest.mark.anyio
async def test_an_open_gate_lets_through_at_once(gate, time):
    await gate.wait()
    assert time.slept == []
