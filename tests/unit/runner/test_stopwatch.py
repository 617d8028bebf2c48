"""Durations by the runner's own clock, where it saw both ends and the cluster's stamps agree."""

from __future__ import annotations

import itertools

import pytest
from podrunner.outcome import Timings
from podrunner.runner.stopwatch import Stopwatch
from tests.support.pods import at, ended, pod, runs, waits

STAMPED = Timings(created=at(4), started=at(5), finished=at(8))
WAITING = pod("Pending", waits("base", "ContainerCreating"))
RUNNING = pod("Running", runs("base"))
ENDED = pod("Succeeded", ended("base", end=8))


def watched(*seen: tuple[float, object], created_s: float | None = 10.0) -> Timings:
    stopwatch = Stopwatch()
    if created_s is not None:
        stopwatch.created(created_s)
    for (_, before), (now_s, after) in itertools.pairwise(seen):
        stopwatch.note(before, after, main_container="base", now_s=now_s)
    return stopwatch.measured(STAMPED)


def test_both_ends_that_were_seen_are_measured() -> None:
    timings = watched((10.0, WAITING), (11.25, RUNNING), (14.5, ENDED))
    assert (timings.queue_s, timings.run_s) == (1.25, 3.25)
    assert timings == STAMPED


def test_an_end_that_was_not_seen_leaves_the_stamps() -> None:
    """An adopted pod's creation, and a start that the watch missed."""
    adopted = watched((10.0, WAITING), (11.25, RUNNING), (14.5, ENDED), created_s=None)
    assert (adopted.measured_queue_s, adopted.queue_s, adopted.run_s) == (None, 1.0, 3.25)
    missed = watched((10.0, WAITING), (14.5, ENDED))
    assert (missed.measured_run_s, missed.run_s) == (None, 3.0)


@pytest.mark.parametrize("late_s", [60.0, 14.0 + 5])
def test_what_was_seen_too_late_leaves_the_stamps(late_s: float) -> None:
    timings = watched((10.0, WAITING), (11.25, RUNNING), (late_s, ENDED))
    assert timings.run_s == 3.0


def test_a_record_that_says_nothing_new_measures_nothing() -> None:
    timings = watched((10.0, WAITING), (11.25, RUNNING), (12.0, RUNNING), (14.5, ENDED), (90.0, ENDED))
    assert timings.run_s == 3.25
