"""What both adapters count by: the stages of pods, and how many are in which."""

from __future__ import annotations

import pytest
from podrunner.integrations.stage_clock import STATUSES, StageClock
from podrunner.outcome import Category, Outcome, Timings
from podrunner.runner import EventKind, PodMove, RunnerEvent
from podrunner.workload import WorkloadKey

KEY = WorkloadKey({"n": "1"})
STAMPS = Timings(
    created="2026-01-01T00:00:00Z", started="2026-01-01T00:00:04Z", finished="2026-01-01T00:00:07Z"
)


class Scene:
    """A clock that is set by hand, and one pod."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.clock = StageClock(lambda: self.now_s)
        self.state = "New"

    def move(self, *states: str) -> list[tuple[str, float]]:
        ended = []
        for state in states:
            ended += self.clock.move(PodMove(KEY, "ns", "pod", "uid", self.state, state))
            self.state = state
        return ended

    def event(self, kind: EventKind, **fields: object) -> list[tuple[str, float]]:
        return [*self.clock.event(RunnerEvent(kind, KEY, "ns", "pod", "uid", **fields))]

    def finish(self, timings: Timings = STAMPS, **fields: object) -> list[tuple[str, float]]:
        outcome = Outcome(
            category=Category.SUCCEEDED, fault=None, started=True, retryable=False, timings=timings
        )
        return self.event(EventKind.FINISHED, outcome=outcome, **fields)

    @property
    def counted(self) -> dict[str, int]:
        return {status: count for status, count in self.clock.counts.items() if count}


def test_queue_and_create_are_over_when_the_pod_exists():
    scene = Scene()
    assert scene.move("Queued") == []
    scene.now_s += 3
    scene.move("Creating")
    scene.now_s += 0.5
    assert scene.move("Active") == [("queue", 3.0), ("create", 0.5)]


def test_a_launch_that_is_deferred_waits_on():
    scene = Scene()
    scene.move("Queued", "Creating")
    scene.now_s += 1
    scene.move("Queued")
    scene.now_s += 5
    scene.move("Creating")
    scene.now_s += 1
    assert scene.move("Active") == [("queue", 5.0), ("create", 2.0)]


def test_the_start_is_measured_when_it_is_seen_and_only_once():
    scene = Scene()
    scene.move("Creating", "Active")
    scene.now_s += 2
    assert scene.event(EventKind.STATUS_CHANGED, status="Pending") == []
    assert scene.event(EventKind.STATUS_CHANGED, status="Running") == [("start", 2.0)]
    assert scene.counted == {"running": 1}
    assert scene.event(EventKind.STATUS_CHANGED, status="Running") == []
    assert scene.finish() == [("run", 3.0)]


def test_a_start_that_was_not_seen_is_read_from_the_stamps():
    scene = Scene()
    scene.move("Creating", "Active", "Enriching", "Draining")
    assert scene.finish() == [("start", 4.0), ("run", 3.0)]


def test_an_adopted_pod_has_no_start_and_a_replayed_one_no_run():
    scene = Scene()
    scene.move("Active")
    assert scene.finish() == [("run", 3.0)]
    assert scene.finish(replayed=True) == []


def test_a_pod_that_never_ran_has_no_run():
    scene = Scene()
    scene.move("Creating", "Active")
    assert scene.finish(Timings()) == []


def test_each_pod_is_counted_once_and_none_is_left():
    scene = Scene()
    seen = []
    for state in (
        "Queued",
        "Creating",
        "Active",
        "Terminating",
        "AwaitingFinalStatus",
        "Enriching",
        "Recording",
    ):
        scene.move(state)
        seen.append(scene.counted)
    assert [sum(counted.values()) for counted in seen] == [1] * 7
    scene.move("Draining", "Undelivered", "Removing", "Finished")
    assert scene.counted == {}
    assert set(scene.clock.counts) == set(STATUSES)


@pytest.mark.parametrize("end", ["Finished", "Relinquished"])
def test_a_launch_that_comes_to_nothing_is_forgotten(end):
    scene = Scene()
    scene.move("Queued", "Creating")
    assert scene.move(end) == []
    assert scene.counted == {}
    assert scene.clock._pods == {}, "nothing is kept of it"
