"""Launches that wait: one job for all that wait for the same, ended once no launch does."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from podrunner.errors import StaleError
from podrunner.runner.deferred import Deferral, DeferredLaunches
from podrunner.runner.states import Rules
from podrunner.runner.tasks import SupervisedTasks
from podrunner.runner.tracked import TrackedPod
from podrunner.workload import WorkloadKey
from tests.support.event_loops import both_in_virtual_time
from tests.unit.runner.harness import configured

pytestmark = pytest.mark.anyio
anyio_backend = both_in_virtual_time


class Job:
    """Says how often it was begun and whether it came to its end."""

    def __init__(self, result: object = "there") -> None:
        self.begun = 0
        self.ended = 0
        self.result = result

    async def __call__(self) -> object:
        self.begun += 1
        await anyio.sleep(10)
        self.ended += 1
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def pod(name: str = "p") -> TrackedPod:
    return TrackedPod(WorkloadKey({"n": name}), "default", name, rules=Rules("base", configured()))


async def test_launches_that_wait_for_the_same_share_one_job():
    """H2."""
    job, results = Job(), []
    async with anyio.create_task_group() as group:
        deferred = DeferredLaunches(SupervisedTasks(group))
        first, second, other = pod("a"), pod("b"), pod("c")
        deferral = Deferral("x", job, "x")
        deferred.add(first, deferral, lambda result: results.append(("a", result)))
        await anyio.sleep(5)
        deferred.add(second, deferral, lambda result: results.append(("b", result)))
        deferred.add(other, Deferral("y", Job("other"), "y"), lambda result: results.append(("c", result)))
        assert len(deferred) == 3
        assert deferred.pods() == [first, second, other]
        assert deferred.reasons() == {"x": 2, "y": 1}
        assert deferred.deferral_of(second) is deferral
    assert results == [("a", "there"), ("b", "there"), ("c", "other")]
    assert (job.begun, len(deferred), deferred.reasons()) == (1, 0, {})
    assert deferred.deferral_of(first) is None


async def test_an_error_is_a_result():
    results: list[Any] = []
    error = StaleError("no news")
    async with anyio.create_task_group() as group:
        DeferredLaunches(SupervisedTasks(group)).add(pod(), Deferral("x", Job(error), "x"), results.append)
    assert results == [error]


async def test_a_job_for_which_no_launch_waits_any_more_is_ended():
    """H2: nothing is asked for any more."""
    job, results = Job(), []
    async with anyio.create_task_group() as group:
        deferred = DeferredLaunches(SupervisedTasks(group))
        first, second = pod("a"), pod("b")
        for each in (first, second):
            deferred.add(each, Deferral("x", job, "x"), results.append)
        await anyio.sleep(5)
        deferred.discard(first)
        deferred.discard(first)
        await anyio.sleep(1)
        deferred.discard(second)
        began = anyio.current_time()
    assert anyio.current_time() - began < 1
    assert (job.begun, job.ended, results, len(deferred)) == (1, 0, [], 0)


async def test_a_launch_that_comes_after_the_last_one_left_has_a_job_of_its_own():
    """H2: the one that is being ended tells it nothing."""
    job, results = Job(), []
    async with anyio.create_task_group() as group:
        deferred = DeferredLaunches(SupervisedTasks(group))
        first, second = pod("a"), pod("b")
        deferred.add(first, Deferral("x", job, "x"), results.append)
        await anyio.sleep(5)
        deferred.discard(first)
        deferred.add(second, Deferral("x", job, "x"), results.append)
    assert (job.begun, job.ended, results) == (2, 1, ["there"])


async def test_of_several_that_wait_the_others_go_on_waiting():
    job, results = Job(), []
    async with anyio.create_task_group() as group:
        deferred = DeferredLaunches(SupervisedTasks(group))
        first, second = pod("a"), pod("b")
        for each in (first, second):
            deferred.add(
                each, Deferral("x", job, "x"), lambda result, pod=each: results.append((pod, result))
            )
        deferred.discard(first)
    assert (job.ended, results) == (1, [(second, "there")])
