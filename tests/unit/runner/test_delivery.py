"""An outcome is delivered, or its pod stays: what counts as delivered, and what becomes of the pod until then."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from podrunner.builder.labels import OUTCOME, REPORTED, VERDICT
from podrunner.errors import RunnerClosedError, UsageError
from podrunner.outcome import Category
from podrunner.runner import (
    AsyncPod,
    AsyncPodRunner,
    AsyncRun,
    EventKind,
    RetryPolicy,
    RunnerEvent,
    when_over,
)
from podrunner.workload import WorkloadKey
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio

MODES = ["taken", "acknowledged"]
PATIENT = RetryPolicy(attempts=2, wait=3600, retry_if=lambda _: True)
QUICK = RetryPolicy(attempts=2, wait=0.01, retry_if=lambda _: True)


@asynccontextmanager
async def with_ended_pod(
    cluster: Cluster, *, exit_code: int = 0, **settings: Any
) -> AsyncIterator[tuple[AsyncPodRunner, AsyncPod]]:
    """A runner with a pod whose outcome is settled, whose log is drained, and of which no reader knows yet."""
    async with running(cluster, **settings) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name, exit_code)
        await runner.wait_all(20)
        yield runner, pod


async def a_moment() -> None:
    """Time for whatever follows, in virtual time."""
    await anyio.sleep(5)


async def is_there(cluster: Cluster, pod: AsyncPod) -> bool:
    """Whether the pod was left there."""
    await a_moment()
    return ("default", pod.name) in cluster.pods


def annotations(cluster: Cluster, pod: AsyncPod) -> dict[str, str]:
    return cluster.pods["default", pod.name]["metadata"].get("annotations", {})


def finished(events: Iterable[RunnerEvent]) -> list[RunnerEvent]:
    return [event for event in events if event.kind is EventKind.FINISHED]


def patches(cluster: Cluster) -> int:
    return cluster.count("PATCH", "/pods")


def deletes(cluster: Cluster) -> int:
    return cluster.count("DELETE", "/pods")


# What counts as taken


async def poll_twice(runner: AsyncPodRunner, _: AsyncPod) -> None:
    runner.poll_events()
    runner.poll_events()


async def ask_for_batches(runner: AsyncPodRunner, _: AsyncPod) -> None:
    with anyio.move_on_after(1):
        async with runner.events() as events:
            assert finished(await events.next_batch())
            await events.next_batch()


async def poll_a_subscription_twice(runner: AsyncPodRunner, _: AsyncPod) -> None:
    async with runner.events() as events:
        assert finished(events.poll())
        events.poll(0)
        await a_moment()


async def iterate(runner: AsyncPodRunner, _: AsyncPod) -> None:
    with anyio.move_on_after(1):
        async with runner.events() as events:
            seen = 0
            async for event in events:
                seen += 1
                assert event.kind is (EventKind.FINISHED if seen == 1 else EventKind.DELETED)


async def leave_cleanly(runner: AsyncPodRunner, _: AsyncPod) -> None:
    async with runner.events() as events:
        assert finished(await events.next_batch())


async def wait(_: AsyncPodRunner, pod: AsyncPod) -> None:
    assert (await pod.wait(5)).succeeded


async def read_the_outcome(_: AsyncPodRunner, pod: AsyncPod) -> None:
    assert pod.outcome is not None


TAKING = [
    poll_twice,
    ask_for_batches,
    poll_a_subscription_twice,
    iterate,
    leave_cleanly,
    wait,
    read_the_outcome,
]
Reading = Callable[[AsyncPodRunner, AsyncPod], Awaitable[None]]


@pytest.mark.parametrize("read", TAKING, ids=lambda read: read.__name__)
@pytest.mark.parametrize("mode", MODES)
async def test_what_counts_as_taken(cluster: Cluster, read: Reading, mode: str):
    """In the mode ``acknowledged`` nothing does."""
    async with with_ended_pod(cluster, outcome_delivery=mode) as (runner, pod):
        assert await is_there(cluster, pod)
        assert runner.health().undelivered == 1
        await read(runner, pod)
        assert await is_there(cluster, pod) is (mode == "acknowledged")
        assert runner.health().undelivered == (mode == "acknowledged")
        assert deletes(cluster) == (mode == "taken")


@pytest.mark.parametrize("read", TAKING, ids=lambda read: read.__name__)
@pytest.mark.parametrize("mode", MODES)
async def test_a_retained_pod_is_marked_as_reported_once_its_outcome_is_taken(
    cluster: Cluster, read: Reading, mode: str
):
    async with with_ended_pod(cluster, outcome_delivery=mode, delete_pods=False) as (runner, pod):
        await a_moment()
        assert REPORTED not in annotations(cluster, pod)
        await read(runner, pod)
        await a_moment()
        assert (REPORTED in annotations(cluster, pod)) is (mode == "taken")
        assert (OUTCOME in annotations(cluster, pod)) is (mode == "taken")
        assert patches(cluster) == (mode == "taken")


@pytest.mark.parametrize("how", ["wait", "outcome"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_runs_last_outcome_is_taken_from_the_run_too(cluster: Cluster, how: str, mode: str):
    async with running(cluster, outcome_delivery=mode) as runner:
        run = runner.run(workload())
        await until(lambda: run.pods and run.pods[0].uid)
        (pod,) = run.pods
        cluster.play(pod.name)
        await runner.wait_all(20)
        assert await is_there(cluster, pod)
        outcome = await run.wait(5) if how == "wait" else run.outcome
        assert outcome is not None
        assert outcome.succeeded
        assert await is_there(cluster, pod) is (mode == "acknowledged")


async def look_at_handles(runner: AsyncPodRunner, pod: AsyncPod) -> None:
    assert pod in runner.pods()
    assert "Completed" in repr(pod)
    assert (pod.status, pod.phase, pod.launch_error, pod.log_status) == ("Completed", "Succeeded", None, None)
    assert pod.timeline.finished
    assert runner.health().undelivered == 1


async def be_handed_it(runner: AsyncPodRunner, _: AsyncPod) -> None:
    assert finished(runner.poll_events())


async def fail_with_it(runner: AsyncPodRunner, _: AsyncPod) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the way out
        async with runner.events() as events:
            assert finished(await events.next_batch())
            raise ZeroDivisionError


async def be_cancelled_with_it(runner: AsyncPodRunner, _: AsyncPod) -> None:
    with anyio.move_on_after(1) as scope:
        async with runner.events() as events:
            assert finished(await events.next_batch())
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def stop_in_the_middle(runner: AsyncPodRunner, _: AsyncPod) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the way out
        async with runner.events() as events:
            async for event in events:
                assert event.kind is EventKind.FINISHED
                raise ZeroDivisionError


LOOKING_ON = [look_at_handles, be_handed_it, fail_with_it, be_cancelled_with_it, stop_in_the_middle]


@pytest.mark.parametrize("look", LOOKING_ON, ids=lambda look: look.__name__)
async def test_what_takes_nothing(cluster: Cluster, look: Reading):
    async with with_ended_pod(cluster) as (runner, pod):
        await look(runner, pod)
        assert await is_there(cluster, pod)
        assert not deletes(cluster)
        async with runner.events() as events:
            (event,) = events.poll()
            assert (event.kind, event.uid) == (EventKind.FINISHED, pod.uid)
        assert not await is_there(cluster, pod)


async def test_a_reader_that_looks_on_delivers_nothing(cluster: Cluster):
    """It begins with nothing, sees all that happens from then on, and leaves no trace."""
    async with with_ended_pod(cluster) as (runner, before), runner.events(observe=True) as events:
        assert events.poll() == []
        pod = await runner.launch(workload(2))
        cluster.play(pod.name)
        seen: list[RunnerEvent] = []
        while not finished(seen):
            seen += await events.next_batch()
        assert [event.uid for event in finished(seen)] == [pod.uid]
        assert events.poll() == []
    assert {name for _, name in cluster.pods} == {before.name, pod.name}


async def test_one_reader_suffices(cluster: Cluster):
    """The others still get the outcome."""
    async with with_ended_pod(cluster) as (runner, pod), runner.events() as slow:
        await pod.wait(5)
        assert not await is_there(cluster, pod)
        assert [event.uid for event in finished(slow.poll())] == [pod.uid]
        assert [event.uid for event in finished(runner.poll_events())] == [pod.uid]
        assert runner.health().undelivered == 0


async def test_a_reader_begins_with_the_outcomes_that_are_not_delivered(cluster: Cluster):
    async with running(cluster) as runner:
        pods = [await runner.launch(workload(n)) for n in range(3)]
        cluster.play_all()
        await runner.wait_all(20)
        await pods[1].wait(5)
        async with runner.events() as events:
            assert {event.uid for event in events.poll()} == {pods[0].uid, pods[2].uid}
            assert events.poll() == []
        async with runner.events() as events:
            assert events.poll() == []


async def test_the_next_reader_begins_with_what_the_last_one_failed_with(cluster: Cluster):
    """What it had come back from is delivered."""
    async with running(cluster) as runner:
        pods = [await runner.launch(workload(n)) for n in range(2)]
        cluster.play_all()
        await runner.wait_all(20)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the way out
            async with runner.events() as events:
                first = await events.next_batch(1)
                await events.next_batch(1)
                raise ZeroDivisionError
        async with runner.events() as events:
            (again,) = events.poll()
        assert {first[0].uid, again.uid} == {pod.uid for pod in pods}


async def test_a_reader_that_fails_takes_nothing_from_the_adopter(cluster: Cluster):
    async with with_ended_pod(cluster, exit_code=3) as (runner, pod):
        await fail_with_it(runner, pod)
    async with running(cluster) as successor:
        (again,) = await successor.adopt()
        assert (await again.wait(5)).exit_code == 3


async def test_a_batch_that_is_not_drained_yet_is_taken_all_the_same(cluster: Cluster):
    """The log is read beside the delivery, and the pod goes when both are done."""
    lines: list[str] = []
    async with running(cluster, logs={"follow": "on-demand"}) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z hello"]
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        assert ("default", pod.name) in cluster.pods
        lines += [line async for line in pod.logs()]
        assert not await is_there(cluster, pod)
    assert lines == ["hello"]


# Acknowledging


BY: dict[str, Callable[[AsyncPodRunner, AsyncPod, RunnerEvent], Any]] = {
    "event": lambda _, __, event: event,
    "handle": lambda _, pod, __: pod,
    "another handle": lambda runner, _, __: runner.pods()[0],
    "key": lambda _, pod, __: pod.key,
    "many": lambda _, pod, event: [event, pod, pod.key],
    "a generator": lambda _, pod, __: (each for each in [pod]),
}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("mode", MODES)
async def test_an_outcome_is_acknowledged(cluster: Cluster, by: str, mode: str):
    """In both modes; and again is harmless."""
    async with with_ended_pod(cluster, outcome_delivery=mode) as (runner, pod):
        (event,) = finished(runner.poll_events())
        runner.acknowledge(BY[by](runner, pod, event))
        assert not await is_there(cluster, pod)
        assert runner.health().undelivered == 0
        runner.acknowledge([event, pod, pod.key])
        await a_moment()
        assert deletes(cluster) == 1


async def test_many_are_acknowledged_at_once(cluster: Cluster):
    async with running(cluster, outcome_delivery="acknowledged") as runner:
        await runner.launch_many(workload(n) for n in range(5))
        cluster.play_all()
        await runner.wait_all(20)
        events = runner.poll_events()
        await a_moment()
        assert len(cluster.pods) == 5
        runner.acknowledge(events)  # also those of other kinds, which mean nothing here
        await until(lambda: not cluster.pods)


async def test_all_pods_of_a_key_are_acknowledged_by_it(cluster: Cluster):
    """The same attempt in two namespaces: a key does not say which."""
    settings = {"outcome_delivery": "acknowledged", "namespaces": ("default", "other")}
    async with running(cluster, **settings) as runner:
        here = await runner.launch(workload())
        there = await runner.launch(workload(namespace="other"))
        assert here.key == there.key
        cluster.play(here.name)
        cluster.change(there.name, namespace="other", status={"phase": "Succeeded"})
        await runner.wait_all(20)
        runner.acknowledge(here.key)
        await until(lambda: not cluster.pods)


async def test_what_is_not_tracked_is_left_out(cluster: Cluster):
    async with with_ended_pod(cluster, outcome_delivery="acknowledged") as (runner, pod):
        created = next(event for event in runner.poll_events() if event.kind is EventKind.CREATED)
        unknown = RunnerEvent(EventKind.FINISHED, pod.key, "default", "other", "uid-of-another")
        runner.acknowledge([created, unknown, WorkloadKey({"n": "unknown"})])
        runner.acknowledge([])
        assert await is_there(cluster, pod)


async def test_what_has_no_outcome_yet_cannot_be_acknowledged(cluster: Cluster):
    """And nothing of the call is done."""
    async with with_ended_pod(cluster, outcome_delivery="acknowledged") as (runner, pod):
        other = await runner.launch(workload(2))
        queued = runner.submit(workload(3))
        for what in (other, other.key, queued, [pod, other]):
            with pytest.raises(UsageError, match="no outcome"):
                runner.acknowledge(what)
        with pytest.raises(UsageError, match="takes events, pods and keys"):
            runner.acknowledge([pod.uid])  # type: ignore[list-item]
        assert await is_there(cluster, pod)


async def test_acknowledging_before_the_log_is_drained(cluster: Cluster):
    """The pod stays for its log, and goes after it."""
    async with running(cluster, outcome_delivery="acknowledged", logs={"follow": "on-demand"}) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z hello"]
        cluster.play(pod.name)
        await pod.wait(5)
        runner.acknowledge(pod)
        assert ("default", pod.name) in cluster.pods
        assert [line async for line in pod.logs()] == ["hello"]
        assert not await is_there(cluster, pod)


async def test_a_closed_runner_refuses_acknowledgements(cluster: Cluster):
    """Else its caller would believe that no successor reports the outcome again."""
    async with with_ended_pod(cluster, outcome_delivery="acknowledged") as (runner, pod):
        (event,) = finished(runner.poll_events())
        await runner.close()
        with pytest.raises(RunnerClosedError, match="a successor reports"):
            runner.acknowledge(event)
    for what in (event, pod, pod.key, []):
        with pytest.raises(RunnerClosedError, match="a successor reports"):
            runner.acknowledge(what)
    assert ("default", pod.name) in cluster.pods


async def test_a_runner_that_was_never_open_acknowledges_nothing():
    with pytest.raises(RunnerClosedError, match="not open"):
        AsyncPodRunner().acknowledge([])


# Waiting for the end never waits for delivery


@pytest.mark.parametrize("mode", MODES)
async def test_launching_waiting_and_then_polling_ends(cluster: Cluster, mode: str):
    async with running(cluster, outcome_delivery=mode) as runner:
        await runner.launch_many(workload(n) for n in range(10))
        cluster.play_all()
        await runner.wait_all(20)
        events = finished(runner.poll_events())
        assert len(events) == 10
        assert len(cluster.pods) == 10
        runner.acknowledge(events)
        await until(lambda: not cluster.pods)


@pytest.mark.parametrize("mode", MODES)
async def test_polling_and_acknowledging_work_while_the_runner_drains(cluster: Cluster, mode: str):
    """A heartbeat beside it goes on until the exit: what it reads is delivered."""
    read: list[RunnerEvent] = []
    async with anyio.create_task_group() as group:

        async def beat(runner: AsyncPodRunner) -> None:
            while True:
                batch = finished(runner.poll_events())
                read.extend(batch)
                runner.acknowledge(batch)
                await anyio.sleep(0.1)

        async def play() -> None:
            await anyio.sleep(3)
            cluster.play_all()

        async with running(cluster, on_exit="drain", outcome_delivery=mode) as runner:
            pod = await runner.launch(workload())
            other = await runner.launch(workload(2))
            group.start_soon(beat, runner)
            group.start_soon(play)
        group.cancel_scope.cancel()
    assert {event.uid for event in read} <= {pod.uid, other.uid}
    assert not cluster.pods or mode == "acknowledged"


# The close, by policy


async def close_by_drain(cluster: Cluster, mode: str) -> None:
    async with with_ended_pod(cluster, on_exit="drain", outcome_delivery=mode):
        pass


async def close_by_drain_with_a_batch_in_hand(cluster: Cluster, mode: str) -> None:
    async with with_ended_pod(cluster, on_exit="drain", outcome_delivery=mode) as (runner, _):
        assert finished(runner.poll_events())


async def close_by_hand(cluster: Cluster, mode: str) -> None:
    async with with_ended_pod(cluster, outcome_delivery=mode) as (runner, _):
        await runner.close("drain")


async def fail(cluster: Cluster, mode: str) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the way out
        async with with_ended_pod(cluster, on_exit="drain", outcome_delivery=mode) as (runner, _):
            assert finished(runner.poll_events())
            raise ZeroDivisionError


async def be_cancelled(cluster: Cluster, mode: str) -> None:
    with anyio.move_on_after(60) as scope:
        async with with_ended_pod(cluster, on_exit="drain", outcome_delivery=mode):
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def be_cancelled_while_draining(cluster: Cluster, mode: str) -> None:
    with anyio.move_on_after(60) as scope:
        async with with_ended_pod(cluster, on_exit="drain", outcome_delivery=mode) as (runner, _):
            await runner.launch(workload(2))  # which does not end by itself
    assert scope.cancelled_caught


async def close_by_cancel(cluster: Cluster, mode: str) -> None:
    async with with_ended_pod(cluster, on_exit="cancel", outcome_delivery=mode) as (runner, _):
        assert finished(runner.poll_events())


async def detach(cluster: Cluster, mode: str) -> None:
    async with with_ended_pod(cluster, on_exit="detach", outcome_delivery=mode) as (runner, _):
        assert finished(runner.poll_events())


Closing = Callable[[Cluster, str], Awaitable[None]]
DELIVERING = [close_by_drain, close_by_drain_with_a_batch_in_hand, close_by_hand]
LEAVING = [fail, be_cancelled, be_cancelled_while_draining, close_by_cancel, detach]


@pytest.mark.parametrize("close", [*DELIVERING, *LEAVING], ids=lambda close: close.__name__)
@pytest.mark.parametrize("mode", MODES)
async def test_what_closing_delivers(
    cluster: Cluster, close: Closing, mode: str, caplog: pytest.LogCaptureFixture
):
    """What is not delivered is left for adoption, and its number is logged."""
    caplog.set_level(logging.WARNING, "podrunner")
    await close(cluster, mode)
    is_left = close in LEAVING or mode == "acknowledged"
    assert len(cluster.pods) == is_left
    words = "1 pods that are over stay for a runner that adopts them"
    assert caplog.text.count(words) == is_left
    if is_left:
        async with running(cluster) as successor:
            (pod,) = await successor.adopt()
            assert (await pod.wait(5)).succeeded


async def test_a_drain_that_delivers_marks_retained_pods(cluster: Cluster):
    async with with_ended_pod(cluster, on_exit="drain", delete_pods=False) as (_, pod):
        pass
    assert annotations(cluster, pod)[REPORTED] == "succeeded"
    async with running(cluster) as successor:
        assert await successor.adopt() == []


async def test_a_drain_waits_for_no_reader(cluster: Cluster):
    with anyio.fail_after(100):
        async with running(cluster, on_exit="drain", outcome_delivery="acknowledged") as runner:
            await runner.launch_many(workload(n) for n in range(3))
            cluster.play_all()
    assert len(cluster.pods) == 3


# Accumulation


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["launch", "submit"])
async def test_undelivered_pods_pause_creates_and_nothing_else(
    cluster: Cluster, mode: str, how: str, caplog: pytest.LogCaptureFixture
):
    """Health and one warning name the setting and the remedy."""
    async with (
        running(cluster, outcome_delivery=mode, max_undelivered_pods=2) as runner,
        anyio.create_task_group() as group,
    ):
        await runner.launch_many(workload(n) for n in range(2))
        assert runner.health().launches_wait_for == ""
        cluster.play_all()
        await until(lambda: runner.health().undelivered == 2)
        waiting = runner.health().launches_wait_for
        assert "max_undelivered_pods=2" in waiting
        assert "acknowledge" in waiting
        for number in (3, 4):
            if how == "submit":
                runner.submit(workload(number))
            else:
                group.start_soon(runner.launch, workload(number))
        await a_moment()
        assert cluster.count("POST", "/pods") == 2
        assert [record.levelno for record in caplog.records if "max_undelivered" in record.message] == [
            logging.WARNING
        ]
        events = finished(runner.poll_events())
        assert len(events) == 2
        runner.acknowledge(events[:1])
        await until(lambda: cluster.count("POST", "/pods") >= 3)
        runner.acknowledge(events[1:])
        await until(lambda: cluster.count("POST", "/pods") == 4)
        assert runner.health().launches_wait_for == ""
        assert runner.health().undelivered == 0


async def test_coming_back_for_more_lets_creates_go_on(cluster: Cluster):
    async with running(cluster, max_undelivered_pods=1) as runner:
        await runner.launch(workload(1))
        cluster.play_all()
        await until(lambda: runner.health().undelivered)
        submitted = runner.submit(workload(2))
        assert finished(runner.poll_events())
        await a_moment()
        assert not submitted.uid
        runner.poll_events()
        await until(lambda: submitted.uid)


async def test_a_warning_comes_each_time_that_the_limit_is_reached(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
):
    async def fill(runner: AsyncPodRunner, number: int) -> None:
        pod = await runner.launch(workload(number))
        cluster.play(pod.name)
        await until(lambda: runner.health().undelivered)
        submitted = [runner.submit(workload(number + more)) for more in (100, 200)]
        await a_moment()
        assert not any(each.uid for each in submitted)
        for each in submitted:
            await each.cancel()
        await pod.wait(5)

    async with running(cluster, max_undelivered_pods=1) as runner:
        for number in range(3):
            await fill(runner, number)
    assert len([record for record in caplog.records if "max_undelivered" in record.message]) == 3


@pytest.mark.parametrize("mode", MODES)
async def test_a_drain_launches_what_waits_for_undelivered_outcomes(cluster: Cluster, mode: str):
    """S1: the block has ended, and nobody reads: the close would never end."""
    with anyio.fail_after(60):
        async with (
            anyio.create_task_group() as group,
            running(cluster, outcome_delivery=mode, max_undelivered_pods=1, on_exit="drain") as runner,
        ):
            pod = await runner.launch(workload(1))
            cluster.play(pod.name)
            await until(lambda: runner.health().undelivered)
            waiting = runner.submit(workload(2))
            await a_moment()
            assert not waiting.uid
            group.start_soon(play_when_there, cluster, waiting)
        assert waiting.done
        assert cluster.count("POST", "/pods") == 2


@pytest.mark.parametrize("mode", MODES)
async def test_runs_that_all_fail_at_once_are_tried_again(cluster: Cluster, mode: str):
    """L7: as many as the limit, as in an outage: each outcome is delivered by the next try, which must not wait."""
    async with running(cluster, max_undelivered_pods=2, outcome_delivery=mode, on_exit="cancel") as runner:
        policy = RetryPolicy(attempts=2, wait=0.1, retry_if=lambda outcome: not outcome.succeeded)
        runs = [runner.run(workload(number), retry=policy) for number in range(3)]
        await until(lambda: len(cluster.pods) == 3)
        cluster.play_all(1)
        await until(lambda: cluster.count("POST", "/pods") == 6)
        cluster.play_all(0)
        for run in runs:
            assert (await run.wait(5)).succeeded


FAILS_ONCE = RetryPolicy(attempts=2, wait=0.1, retry_if=lambda outcome: not outcome.succeeded)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("queue", [1, 100])
async def test_runs_that_are_read_in_order_end_though_the_first_is_tried_again(
    cluster: Cluster, mode: str, queue: int
):
    """L7: the pods of the other runs have ended by then; the program reads their outcomes after the first run's."""
    async with running(
        cluster,
        max_undelivered_pods=2,
        submit_queue_size=queue,
        outcome_delivery=mode,
        on_exit="cancel",
    ) as runner:
        first = runner.run(workload(0), retry=FAILS_ONCE)
        await until(lambda: len(cluster.pods) == 1)
        others = []
        for number in (1, 2):
            others.append(runner.run(workload(number), retry=FAILS_ONCE))
            await until(lambda: len(cluster.pods) == len(others) + 1)
        cluster.play(first.pods[0].name, 1)
        for run in others:
            cluster.play(run.pods[0].name)
        await until(lambda: runner.health().undelivered >= 2)
        runner.submit(workload(3))  # fills the shortest queue
        await a_moment()
        assert cluster.count("POST", "/pods") == 3
        async with anyio.create_task_group() as group:
            group.start_soon(play_when_there, cluster, first)
            assert (await first.wait(60)).succeeded
        assert [(await run.wait(5)).succeeded for run in others] == [True, True]


async def reads(how: str, pod: AsyncPod) -> None:
    """Waits as the asynchronous or the blocking face does."""
    if how == "await":
        await pod
        return
    over = anyio.Event()
    when_over(pod, over.set)
    await over.wait()


@pytest.mark.parametrize("how", ["await", "when_over"])
async def test_a_pod_that_is_waited_for_is_launched_before_others_are_read(cluster: Cluster, how: str):
    """L7: those of a higher priority are over, and it is the only one that goes beyond the limit."""
    async with running(cluster, max_undelivered_pods=2, on_exit="cancel") as runner:
        await runner.launch_many(workload(n) for n in range(2))
        cluster.play_all()
        await until(lambda: runner.health().undelivered == 2)
        before = runner.submit(workload(3), priority=1)
        late = runner.submit(workload(4))
        await a_moment()
        assert not before.uid
        assert not late.uid
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(play_when_there, cluster, late)
                await reads(how, late)
        await a_moment()
        assert late.outcome is not None
        assert not before.uid


async def test_a_wait_that_is_over_goes_beyond_no_limit(cluster: Cluster):
    async with running(cluster, max_undelivered_pods=1, max_active_pods=1, on_exit="cancel") as runner:
        first = await runner.launch(workload(1))
        pod = runner.submit(workload(2))
        with pytest.raises(TimeoutError):
            await pod.wait(5)
        cluster.play(first.name)
        await until(lambda: runner.health().undelivered)
        await a_moment()
        assert not pod.uid
        assert runner.health().launches_wait_for.startswith("max_undelivered_pods=1")


async def test_a_batch_does_not_wait_for_its_own_outcomes(cluster: Cluster):
    """L7: its caller has no handles yet. Afterwards the limit holds."""
    async with running(cluster, max_undelivered_pods=2, max_active_pods=1, on_exit="cancel") as runner:
        async with anyio.create_task_group() as group:
            group.start_soon(play_each, cluster, 6)
            with anyio.fail_after(60):
                pods = await runner.launch_many(workload(n) for n in range(6))
        await until(lambda: runner.health().undelivered == 6)
        late = runner.submit(workload(7))
        await a_moment()
        assert not late.uid
        for pod in pods[:5]:
            await pod
        await until(lambda: late.uid)


@pytest.mark.parametrize("mode", MODES)
async def test_waiting_for_all_launches_all(cluster: Cluster, mode: str):
    """L7: a program that reads the outcomes after that, of more pods than may be unread."""
    settings: dict[str, Any] = {"max_undelivered_pods": 1, "max_active_pods": 1, "outcome_delivery": mode}
    async with running(cluster, on_exit="cancel", **settings) as runner:
        pods = [runner.submit(workload(number)) for number in range(4)]
        async with anyio.create_task_group() as group:
            for pod in pods:
                group.start_soon(play_when_there, cluster, pod)
            await runner.wait_all(60)
        assert len(finished(runner.poll_events())) == 4


async def play_each(cluster: Cluster, count: int) -> None:
    """Plays so many pods, one after the other as they come."""
    played: set[str] = set()
    while len(played) < count:
        for _, name in set(cluster.pods) - {("default", each) for each in played}:
            cluster.play(name)
            played.add(name)
        await anyio.sleep(0.1)


async def play_when_there(cluster: Cluster, what: AsyncPod | AsyncRun) -> None:
    """Plays a pod, or the second try of a run."""
    if isinstance(what, AsyncRun):
        await until(lambda: len(what.pods) == 2)
        what = what.pods[1]
    await until(lambda: what.uid)
    cluster.play(what.name)


@pytest.mark.parametrize("how", ["cancelled", "adopted"])
async def test_what_waits_no_more_does_not_keep_the_runner_busy(cluster: Cluster, how: str):
    """S1: though there is no room for it, and will be none."""
    async with running(cluster, owner="old") as old:
        name = (await old.launch(workload(2))).name
    async with running(cluster, owner="new", max_undelivered_pods=1, submit_queue_size=1) as runner:
        pod = await runner.launch(workload(1))
        cluster.play(pod.name)
        await until(lambda: runner.health().undelivered)
        waiting = runner.submit(workload(2) if how == "adopted" else workload(3))
        if how == "adopted":
            await runner.adopt()
            cluster.play(name)
            await until(lambda: waiting.done)
        else:
            await waiting.cancel()
        await runner.wait_all(5)
        assert runner.health().submitted == 0
        await runner.submit(workload(4)).cancel()


async def test_undelivered_pods_take_no_place_of_active_ones(cluster: Cluster):
    async with with_ended_pod(cluster, max_active_pods=1) as (runner, pod):
        assert (runner.health().active, runner.health().undelivered) == (0, 1)
        with anyio.fail_after(10):
            await runner.launch(workload(2))
        assert "max_active_pods=1" in runner.health().launches_wait_for
        assert await is_there(cluster, pod)


# Runs


async def pod_of(run: Any, number: int) -> AsyncPod:
    await until(lambda: len(run.pods) > number and run.pods[number].uid)
    return run.pods[number]


@pytest.mark.parametrize("mode", MODES)
async def test_a_try_is_delivered_by_the_next_tries_pod(cluster: Cluster, mode: str):
    """Only the last outcome needs a reader. Events say which is the last."""
    async with running(cluster, outcome_delivery=mode, delete_pods_on_failure=True) as runner:
        run = runner.run(workload(), retry=QUICK)
        first = await pod_of(run, 0)
        cluster.play(first.name, 3)
        second = await pod_of(run, 1)
        assert not await is_there(cluster, first)
        cluster.play(second.name, 4)
        await runner.wait_all(20)
        assert await is_there(cluster, second)
        assert runner.health().undelivered == 1
        events = finished(runner.poll_events())
        assert [(event.uid, event.will_retry) for event in events] == [(first.uid, True), (second.uid, False)]
        runner.acknowledge(run.pods[-1])
        assert not await is_there(cluster, second)


@pytest.mark.parametrize("mode", MODES)
async def test_a_try_stays_until_the_next_tries_pod_exists(cluster: Cluster, mode: str):
    """Whether it was read or acknowledged meanwhile: without it, a successor could not go on with the run."""
    async with running(cluster, outcome_delivery=mode, delete_pods_on_failure=True) as runner:
        run = runner.run(workload(), retry=PATIENT)
        first = await pod_of(run, 0)
        cluster.play(first.name, 3)
        await until(lambda: first.outcome)
        (event,) = finished(runner.poll_events())
        assert event.will_retry
        runner.acknowledge(event)
        runner.poll_events()
        assert await is_there(cluster, first)
        assert runner.health().undelivered == 1
    async with running(cluster, delete_pods_on_failure=True) as successor:
        (again,) = await successor.adopt()
        assert again.key == workload().key
        run = successor.run(workload(), retry=QUICK)
        cluster.play((await pod_of(run, 1)).name)
        assert (await run.wait(5)).succeeded
        assert [each.key.attempt for each in run.pods] == [1, 2]
        await until(lambda: not cluster.pods)


@pytest.mark.parametrize("was_taken", [False, True])
async def test_a_try_whose_next_one_is_cancelled_needs_a_reader(cluster: Cluster, *, was_taken: bool):
    async with running(cluster, delete_pods_on_failure=True) as runner:
        run = runner.run(workload(), retry=PATIENT)
        first = await pod_of(run, 0)
        cluster.play(first.name, 3)
        await until(lambda: runner.health().undelivered)
        await a_moment()
        if was_taken:
            assert first.outcome
        await run.cancel()
        assert await is_there(cluster, first) is not was_taken
        assert run.outcome is not None
        assert run.outcome.exit_code == 3
        assert not await is_there(cluster, first)


async def test_a_try_whose_next_one_cannot_be_created_needs_a_reader(cluster: Cluster):
    body = b'{"kind":"Status","reason":"Invalid","message":"no"}'
    async with running(cluster, delete_pods_on_failure=True) as runner:
        run = runner.run(workload(), retry=QUICK)
        first = await pod_of(run, 0)
        cluster.fail("POST", status=422, body=body)
        cluster.play(first.name, 3)
        await until(lambda: runner.health().runs == 0)
        assert await is_there(cluster, first)
        events = finished(runner.poll_events())
        assert [event.outcome and event.outcome.category for event in events] == [
            Category.FAILED,
            Category.REJECTED_BY_API,
        ]
        runner.poll_events()
        assert not await is_there(cluster, first)


# Ends that the runner makes


@asynccontextmanager
async def with_running_pod(
    cluster: Cluster, **settings: Any
) -> AsyncIterator[tuple[AsyncPodRunner, AsyncPod]]:
    async with running(cluster, **settings) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        yield runner, pod


@pytest.mark.parametrize("mode", MODES)
async def test_a_cancelled_pod_stays_until_its_outcome_is_delivered(cluster: Cluster, mode: str):
    """Its verdict is on it, and its log can still be read."""
    async with with_running_pod(cluster, outcome_delivery=mode) as (runner, pod):
        await pod.cancel()
        await runner.wait_all(20)
        assert await is_there(cluster, pod)
        assert (patches(cluster), deletes(cluster)) == (1, 0)
        assert '"cancelled"' in annotations(cluster, pod)[VERDICT]
        assert cluster.pods["default", pod.name]["spec"]["activeDeadlineSeconds"] == 1
        (event,) = finished(runner.poll_events())
        assert event.outcome is not None
        assert (event.outcome.category, event.outcome.started) == (Category.CANCELLED, True)
        assert event.outcome.exit_code == 143
        runner.acknowledge(event)
        assert not await is_there(cluster, pod)
        assert (patches(cluster), deletes(cluster)) == (1, 1)


async def test_a_cancelled_pod_with_another_grace_than_its_own_is_deleted(cluster: Cluster):
    """With its verdict on it first; only a deletion has that grace."""
    cluster.obedient = False
    async with with_running_pod(cluster) as (_, pod):
        await pod.cancel(grace_period_s=7)
        assert '"cancelled"' in annotations(cluster, pod)[VERDICT]
        there = cluster.pods["default", pod.name]
        assert there["metadata"]["deletionGracePeriodSeconds"] == 7
        assert "activeDeadlineSeconds" not in there["spec"]
        cluster._obey(pod.name)
        assert (await pod.wait(5)).category is Category.CANCELLED
        assert not cluster.pods


async def test_a_cancelled_pod_that_has_not_started_is_deleted(cluster: Cluster):
    """There is nothing that a successor could do twice."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        await pod.cancel()
        assert not cluster.pods
        assert (patches(cluster), deletes(cluster)) == (0, 1)
        await runner.wait_all(20)
        (event,) = finished(runner.poll_events())
        assert event.outcome is not None
        assert (event.outcome.category, event.outcome.started) == (Category.CANCELLED, False)


async def test_a_pod_that_has_started_unseen_is_not_deleted(cluster: Cluster):
    """The watch is behind: the deletion names the version on which it was decided."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.muted = True
        cluster.play(pod.name)
        await pod.cancel()
        await runner.wait_all(20)
        assert await is_there(cluster, pod)
        assert (await pod.wait(5)).succeeded


@pytest.mark.parametrize("end", ["cancel", "time-out"])
async def test_a_successor_goes_on_with_an_end_that_was_begun(cluster: Cluster, end: str):
    """And reports the outcome that it was begun with."""
    cluster.obedient = False
    settings = {"run_timeout_s": 60} if end == "time-out" else {}
    async with with_running_pod(cluster, **settings) as (_, pod):
        if end == "cancel":
            await pod.cancel()
        await until(lambda: patches(cluster), within_s=100)
        assert pod.outcome is None
    async with running(cluster) as successor:
        (again,) = await successor.adopt()
        await until(lambda: patches(cluster) == 3)  # taken over, and ended once more
        cluster.expire(again.name)
        outcome = await again.wait(5)
        assert outcome.category is (Category.CANCELLED if end == "cancel" else Category.DEADLINE)
        assert outcome.started
        await until(lambda: not cluster.pods)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["cancel", "time-out"])
async def test_a_successor_reports_the_end_that_was_made(cluster: Cluster, end: str, mode: str):
    """What the kubelet wrote says only that a deadline was exceeded."""
    settings = {"run_timeout_s": 60} if end == "time-out" else {}
    async with with_running_pod(cluster, outcome_delivery=mode, **settings) as (runner, pod):
        if end == "cancel":
            await pod.cancel()
        await until(lambda: runner.health().undelivered, within_s=100)
        await runner.wait_all(20)
        (event,) = finished(runner.poll_events())
    assert cluster.pods["default", pod.name]["status"]["reason"] == "DeadlineExceeded"
    async with running(cluster) as successor:
        (again,) = await successor.adopt()
        outcome = await again.wait(5)
        assert event.outcome is not None
        assert outcome.category is event.outcome.category
        assert outcome.category is (Category.CANCELLED if end == "cancel" else Category.DEADLINE)
        assert outcome.message == event.outcome.message
        await until(lambda: not cluster.pods)


async def test_a_patch_whose_answer_was_lost_does_not_make_the_end_the_pods_own(cluster: Cluster):
    """The kubelet had ended the pod by the time the patch was repeated."""
    cluster.fail("PATCH", lose_reply=True)
    async with with_running_pod(cluster) as (_, pod):
        cluster.muted = True
        await pod.cancel()
        assert patches(cluster) == 3  # the second is refused, as the pod has changed; the third looks at it
        assert (await pod.wait(5)).category is Category.CANCELLED


async def test_a_sidecar_that_goes_on_is_ended_and_the_pod_stays(cluster: Cluster):
    """The kubelet then calls the pod failed; its outcome is on it."""
    async with running(cluster, delete_pods=False) as runner:
        pod = await runner.launch(workload())
        ended = {
            "exitCode": 0,
            "reason": "Completed",
            "startedAt": cluster._time(),
            "finishedAt": cluster._time(),
        }
        running_ = {"startedAt": cluster._time()}
        cluster.change(pod.name, spec={"nodeName": "node-1"})
        cluster.tell(pod.name, "Running", base={"terminated": ended}, sidecar={"running": running_})
        await runner.wait_all(20)
        await until(lambda: patches(cluster) == 1)
        there = cluster.pods["default", pod.name]
        assert there["spec"]["activeDeadlineSeconds"] == 1
        assert '"succeeded"' in annotations(cluster, pod)[OUTCOME]
        killed = {"exitCode": 143, "reason": "Error", "finishedAt": cluster._time()}
        cluster.tell(pod.name, "Failed", base={"terminated": ended}, sidecar={"terminated": killed})
        cluster.change(pod.name, status={"reason": "DeadlineExceeded"})
        assert await is_there(cluster, pod)
    async with running(cluster, delete_pods=False) as successor:
        (again,) = await successor.adopt()
        assert (await again.wait(5)).succeeded


# Requests, and the Lease


@pytest.mark.parametrize("exit_code", [0, 3])
async def test_a_pod_costs_two_requests(cluster: Cluster, exit_code: int):
    """Its create, and its delete."""
    async with running(
        cluster, delete_pods_on_failure=True, logs={"follow": "off", "tail_lines_on_failure": 0}
    ) as runner:
        before = len(cluster.requests)
        pods = [await runner.launch(workload(n)) for n in range(3)]
        for pod in pods:
            cluster.play(pod.name, exit_code)
        await runner.wait_all(20)
        runner.poll_events()
        runner.poll_events()
        await until(lambda: not cluster.pods)
        sent = [method for _, method, target in cluster.requests[before:] if "/pods" in target]
        assert sorted(sent) == ["DELETE"] * 3 + ["POST"] * 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("delete_pods", [False, True])
async def test_a_runner_that_lost_its_lease_leaves_what_is_not_delivered(
    cluster: Cluster, mode: str, *, delete_pods: bool
):
    """Neither deleted nor marked: a successor reports it."""
    settings: dict[str, Any] = {"owner": "me", "lease_duration_s": 1.0, "delete_pods": delete_pods}
    async with with_ended_pod(cluster, outcome_delivery=mode, **settings) as (runner, pod):
        (event,) = finished(runner.poll_events())
        lease = cluster.leases["podrunner-me"]
        taken = {**lease, "spec": {**lease["spec"], "holderIdentity": "other"}}
        cluster._keep_lease("podrunner-me", taken, 200)
        await until(lambda: runner.health().lease != "held")
        runner.poll_events()
        runner.acknowledge(event)
        assert (await pod.wait(5)).succeeded  # it is known here all the same
        assert await is_there(cluster, pod)
    assert (patches(cluster), deletes(cluster)) == (0, 0)
    assert REPORTED not in annotations(cluster, pod)
    del cluster.leases["podrunner-me"]
    async with running(cluster) as successor:
        (again,) = await successor.adopt()
        assert (await again.wait(5)).succeeded


async def test_a_close_by_cancel_names_no_pod_that_it_cancelled(cluster: Cluster, caplog):
    async with running(cluster, on_exit="cancel", outcome_delivery="acknowledged") as runner:
        await runner.launch(workload())
    assert not cluster.pods
    assert "no runner will report them" not in caplog.text


@pytest.mark.parametrize("is_acknowledged", [True, False])
async def test_a_close_names_the_pods_that_are_gone_with_their_outcomes(
    cluster: Cluster, caplog, *, is_acknowledged: bool
):
    """L7: another client deleted the pod before its outcome was delivered: no successor will find it."""
    async with running(cluster, outcome_delivery="acknowledged") as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await pod.wait(5)
        cluster.remove(pod.name)
        await runner.wait_all(5)
        await anyio.sleep(1)
        if is_acknowledged:
            runner.acknowledge(pod)
    assert (f"no runner will report them: default/{pod.name}" in caplog.text) is not is_acknowledged
