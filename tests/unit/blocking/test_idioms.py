"""Handles as futures, ``as_completed`` and ``map`` in the blocking face."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from podrunner.blocking import PodRunner
from podrunner.errors import NotDoneError, RunnerClosedError
from podrunner.workload import Workload
from tests.support.waiting import until_blocking
from tests.unit.runner.harness import Cluster, workload


def play_whatever_comes(cluster: Cluster, runner: PodRunner, over: threading.Event) -> None:
    """A kubelet on the runner's event loop: pods end as soon as they are there."""

    def play() -> None:
        for _, name in list(cluster.pods):
            if cluster.pods["default", name]["status"]["phase"] == "Pending":
                cluster.play(name)

    while not over.wait(0.01):
        runner._bridge.run(play)


@pytest.fixture
def lively(cluster, opened) -> Iterator[PodRunner]:
    """A runner whose pods end by themselves."""
    with opened() as runner:
        over = threading.Event()
        kubelet = threading.Thread(target=play_whatever_comes, args=(cluster, runner, over))
        kubelet.start()
        try:
            yield runner
        finally:
            over.set()
            kubelet.join()


def test_handles_as_futures(cluster, opened, act):
    with opened() as runner:
        pod, run = runner.launch(workload(1)), runner.run(workload(2))
        assert not pod.done
        assert not run.done
        with pytest.raises(NotDoneError, match="it is Pending"):
            pod.result()
        until_blocking(lambda: run.pod and run.pod.uid)
        act(runner, cluster.play_all)
        assert run.wait(30) is run.result()
        assert pod.wait(30) is pod.result()
        assert pod.done
        assert run.done
    assert pod.result().raise_for_failure().succeeded


def test_the_next_event(cluster, opened):
    with opened() as runner, runner.events() as events:
        runner.launch_many([workload(1), workload(2)])
        assert str(next(events).kind) == "created"
        assert [str(event.kind) for event in events.poll()] == ["created"]
        runner.close("cancel")
        assert next(event for event in events if event.outcome)
        assert [event for event in events if event.outcome]
        with pytest.raises(StopIteration):
            next(events)


def test_pods_as_they_end(cluster, opened, act):
    with opened() as runner:
        first, second = runner.launch_many([workload(1), workload(2)])
        ended = runner.as_completed([first, second], timeout_s=30)
        act(runner, cluster.play, second.name)
        assert next(ended) is second
        act(runner, cluster.play, first.name)
        assert list(ended) == [first]
        with pytest.raises(TimeoutError, match="1 of 1 were not over"):
            list(runner.as_completed([runner.launch(workload(3))], timeout_s=0.05))
    assert [pod.result().succeeded for pod in runner.as_completed([first, second])] == [True, True]


def test_outcomes_in_order(lively: PodRunner):
    read_in: set[int | None] = set()

    def workloads() -> Iterator[Workload]:
        for number in range(20):
            read_in.add(threading.current_thread().ident)
            yield workload(number)

    assert [outcome.succeeded for outcome in lively.map(workloads(), concurrency=3)] == [True] * 20
    assert read_in == {threading.main_thread().ident}  # they may be made by blocking code


def test_a_runner_that_is_not_open_maps_nothing(cluster, opened):
    with opened() as runner:
        outcomes = runner.map([workload()])
    with pytest.raises(RunnerClosedError):
        next(outcomes)
    with pytest.raises(RunnerClosedError):
        runner.map([workload()])
