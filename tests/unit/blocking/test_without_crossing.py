"""What a scheduler asks in each iteration of its loop crosses to the event loop's thread only if something happened.

A crossing waits for the event loop, which may be busy with thousands of pods.
"""

from __future__ import annotations

import threading
import time

import pytest
from podrunner.blocking import PodRunner
from podrunner.errors import RunnerClosedError
from tests.support.waiting import until_blocking
from tests.unit.runner.harness import configured, workload


def test_no_crossing_while_nothing_happens(opened, monkeypatch):
    with opened() as runner:
        runner.poll_events()
        portal = runner._bridge._portal
        monkeypatch.setattr(portal, "call", None)
        monkeypatch.setattr(portal, "start_task_soon", None)
        for _ in range(3):
            assert runner.poll_events() == []
            assert runner.health().synced
        monkeypatch.undo()


def test_they_answer_while_the_event_loop_is_busy(opened):
    with opened() as runner:
        release, is_busy = threading.Event(), threading.Event()

        def keep_busy() -> None:
            is_busy.set()
            release.wait(30)

        busy = threading.Thread(target=runner._bridge.run, args=(keep_busy,))
        busy.start()
        is_busy.wait(30)
        assert runner.poll_events() == []
        assert runner.health().lease == "held"
        assert not release.is_set()
        release.set()
        busy.join()


def test_what_happened_is_given_and_what_was_taken_is_delivered(cluster, opened, act):
    """The poll after the last event has nothing to give, and delivers all the same."""
    with opened() as runner:
        pod = runner.launch(workload())
        act(runner, cluster.play, pod.name)
        events = []
        until_blocking(
            lambda: events.extend(runner.poll_events()) or "finished" in {str(it.kind) for it in events}
        )
        until_blocking(lambda: runner.poll_events() is not None and not cluster.pods)


def test_health_says_what_the_event_loop_would(cluster, opened, act):
    with opened(max_active_pods=2) as runner:
        runner.submit_many(workload(number) for number in range(5))
        # Both are active before the events of their creation are there, which health counts, too.
        until_blocking(lambda: runner.health().active == runner.health().events_waiting == 2)
        began = time.monotonic()
        looked, asked = runner.health(), act(runner, runner._runner.health)
        ended = time.monotonic()
        for name in (
            "active",
            "submitted",
            "pods",
            "undelivered",
            "runs",
            "launches_wait_for",
            "events_waiting",
        ):
            assert getattr(looked, name) == getattr(asked, name), name
        assert looked.launches_wait_for.startswith("max_active_pods=2")
        # An event may have come between the two.
        assert looked.last_event_age_s >= 0
        assert began - looked.last_event_age_s <= ended - asked.last_event_age_s


def test_health_never_misses_a_pod_that_moves_on(cluster, opened):
    """From one count to the next: a scheduler that waits until nothing is left must not end too soon."""
    with opened(delete_pods=False) as runner:
        stopped, empty = threading.Event(), list[object]()

        def look() -> None:
            while not stopped.is_set():
                health = runner.health()
                if not (health.submitted or health.active or health.undelivered):
                    empty.append(health)
                time.sleep(0.0002)  # the event loop needs its turns on a busy machine

        batch = runner.submit_many(workload(number) for number in range(40))
        watcher = threading.Thread(target=look)
        watcher.start()
        until_blocking(lambda: runner._bridge.run(cluster.play_all) or all(pod.uid for pod in batch))
        runner._bridge.run(cluster.play_all)  # those that came after the last one
        try:
            until_blocking(lambda: runner._bridge.run(lambda: runner._runner.health().undelivered) == 40)
        finally:
            stopped.set()
            watcher.join()
        assert empty == []
        for pod in batch:
            pod.wait(30)


def test_a_closed_runner_says_so():
    runner = PodRunner(configured())
    for ask in (runner.poll_events, runner.health):
        with pytest.raises(RunnerClosedError):
            ask()
