"""A runner that is closed during a call of another thread, and one that a forked child inherits."""

from __future__ import annotations

import os
import threading
import time
import warnings

import pytest
from podrunner.errors import RunnerClosedError
from tests.support.waiting import until_blocking
from tests.unit.runner.harness import workload


def test_closing_ends_the_calls_of_other_threads(cluster, opened):
    """S1: close during a call."""
    raised: list[BaseException] = []

    def wait(pod) -> None:
        try:
            pod.wait()
        except RunnerClosedError as error:
            raised.append(error)

    with opened(on_exit="detach") as runner:
        waiting = threading.Thread(target=wait, args=(runner.launch(workload()),))
        waiting.start()
        until_blocking(lambda: runner._bridge._waits)
    waiting.join(30)
    assert not waiting.is_alive()
    assert len(raised) == 1


def test_a_forked_child_gets_an_error_and_does_not_hang(cluster, opened):
    """S1: a child has no thread of its parent; leaving there touches nothing of the parent's."""
    with opened() as runner:
        pod = runner.launch(workload())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of what is tested here
            child = os.fork()
        if not child:
            _in_the_child(runner)
        deadline = time.monotonic() + 30
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, 9)
                os.waitpid(child, 0)
                pytest.fail("the child hangs")
            time.sleep(0.02)
        assert os.waitstatus_to_exitcode(ended[1]) == 0
        assert runner.health().lease == "held"
        assert pod.outcome is None
        assert cluster.pods


def _in_the_child(runner) -> None:
    code = 1
    try:
        runner.launch(workload(2))
    except RunnerClosedError as error:
        runner.__exit__(None, None, None)
        code = 0 if "fork" in str(error) else 2
    finally:
        os._exit(code)


def test_what_a_handle_is_asked_in_the_moment_of_closing_is_answered(opened):
    """It is called in the thread that asks, as after the close."""
    with opened() as runner:
        posts = runner._bridge._posts
        runner._bridge.run(posts.close)
        posts._is_woken = (
            True  # the task that calls what comes is over in that moment: here it would be woken
        )
        assert runner._bridge.run_if_open(threading.get_ident) == threading.get_ident()
        noted: list[int] = []
        runner._bridge.post_if_open(lambda: noted.append(threading.get_ident()))
        assert noted == [threading.get_ident()]


def test_a_call_that_the_close_overtakes_says_what_was_called(opened, monkeypatch):
    """S1: the event loop was there when its thread looked, and is gone when it calls."""
    with opened() as runner:
        portal = runner._bridge._portal
    monkeypatch.setattr(runner._bridge, "_check", lambda _: portal)
    with pytest.raises(RunnerClosedError, match=r"^`launch` was called after the runner was closed"):
        runner.launch(workload())


def test_a_call_after_the_close_says_what_was_called(cluster, opened):
    with opened() as runner:
        pod = runner.launch(workload())
    for call, name in (
        (lambda: runner.launch(workload(2)), "launch"),
        (lambda: runner.submit(workload(2)), "submit"),
        (runner.poll_events, "poll_events"),
        (runner.health, "health"),
        (lambda: pod.exec(["true"]), "exec"),
    ):
        with pytest.raises(RunnerClosedError, match=f"^`{name}` was called after the runner was closed"):
            call()
    assert pod.result().category == "cancelled"
