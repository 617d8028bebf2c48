"""The limit on creates in flight finds what the server can take."""

from __future__ import annotations

from collections import deque

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.kube.flow import AdaptiveLimit

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


async def rounds(limit, clock, *, number, took_s=0.1):
    """Fill the limit and empty it, so many times."""
    for _ in range(number):
        began = [await limit.acquire() for _ in range(limit.limit)]
        clock.now += took_s
        for each in began:
            limit.release(each)


async def test_a_queue_that_is_served_well_raises_it_by_one_each_round(clock):
    limit = AdaptiveLimit(maximum=100, initial=8, clock=clock)
    began = deque([await limit.acquire() for _ in range(8)])

    async def one_more():
        began.append(await limit.acquire())

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(one_more)
        await anyio.wait_all_tasks_blocked()
        for _ in range(8 + 9 + 10):
            clock.now += 0.01
            limit.release(began.popleft())
            await anyio.wait_all_tasks_blocked()
        assert limit.limit in {10, 11}
        tasks.cancel_scope.cancel()


async def test_bursts_raise_it_too(clock):
    limit = AdaptiveLimit(maximum=100, initial=8, clock=clock)
    await rounds(limit, clock, number=10)
    assert limit.limit > 10


async def test_it_never_passes_its_maximum(clock):
    limit = AdaptiveLimit(maximum=10, initial=8, clock=clock)
    await rounds(limit, clock, number=50)
    assert limit.limit == 10


async def test_an_unused_limit_does_not_grow(clock):
    limit = AdaptiveLimit(maximum=100, initial=8, clock=clock)
    for _ in range(100):
        limit.release(await limit.acquire())
    assert limit.limit == 8


async def test_a_round_of_refusals_halves_it_once(clock):
    """L5: thirty refusals of one round are one message."""
    limit = AdaptiveLimit(maximum=100, initial=32, clock=clock)
    began = [await limit.acquire() for _ in range(30)]
    clock.now += 1
    for each in began:
        limit.release(each, throttled=True)
    assert limit.limit == 16
    limit.release(await limit.acquire(), throttled=True)
    assert limit.limit == 8


async def test_it_never_falls_below_one(clock):
    limit = AdaptiveLimit(maximum=4, clock=clock)
    for _ in range(10):
        began = await limit.acquire()
        clock.now += 1
        limit.release(began, throttled=True)
    assert limit.limit == 1


async def test_slow_answers_lower_it_a_little(clock):
    limit = AdaptiveLimit(maximum=100, initial=20, clock=clock)
    await rounds(limit, clock, number=1, took_s=0.1)
    before = limit.limit
    await rounds(limit, clock, number=1, took_s=3.0)
    assert before * 0.8 < limit.limit < before


async def test_an_answer_under_a_second_is_never_slow(clock):
    limit = AdaptiveLimit(maximum=100, initial=20, clock=clock)
    await rounds(limit, clock, number=1, took_s=0.001)
    await rounds(limit, clock, number=4, took_s=0.9)
    assert limit.limit > 20


async def test_turns_come_in_order(clock):
    limit = AdaptiveLimit(maximum=1, clock=clock)
    order = []

    async def worker(number):
        began = await limit.acquire()
        order.append(number)
        await anyio.lowlevel.checkpoint()
        limit.release(began)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(worker, number)
            await anyio.wait_all_tasks_blocked()
    assert order == [0, 1, 2, 3, 4]
    assert (limit.in_flight, limit.waiting) == (0, 0)


async def test_a_cancelled_wait_takes_no_turn(clock):
    """C1."""
    limit = AdaptiveLimit(maximum=1, clock=clock)
    began = await limit.acquire()
    with anyio.move_on_after(0.01):
        await limit.acquire()
    assert limit.waiting == 0
    limit.release(began)
    with anyio.fail_after(30):
        limit.release(await limit.acquire())
    assert limit.in_flight == 0


async def test_a_turn_that_meets_its_cancellation_goes_to_the_next(clock):
    """C1: nothing leaks in the instant when both come together."""
    limit = AdaptiveLimit(maximum=1, clock=clock)
    began = await limit.acquire()
    got = []

    async def worker(scope):
        with scope:
            got.append(await limit.acquire())

    first, second = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker, first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(worker, second)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        limit.release(began)
    assert len(got) == 1
    assert (limit.in_flight, limit.waiting) == (1, 0)


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=60))
def test_it_stays_within_its_bounds(history):
    clock = Clock()
    limit = AdaptiveLimit(maximum=8, clock=clock)

    async def run():
        for took_s, throttled in history:
            began = await limit.acquire()
            clock.now += took_s
            limit.release(began, throttled=throttled)
            assert 1 <= limit.limit <= 8

    anyio.run(run)
    assert limit.in_flight == 0


def test_a_maximum_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        AdaptiveLimit(maximum=0)
