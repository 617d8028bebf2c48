"""Calls from other threads: in their order, many by one wake-up of the event loop, none lost at the end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from podrunner.blocking.posts import Posts
from podrunner.errors import RunnerClosedError


class Thread:
    """An event loop in a thread, which serves posts."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.wake_ups = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._live(),))
        self._thread.start()
        self._ready.wait(30)

    async def _live(self) -> None:
        self.posts = Posts()
        self._leave = asyncio.Event()
        serving = asyncio.create_task(self.posts.serve())
        self._ready.set()
        await self._leave.wait()
        self.posts.close()
        serving.cancel()

    def count_wake_ups(self) -> None:
        call_soon = self.loop.call_soon_threadsafe

        def counted(*args, **kwargs):
            self.wake_ups += 1
            return call_soon(*args, **kwargs)

        self.loop.call_soon_threadsafe = counted

    def end(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._leave.set)
            self._thread.join(30)
            self.loop.close()


@pytest.fixture
def thread() -> Iterator[Thread]:
    thread = Thread()
    yield thread
    thread.end()


def test_a_call_returns_what_the_function_returns_or_raises_over_there(thread):
    """A call."""
    assert thread.posts.call(threading.get_ident) == thread._thread.ident
    with pytest.raises(KeyError, match="no such"):
        thread.posts.call(lambda: {}["no such"])


def test_what_is_called_runs_in_a_task(thread):
    """anyio's primitives need one."""
    assert thread.posts.call(lambda: asyncio.current_task(thread.loop)) is not None


def test_a_call_has_the_context_of_its_caller(thread):
    """Such as the span that is current there, whose child the run's span is, and what a log filter looks at."""
    span = contextvars.ContextVar("span", default="none")
    span.set("the caller's")

    assert thread.posts.call(span.get) == "the caller's"
    assert contextvars.Context().run(thread.posts.call, span.get) == "none"


def test_what_was_posted_is_called_before_what_comes_later_by_one_wake_up(thread):
    """A hundred posts while the event loop is busy wake it once."""
    called: list[int] = []
    busy, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        go_on.wait(30)

    thread.posts.post(hold)
    busy.wait(30)
    thread.count_wake_ups()
    for number in range(100):
        thread.posts.post(lambda number=number: called.append(number))
    go_on.set()
    assert thread.posts.call(lambda: list(called)) == list(range(100))
    assert thread.wake_ups <= 2


def test_an_error_of_a_post_is_logged_and_stops_nothing(thread, caplog):
    """Nothing waits for a post, so its error is in the log."""
    thread.posts.post(lambda: 1 / 0)
    assert thread.posts.call(lambda: "goes on") == "goes on"
    assert "a call from another thread failed" in caplog.text


def test_closing_calls_what_waits_and_refuses_what_comes_later(thread):
    """No caller waits for ever."""
    called: list[str] = []
    thread.posts.post(lambda: called.append("posted"))
    posts = thread.posts
    thread.end()
    assert called == ["posted"]
    with pytest.raises(RunnerClosedError):
        posts.call(lambda: "too late")
    assert not posts.is_waited_for


def test_ctrl_c_while_the_event_loop_is_woken_keeps_no_other_call_waiting(thread, monkeypatch):
    """Between the note that it is woken and the waking, a signal's handler raises: other threads rely on the note."""
    call_soon = thread.loop.call_soon_threadsafe
    interrupted = iter([KeyboardInterrupt()])
    answers: list[str] = []
    other = threading.Thread(target=lambda: answers.append(thread.posts.call(lambda: "called")), daemon=True)

    def waking(*args, **kwargs):
        for error in interrupted:
            other.start()
            while not thread.posts.is_waited_for or len(thread.posts._waiting) < 2:
                other.join(0.001)
            raise error
        return call_soon(*args, **kwargs)

    monkeypatch.setattr(thread.loop, "call_soon_threadsafe", waking)
    with pytest.raises(KeyboardInterrupt):
        thread.posts.post(lambda: None)
    other.join(30)
    assert answers == ["called"]


class TakenMeanwhile(deque[Callable[[], object]]):
    """What waits, of which the closing event loop takes all in the moment before it is looked at."""

    def _take(self) -> None:
        while self:
            self.popleft()()

    def __contains__(self, function: object) -> bool:
        found = super().__contains__(function)
        self._take()
        return found

    def remove(self, function: Callable[[], object]) -> None:
        self._take()
        super().remove(function)


def test_what_closing_calls_in_the_same_moment_is_not_refused(thread):
    """Neither is it an error of another kind."""
    posts = thread.posts
    thread.end()
    posts._waiting = TakenMeanwhile()
    assert posts.call(lambda: "called by closing") == "called by closing"


def test_a_call_on_the_event_loops_thread_is_made_at_once(thread):
    """A hook is called there, and may read a handle: waiting for its own thread would never end."""
    answers: list[str] = []
    nested = partial(thread.posts.call, lambda: answers.append("nested"))
    other = threading.Thread(target=thread.posts.call, args=(nested,), daemon=True)
    other.start()
    other.join(30)
    assert answers == ["nested"]


def test_posts_that_never_end_leave_the_event_loop_its_other_work(thread):
    """A thread that posts in a loop must not keep the Lease from being renewed."""
    posts, renewed, posted = thread.posts, threading.Event(), 0

    def again() -> None:
        nonlocal posted
        posted += 1
        if not renewed.is_set() and posted < 100_000:
            posts.post(again)

    def begin() -> None:
        thread.loop.call_soon(renewed.set)
        again()

    posts.post(begin)
    assert renewed.wait(30)
    assert posts.call(lambda: posted) < 100_000
