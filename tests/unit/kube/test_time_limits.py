"""Time limits of requests: one timer for all, and a cancellation from elsewhere stays one."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from podrunner.kube.time_limits import TimeLimits

pytestmark = pytest.mark.asyncio


async def never() -> None:
    await asyncio.Event().wait()


async def soon(result: str) -> str:
    await asyncio.sleep(0)
    return result


async def test_what_is_done_in_time_is_returned():
    """Nothing is left of the limit then: the task is not cancelled."""
    limits = TimeLimits()
    assert await limits.keep(60, soon("done")) == "done"
    (waiter,) = limits._limits[60]._waiters
    waiter.until_s = 0.0
    limits._limits[60]._expire()
    assert await limits.keep(None, soon("without a limit")) == "without a limit"
    limits.close()


async def test_what_takes_longer_is_ended_and_the_task_goes_on():
    """The cancellation that ends it is withdrawn."""
    limits = TimeLimits()
    with pytest.raises(TimeoutError):
        await limits.keep(0.01, never())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert await limits.keep(60, soon("the next one")) == "the next one"
    limits.close()


async def test_each_has_its_own_time_though_one_timer_serves_all(monkeypatch):
    """One that began later is not ended with the first, nor is one that is done."""
    limits, ended = TimeLimits(), list[int]()
    loop = asyncio.get_running_loop()
    now_s, timers = 1000.0, list[float]()
    # The loop's own timers go by the time of the machine: this one is called by hand, as often as it was set.
    monkeypatch.setattr(loop, "time", lambda: now_s)
    monkeypatch.setattr(
        loop, "call_at", lambda when, callback: timers.append(when) or asyncio.Handle(callback, (), loop)
    )

    async def one(number: int) -> None:
        with pytest.raises(TimeoutError):
            await limits.keep(5, never())
        ended.append(number)

    tasks = []
    for number in range(50):
        tasks.append(asyncio.create_task(one(number)))
        await asyncio.sleep(0)
        now_s += 0.02
    assert timers == [1005.0]
    for time_s, ended_until in ((1005.21, 11), (1005.5, 26), (1006.0, 50)):
        now_s = time_s
        limits._limits[5]._expire()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ended == list(range(ended_until))
    assert len(timers) == 3
    await asyncio.gather(*tasks)
    limits.close()


async def test_a_cancellation_from_elsewhere_is_no_timeout():
    """Neither the task's own, nor that of a scope of anyio's."""
    limits = TimeLimits()
    task = asyncio.create_task(limits.keep(60, never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with anyio.move_on_after(0.01) as scope:
        await limits.keep(60, never())
    assert scope.cancelled_caught
    limits.close()


async def test_a_cancellation_at_the_same_time_counts_over_the_limit():
    """As with asyncio.timeout."""
    limits = TimeLimits()

    async def limited() -> None:
        try:
            await limits.keep(60, never())
        except asyncio.CancelledError:
            raise
        except TimeoutError:
            raise AssertionError("the cancellation was lost") from None

    task = asyncio.create_task(limited())
    await asyncio.sleep(0)
    limit = limits._limits[60]
    limit._waiters[0].until_s = 0.0
    limit._expire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    limits.close()


@pytest.mark.parametrize("error", [None, ConnectionError])
async def test_what_ends_otherwise_when_its_time_is_over_leaves_no_cancellation(error):
    """The task would be taken for cancelled by each task group that it enters later."""

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if error is not None:
                raise error from None
        return "ended"

    limits, task = TimeLimits(), asyncio.current_task()
    assert task is not None
    if error is None:
        assert await limits.keep(0.01, stubborn()) == "ended"
    else:
        with pytest.raises(error):
            await limits.keep(0.01, stubborn())
    assert task.cancelling() == 0
    limits.close()


async def test_what_is_done_is_forgotten():
    """A limit of half a minute must not hold all requests of that time."""
    limits = TimeLimits()
    for _ in range(100):
        await limits.keep(30, soon("done"))
    assert len(limits._limits[30]._waiters) == 1
    limits.close()
