"""Delivery through the blocking face: the same rules, and a batch that is given item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from podrunner.blocking import Pod, PodRunner
from podrunner.errors import RunnerClosedError, UsageError
from podrunner.runner import EventKind, RunnerEvent
from podrunner.workload import WorkloadKey
from tests.support.waiting import until_blocking
from tests.unit.runner.harness import Cluster, workload

MODES = ["taken", "acknowledged"]
Opened = Callable[..., Any]
Act = Callable[..., Any]


@pytest.fixture
def with_ended(cluster: Cluster, opened: Opened, act: Act) -> Callable[..., Any]:
    """Opens a runner with so many pods whose outcomes are settled and not delivered."""

    @contextmanager
    def open_with(count: int = 1, **settings: Any) -> Iterator[tuple[PodRunner, list[Pod]]]:
        with opened(on_exit="detach", **settings) as runner:
            pods = [runner.launch(workload(number)) for number in range(count)]
            act(runner, cluster.play_all)
            runner.wait_all(30)
            yield runner, pods

    return open_with


def are_there(cluster: Cluster, runner: PodRunner, pods: list[Pod]) -> list[bool]:
    """Which of the pods stay, once the runner has had its time: health is read on its event loop."""
    left = runner.health().undelivered
    until_blocking(lambda: len(cluster.pods) == left)
    return [("default", pod.name) in cluster.pods for pod in pods]


def finished(events: list[RunnerEvent]) -> list[RunnerEvent]:
    return [event for event in events if event.kind is EventKind.FINISHED]


def poll_twice(runner: PodRunner, _: Pod) -> None:
    assert finished(runner.poll_events())
    runner.poll_events()


def ask_for_batches(runner: PodRunner, _: Pod) -> None:
    with runner.events() as events:
        assert finished(events.next_batch())
        events.poll()


def leave_cleanly(runner: PodRunner, _: Pod) -> None:
    with runner.events() as events:
        assert finished(events.next_batch())


def iterate(runner: PodRunner, _: Pod) -> None:
    with runner.events() as events:
        for event in events:
            if event.kind is EventKind.DELETED:
                break


def wait(_: PodRunner, pod: Pod) -> None:
    assert pod.wait(30).succeeded


def read_the_outcome(_: PodRunner, pod: Pod) -> None:
    assert pod.outcome is not None


def wait_again(_: PodRunner, pod: Pod) -> None:
    """From an outcome that is there, without waiting."""
    assert pod.wait() is pod.wait()


TAKING = [poll_twice, ask_for_batches, leave_cleanly, iterate, wait, read_the_outcome, wait_again]


@pytest.mark.parametrize("read", TAKING, ids=lambda read: read.__name__)
def test_what_counts_as_taken(cluster: Cluster, with_ended: Any, read: Any):
    with with_ended() as (runner, pods):
        assert are_there(cluster, runner, pods) == [True]
        read(runner, pods[0])
        assert are_there(cluster, runner, pods) == [False]


@pytest.mark.parametrize(
    "read",
    [poll_twice, ask_for_batches, leave_cleanly, wait, read_the_outcome],
    ids=lambda read: read.__name__,
)
def test_only_acknowledging_counts_where_that_is_configured(cluster: Cluster, with_ended: Any, read: Any):
    with with_ended(outcome_delivery="acknowledged") as (runner, pods):
        read(runner, pods[0])
        assert are_there(cluster, runner, pods) == [True]
        runner.acknowledge(pods[0])
        assert are_there(cluster, runner, pods) == [False]


@pytest.mark.parametrize("how", ["wait", "outcome"])
@pytest.mark.parametrize("mode", MODES)
def test_a_runs_outcome_is_taken_from_the_run_too(
    cluster: Cluster, opened: Opened, act: Act, how: str, mode: str
):
    with opened(on_exit="detach", outcome_delivery=mode) as runner:
        run = runner.run(workload())
        until_blocking(lambda: run.pods and run.pods[0].uid)
        act(runner, cluster.play_all)
        runner.wait_all(30)
        assert are_there(cluster, runner, run.pods) == [True]
        outcome = run.wait(30) if how == "wait" else run.outcome
        assert outcome is not None
        assert outcome.succeeded
        assert (runner.health().undelivered, mode) in {(0, "taken"), (1, "acknowledged")}


def look_at_handles(runner: PodRunner, pod: Pod) -> None:
    assert pod in runner.pods()
    assert "Completed" in repr(pod)
    assert (pod.status, pod.phase, pod.launch_error, pod.log_status) == ("Completed", "Succeeded", None, None)
    assert runner.health().undelivered == 1


def observe(runner: PodRunner, _: Pod) -> None:
    with runner.events(observe=True) as events:
        assert events.poll() == []
        runner.launch(workload(99))
        assert events.next_batch()[0].kind is EventKind.CREATED


def be_handed_it(runner: PodRunner, _: Pod) -> None:
    assert finished(runner.poll_events())


def fail_with_it(runner: PodRunner, _: Pod) -> None:
    with pytest.raises(ZeroDivisionError), runner.events() as events:  # noqa: PT012  # the way out
        assert finished(events.next_batch())
        raise ZeroDivisionError


def fail_in_the_middle(runner: PodRunner, _: Pod) -> None:
    with pytest.raises(ZeroDivisionError), runner.events() as events:  # noqa: PT012  # the way out
        for event in events:
            assert event.kind is EventKind.FINISHED
            raise ZeroDivisionError


LOOKING_ON = [look_at_handles, observe, be_handed_it, fail_with_it, fail_in_the_middle]


@pytest.mark.parametrize("look", LOOKING_ON, ids=lambda look: look.__name__)
def test_what_takes_nothing(cluster: Cluster, with_ended: Any, look: Any):
    with with_ended() as (runner, pods):
        look(runner, pods[0])
        assert runner.health().undelivered == 1
        assert ("default", pods[0].name) in cluster.pods
        with runner.events() as events:
            assert [event.uid for event in finished(events.poll())] == [pods[0].uid]


def test_breaking_off_in_the_middle_of_a_batch_takes_what_was_given(cluster: Cluster, with_ended: Any):
    """The batch came over as one; the rest of it begins the next subscription."""
    with with_ended(5) as (runner, pods):
        given = []
        with runner.events() as events:
            for event in events:
                given.append(event.uid)
                if len(given) == 2:
                    break
        assert runner.health().undelivered == 3
        assert sum(are_there(cluster, runner, pods)) == 3
        with runner.events() as events:
            rest = [event.uid for event in finished(events.poll())]
        assert len(rest) == 3
        assert sorted([*given, *rest]) == sorted(pod.uid for pod in pods)
        assert sum(are_there(cluster, runner, pods)) == 0


def test_what_was_taken_singly_after_breaking_off_counts_too(cluster: Cluster, with_ended: Any):
    with with_ended(5) as (runner, pods):
        with runner.events() as events:
            next(iter(events))
            assert len(events.next_batch(2)) == 2
            assert len(events.poll(1)) == 1
        assert runner.health().undelivered == 1
        assert sum(are_there(cluster, runner, pods)) == 1


def test_a_batch_in_the_middle_of_which_its_reader_fails_is_given_again_whole(with_ended: Any):
    """At least once: also what it had seen already."""
    with with_ended(5) as (runner, pods):
        with pytest.raises(ZeroDivisionError), runner.events() as events:  # noqa: PT012  # the way out
            for number, _ in enumerate(events):
                if number == 2:
                    raise ZeroDivisionError
        with runner.events() as events:
            assert len(finished(events.poll())) == len(pods)


BY: dict[str, Callable[[PodRunner, Pod, RunnerEvent], Any]] = {
    "event": lambda _, __, event: event,
    "handle": lambda _, pod, __: pod,
    "another handle": lambda runner, _, __: runner.pods()[0],
    "key": lambda _, pod, __: pod.key,
    "many": lambda _, pod, event: [event, pod, pod.key],
    "a generator": lambda _, pod, __: (each for each in [pod]),
}


@pytest.mark.parametrize("by", BY)
def test_an_outcome_is_acknowledged(cluster: Cluster, with_ended: Any, by: str):
    with with_ended(outcome_delivery="acknowledged") as (runner, pods):
        (event,) = finished(runner.poll_events())
        runner.acknowledge(BY[by](runner, pods[0], event))
        assert are_there(cluster, runner, pods) == [False]
        runner.acknowledge([event, pods[0], pods[0].key, WorkloadKey({"n": "unknown"})])
        assert cluster.count("DELETE", "/pods") == 1


def test_what_cannot_be_acknowledged(with_ended: Any):
    with with_ended(outcome_delivery="acknowledged") as (runner, pods):
        running = runner.launch(workload(99))
        for what in (running, running.key, [pods[0], running]):
            with pytest.raises(UsageError, match="no outcome"):
                runner.acknowledge(what)
        with pytest.raises(UsageError, match="takes events, pods and keys"):
            runner.acknowledge([pods[0].uid])  # type: ignore[list-item]
        assert runner.health().undelivered == 1
    with pytest.raises(RunnerClosedError):
        runner.acknowledge(pods)


@pytest.mark.parametrize("mode", MODES)
def test_what_a_closed_runner_left_is_still_told_by_its_handles(with_ended: Any, mode: str):
    """Reading it then delivers nothing: a successor reports it."""
    with with_ended(outcome_delivery=mode) as (runner, pods):
        runner.close("detach")
    assert pods[0].outcome is not None
    assert pods[0].wait().succeeded


@pytest.mark.parametrize("mode", MODES)
def test_launching_waiting_and_then_polling_ends(cluster: Cluster, with_ended: Any, mode: str):
    with with_ended(10, outcome_delivery=mode) as (runner, pods):
        events = finished(runner.poll_events())
        assert len(events) == 10
        runner.acknowledge(events)
        assert not any(are_there(cluster, runner, pods))


@pytest.mark.parametrize("mode", MODES)
def test_what_closing_delivers(cluster: Cluster, opened: Opened, act: Act, mode: str):
    with opened(on_exit="drain", outcome_delivery=mode) as runner:
        runner.launch(workload())
        act(runner, cluster.play_all)
    assert len(cluster.pods) == (mode == "acknowledged")


@pytest.mark.parametrize("mode", MODES)
def test_what_a_body_that_fails_leaves(cluster: Cluster, opened: Opened, act: Act, mode: str):
    with pytest.raises(ZeroDivisionError), opened(on_exit="drain", outcome_delivery=mode) as runner:  # noqa: PT012  # the way out
        runner.launch(workload())
        act(runner, cluster.play_all)
        runner.wait_all(30)
        assert finished(runner.poll_events())
        raise ZeroDivisionError
    assert len(cluster.pods) == 1
