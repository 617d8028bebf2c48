"""Events and logs, as users read them."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
import pytest
from podrunner.errors import LogError, NotFoundError, UsageError
from podrunner.logs import CallableSink, LogGap, LogLine
from podrunner.runner import EventKind, RunnerEvent
from podrunner.runner.event_queue import EventQueue
from podrunner.workload import WorkloadKey
from tests.unit.runner.harness import Cluster, read_events, running, until, workload

pytestmark = pytest.mark.anyio

STAMP = "2024-05-01T10:20:30.00000000{}Z "
LINES = [STAMP.format(1) + "one", STAMP.format(2) + "two"]


async def test_events_are_a_stream_for_a_schedulers_loop(cluster: Cluster):
    async with running(cluster) as runner, runner.events() as events:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        seen = []
        async for event in events:
            seen.append((str(event.kind), event.status))
            if event.kind is EventKind.DELETED:
                break
        assert seen == [
            ("created", "Pending"),
            ("status-changed", "Running"),
            ("status-changed", "Completed"),
            ("finished", "Completed"),
            ("deleted", "Completed"),
        ]


async def test_polling_never_waits(cluster: Cluster):
    async with running(cluster) as runner:
        assert runner.poll_events() == []
        await runner.launch_many([workload(1), workload(2)])
        assert len(runner.poll_events(max_events=1)) == 1
        assert len(runner.poll_events()) == 1
        assert runner.poll_events(5) == []


async def test_events_need_entering_and_end_with_the_runner(cluster: Cluster):
    async with running(cluster) as runner:
        with pytest.raises(UsageError, match="with runner"):
            runner.events().poll()
        async with runner.events() as events:
            await runner.close("cancel")
            assert await events.next_batch() == []
            assert [event async for event in events] == []


def event(kind: EventKind, uid: str, status: str = "") -> RunnerEvent:
    return RunnerEvent(kind, WorkloadKey({"n": uid}), "default", uid, uid, status)


async def test_a_full_queue_coalesces_per_pod_and_keeps_every_outcome():
    queue = EventQueue(limit=3)
    for number in range(50):
        queue.put(event(EventKind.STATUS_CHANGED, "a", f"s{number}"))
        queue.put(event(EventKind.STATUS_CHANGED, "b", f"s{number}"))
    for uid in "abcdefgh":
        queue.put(event(EventKind.FINISHED, uid))
    got = queue.poll()
    assert [it.uid for it in got if it.kind is EventKind.FINISHED] == list("abcdefgh")
    assert [it.status for it in got if it.kind is EventKind.STATUS_CHANGED][-2:] == ["s49", "s49"] or len(
        got
    ) == 11
    assert len(got) <= 3 + 8 + 2
    assert queue.coalesced > 90
    queue.put(event(EventKind.STATUS_CHANGED, "a", "again"))
    assert len(queue.poll()) == 1


async def test_lines_of_a_log(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = LINES
        cluster.play(pod.name)
        assert [line async for line in pod.logs()] == ["one", "two"]
        assert (await pod.wait()).succeeded


async def test_a_short_pods_log_is_there_for_who_asks_a_moment_later(cluster: Cluster):
    """G4: it is over, and not yet deleted."""
    async with running(cluster, logs={"follow": "on-demand"}) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = LINES
        cluster.play(pod.name)
        await pod.wait(5)
        await anyio.sleep(0.2)
        assert [line async for line in pod.logs()] == ["one", "two"]
        await until(lambda: not cluster.pods)


async def test_a_log_is_read_while_the_pod_is_still_to_be_created(cluster: Cluster):
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        lines: list[str] = []
        async with anyio.create_task_group() as group:

            async def read() -> None:
                async with pod.logs(timestamps=True) as stream:
                    lines.extend([line async for line in stream])

            group.start_soon(read)
            await until(lambda: pod.uid)
            cluster.logs[pod.name] = LINES
            cluster.play(pod.name)
        assert lines == LINES


async def test_a_log_of_now_does_not_wait_for_the_end(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        assert [line async for line in pod.logs(follow=False)] == []
        cluster.logs[pod.name] = LINES
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        records = [
            record
            async for record in pod.logs(follow=False, since=datetime(2024, 1, 1, tzinfo=UTC)).records()
        ]
        assert records == [
            LogLine("one", STAMP.format(1).strip(), "base"),
            LogLine("two", STAMP.format(2).strip(), "base"),
        ]
        assert cluster.log_requests[-1]["sinceTime"] == "2024-01-01T00:00:00Z"
        assert [line async for line in pod.logs(follow=False, since=30.0)] == ["one", "two"]


async def test_leaving_a_log_early_ends_the_reading(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = LINES
        cluster.run(pod.name)
        async with pod.logs() as stream:
            async for line in stream:
                assert line == "one"
                break
        assert await stream.next_lines() == []
        cluster.finish(pod.name)
        await until(lambda: read_events(runner) and not runner.pods())


@pytest.mark.parametrize("reads_early", [True, False])
async def test_a_log_that_is_read_when_the_runner_closes_ends_with_a_gap(
    cluster: Cluster, *, reads_early: bool
):
    """G11: the container writes on, and no reader here sees it; the end of the lines alone does not say so."""
    lines: list[str] = []
    async with anyio.create_task_group() as group, running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = LINES
        if reads_early:
            cluster.run(pod.name)
        stream = pod.logs()

        async def read() -> None:
            lines.extend([line async for line in stream])

        group.start_soon(read)
        await anyio.sleep(1)
    assert lines[:-1] == (["one", "two"] if reads_early else [])
    assert lines[-1].startswith("*** Log gap in container base (unavailable)")
    assert [gap.reason for gap in stream.gaps] == ["unavailable"]
    assert await stream.next_lines() == []


async def test_an_unknown_container_is_refused(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        with pytest.raises(LogError, match="no container 'proxy', only base"):
            pod.logs(container="proxy")


async def test_a_missing_log_is_a_gap_and_no_failure(cluster: Cluster):
    """G8: the workload succeeded, whatever became of its log."""
    async with running(cluster, logs={"drain_timeout_s": 0.1}) as runner:
        pod = await runner.launch(workload())
        cluster.fail("GET", part="/log", times=10_000, status=500)
        cluster.play(pod.name)
        stream = pod.logs()
        lines = [line async for line in stream]
        assert lines[0].startswith("*** Log gap")
        assert [gap.reason for gap in stream.gaps] == ["unavailable"]
        assert (await pod.wait()).succeeded


async def test_a_users_own_sink_gets_the_log_and_troubles_are_events(cluster: Cluster):
    """G8: a sink that fails is reported, and the pod is not touched by it."""
    got: list[object] = []

    def sinks(pod):
        async def take(item):  # virtual time does not wait for threads
            got.append(item)

        async def broken(_):
            raise OSError("disk full")

        return [lambda _: CallableSink(take), lambda _: CallableSink(broken)]

    async with running(cluster, log_sinks=sinks, logs={"follow": "all"}) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = LINES
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        await runner.wait_all(5)
        assert got[0].texts() == ["one", "two"]
        assert pod.log_status is not None
        assert "disk full" in pod.log_status.errors[0]
        assert runner.health().log_troubles == 1
        assert [it.kind for it in runner.poll_events() if it.kind is EventKind.LOG_TROUBLE]


async def test_a_pod_is_not_deleted_before_its_log_is_read(cluster: Cluster):
    """G4: drained, then deleted."""
    order: list[str] = []
    gate = anyio.Event()

    async def slow(item):
        await gate.wait()
        order.append("read")

    slow_sink = CallableSink(slow)
    async with running(cluster, log_sinks=lambda _: [lambda _: slow_sink], logs={}) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = LINES
        cluster.play(pod.name)
        await pod.wait(5)
        await anyio.wait_all_tasks_blocked()
        assert cluster.pods
        gate.set()
        await until(lambda: not cluster.pods)
        assert order == ["read"]


async def test_what_a_handle_can_ask_of_a_pod_that_is_not_there(cluster: Cluster):
    async with running(cluster, max_active_pods=1) as runner:
        first = await runner.launch(workload(1))
        waiting = runner.submit(workload(2))
        with pytest.raises(UsageError, match="does not exist yet"):
            await waiting.exec(["true"])
        with pytest.raises(NotFoundError):
            await waiting.manifest()
        assert (await first.manifest())["metadata"]["name"] == first.name
        assert waiting.timeline.created is None
        cluster.play(first.name)
        await until(lambda: read_events(runner) and waiting.uid and first not in runner.pods())
        with pytest.raises(UsageError, match="does not exist any more"):
            await first.exec(["true"])
        with pytest.raises(LogError, match="is gone"):
            await first.logs().next_lines()
        assert repr(first).startswith("<pod default/1-")


async def test_gaps_are_lines_and_records():
    gap = LogGap("base", "rotated")
    from podrunner.runner.log_stream import AsyncLogStream

    async with anyio.create_task_group() as group:

        async def produce(put):
            await put(gap)
            await put(["plain"])

        stream = AsyncLogStream(produce, group.start_soon)
        assert [record async for record in stream.records()] == [gap, LogLine("plain")]
        assert await stream.next_records() == []
        assert stream.gaps == [gap]


async def test_all_that_waits_is_taken_at_once():
    """A reader in another thread pays for each crossing."""
    gap, put_all = LogGap("base", "rotated"), anyio.Event()
    from podrunner.runner.log_stream import AsyncLogStream

    async with anyio.create_task_group() as group:

        async def produce(put):
            for item in (["first"], ["one", "two"], gap, ["three"]):
                await put(item)
            put_all.set()

        stream = AsyncLogStream(produce, group.start_soon)
        lines = await stream.next_lines()
        await put_all.wait()
        if len(lines) < 5:
            lines += await stream.next_lines()
        assert lines == ["first", "one", "two", str(gap), "three"]
        assert await stream.next_lines() == []
        assert stream.gaps == [gap]
