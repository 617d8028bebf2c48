"""The close of a runner goes to its end, whatever its caller is cancelled by, and how often; then that is raised."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest
from podrunner.errors import CloseTimeoutError
from podrunner.interruption import persist
from podrunner.logs import CallableSink
from podrunner.outcome import Category
from podrunner.runner import AsyncPodRunner
from tests.support.event_loops import machine_stands_still
from tests.support.fake_server import ENDED
from tests.support.virtual_asyncio import VirtualTimeLoop
from tests.unit.runner.harness import Cluster, configured, running, until, workload

PODS = 8


def in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    """Run a program of asyncio: its ``Task.cancel()`` reaches what no scope shields."""
    with machine_stands_still(), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


async def run_pods(runner: AsyncPodRunner, cluster: Cluster) -> None:
    for number in range(PODS):
        cluster.run((await runner.launch(workload(number))).name)


def running_pods(cluster: Cluster) -> list[str]:
    """The pods that are not over. What is over stays for a successor until its outcome was delivered."""
    return [name for (_, name), pod in cluster.pods.items() if pod["status"]["phase"] not in ENDED]


def left_over(cluster: Cluster) -> list[object]:
    """What a closed runner has left behind."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return [*running_pods(cluster), *cluster.leases, *cluster.watches, *tasks]


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("on_exit", ["cancel", "drain"])
def test_a_close_that_is_cancelled_goes_on_to_its_end(times: int, on_exit: str):
    """H3: ``task.cancel()`` 10 ms into the close, and again and again; then CancelledError."""

    async def main() -> None:
        cluster, closing = Cluster(), asyncio.Event()
        cluster.fail("PATCH", times=100, delay_s=1)
        cluster.fail("DELETE", part="", times=100, delay_s=1)

        async def use() -> None:
            async with running(cluster, on_exit=on_exit) as runner:
                await run_pods(runner, cluster)
                closing.set()

        task = asyncio.create_task(use())
        await closing.wait()
        for _ in range(times):
            await asyncio.sleep(0.01)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left_over(cluster) == []

    in_virtual_time(main)


@pytest.mark.parametrize("on_exit", ["cancel", "drain"])
def test_a_close_outlives_the_cancellation_of_all_tasks(on_exit: str):
    """H3: what ``asyncio.run`` does after a second Ctrl-C reaches the runner's own tasks too."""

    async def main() -> None:
        cluster = Cluster()
        cluster.fail("PATCH", times=100, delay_s=1)
        cluster.fail("DELETE", part="", times=100, delay_s=1)
        closing = asyncio.Event()

        async def use() -> None:
            async with running(cluster, on_exit=on_exit, max_active_pods=PODS) as runner:
                await run_pods(runner, cluster)
                for number in range(PODS, 2 * PODS):
                    runner.submit(workload(number))
                closing.set()

        task = asyncio.create_task(use())
        await closing.wait()
        for pause_s in (0.5, 0.7):
            await asyncio.sleep(pause_s)
            for each in asyncio.all_tasks() - {asyncio.current_task()}:
                each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left_over(cluster) == []

    in_virtual_time(main)


@pytest.mark.anyio
async def test_a_close_goes_on_within_a_cancelled_scope(cluster: Cluster):
    """H3: the scope is left when nothing runs any more; on trio too."""
    cluster.fail("PATCH", times=100, delay_s=1)
    with anyio.CancelScope() as scope:
        async with running(cluster, on_exit="drain") as runner:
            await run_pods(runner, cluster)
            scope.cancel()
    assert scope.cancelled_caught
    assert not running_pods(cluster)
    assert not cluster.leases


@pytest.mark.anyio
async def test_a_second_close_waits_for_the_first(cluster: Cluster):
    """Leaving the block during a close in another task does not take the runner away from it."""
    cluster.fail("PATCH", times=100, delay_s=1)
    async with anyio.create_task_group() as tasks, running(cluster) as runner:
        await run_pods(runner, cluster)
        tasks.start_soon(runner.close, "cancel")
        await anyio.sleep(0.1)
        await runner.close("drain")
        assert not running_pods(cluster)
    assert not cluster.leases


@pytest.mark.anyio
async def test_a_close_that_cancels_shortens_one_that_waits(cluster: Cluster):
    async with anyio.create_task_group() as tasks, running(cluster) as runner:
        await run_pods(runner, cluster)
        tasks.start_soon(runner.close, "drain")
        await anyio.sleep(1)
        assert running_pods(cluster)
        await runner.close("cancel")
        assert not running_pods(cluster)


@pytest.mark.anyio
@pytest.mark.parametrize("on_exit", ["cancel", "drain"])
async def test_a_finalizer_of_another_party_does_not_hold_the_close(cluster: Cluster, on_exit: str):
    """H3: the pods have ended, and only the finalizer keeps them."""
    async with running(cluster, on_exit=on_exit, delete_pods=True) as runner:
        scheduled = await runner.launch(workload(1))
        cluster.hold(scheduled.name, "example.com/other")
        cluster.play(scheduled.name)
        await scheduled.wait(5)
        unscheduled = await runner.launch(workload(2))
        cluster.hold(unscheduled.name, "example.com/other")
        await until(lambda: cluster.pods["default", scheduled.name]["metadata"].get("deletionTimestamp"))
        await unscheduled.cancel()
        assert (await unscheduled.wait(5)).category is Category.CANCELLED
        began_s = anyio.current_time()
    assert anyio.current_time() - began_s < 5
    assert len(cluster.pods) == 2
    assert not cluster.leases


@pytest.mark.anyio
async def test_pods_that_do_not_end_are_named(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    """H3: in the error, and in a line of the log, after a bounded time."""
    cluster.obedient = False
    began_s = anyio.current_time()
    with pytest.raises(CloseTimeoutError) as raised:  # noqa: PT012  # the way out
        async with running(cluster, on_exit="cancel") as runner:
            await run_pods(runner, cluster)
            names = {f"default/{pod.name}" for pod in runner.pods()}
    assert 60 < anyio.current_time() - began_s < 150
    assert set(raised.value.pods) == names
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert all(any(name in line for line in logged) for name in names)
    assert all(name in str(raised.value) for name in names)
    assert not cluster.leases


@pytest.mark.anyio
async def test_the_error_of_the_block_bears_the_names_as_a_note(cluster: Cluster):
    cluster.obedient = False
    with pytest.raises(ZeroDivisionError) as raised:  # noqa: PT012  # the way out
        async with running(cluster, on_exit="cancel") as runner:
            pod = await runner.launch(workload())
            cluster.run(pod.name)
            raise ZeroDivisionError
    assert any(pod.name in note for note in raised.value.__notes__)


@pytest.mark.parametrize("steps", range(0, 24, 2))
@pytest.mark.parametrize("times", [1, 2])
def test_an_opening_that_is_cancelled_leaves_nothing(steps: int, times: int):
    """H3: after any number of turns of the event loop; the Lease may be asked for, and its answer on the way."""

    async def main() -> None:
        cluster = Cluster()
        cluster.fail("POST", part="/leases", delay_reply_s=0.05)

        async def use() -> None:
            async with AsyncPodRunner(configured(), client=cluster.client()):
                await asyncio.Event().wait()

        task = asyncio.create_task(use())
        for _ in range(steps):
            await asyncio.sleep(0)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with suppress(asyncio.CancelledError):
            await task
        assert left_over(cluster) == []

    in_virtual_time(main)


@pytest.mark.anyio
async def test_an_opening_that_times_out_gives_the_lease_back(cluster: Cluster):
    """H3: the server had made it, and its answer did not come."""
    cluster.fail("POST", part="/leases", delay_reply_s=20)
    with anyio.move_on_after(1) as scope:
        async with AsyncPodRunner(configured(), client=cluster.client()):
            pytest.fail("it is not open")
    assert scope.cancelled_caught
    assert not cluster.leases


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_launch_that_is_cancelled_again_leaves_no_pod(times: int):
    """C1, H3: also while the first cancellation is being cleaned up after."""

    async def main() -> None:
        cluster = Cluster()
        cluster.fail("POST", part="/pods", delay_reply_s=5)
        cluster.fail("GET", part="/pods/", times=3, delay_s=1)
        async with running(cluster) as runner:
            task = asyncio.create_task(runner.launch(workload()))
            await until(lambda: cluster.pods)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0.3)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not cluster.pods

    in_virtual_time(main)


def test_a_launch_that_is_cancelled_as_it_returns_leaves_no_pod():
    """C1: the caller has no handle of it."""

    async def main() -> None:
        for steps in range(40):
            cluster = Cluster()
            async with running(cluster) as runner:
                task = asyncio.create_task(runner.launch(workload()))
                for _ in range(steps):
                    await asyncio.sleep(0)
                was_done = task.done()
                task.cancel()
                await asyncio.wait([task])
                if was_done:
                    return
                await until(lambda seen=cluster: not running_pods(seen))
        pytest.fail("the launch was never done")

    in_virtual_time(main)


@pytest.mark.parametrize(("on_exit", "running_then"), [("drain", 0), ("detach", PODS)])
def test_ctrl_c_that_meets_a_task_of_the_runner_is_raised_in_the_callers(on_exit: str, running_then: int):
    """H3: asyncio raises it in whatever runs; the watch goes on, and the block is left by the policy."""

    async def main() -> None:
        cluster = Cluster()
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012  # the way out
            async with running(cluster, on_exit=on_exit) as runner:
                await run_pods(runner, cluster)
                pressed: list[object] = []

                def press(_pods: object) -> None:
                    if not pressed:
                        pressed.append(None)
                        raise KeyboardInterrupt

                observe = runner._engine.reflectors[0]._sink
                runner._engine.reflectors[0]._sink = lambda batch: (press(batch), observe(batch))
                cluster.change(runner.pods()[0].name, metadata={"annotations": {"any": "change"}})
                await anyio.sleep_forever()
        assert len(running_pods(cluster)) == running_then
        assert not cluster.leases
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    in_virtual_time(main)


@pytest.mark.anyio
async def test_what_a_signal_raised_in_the_runners_own_task_does_not_stop_its_close(
    cluster: Cluster, monkeypatch
):
    """H3: it is raised when the pods are ended."""
    raised: list[KeyboardInterrupt] = []

    async def interrupted(step, **options):
        done = await persist(step, **options)
        if not raised:
            raised.append(KeyboardInterrupt())
            raise raised[0]
        return done

    monkeypatch.setattr("podrunner.runner.life.persist", interrupted)

    async def use() -> None:
        async with running(cluster, on_exit="cancel") as runner:
            cluster.run((await runner.launch(workload())).name)

    with pytest.raises(KeyboardInterrupt):
        await use()
    assert raised
    (pod,) = cluster.pods.values()
    assert pod["spec"].get("activeDeadlineSeconds"), "it was ended"


async def ignore(_: object) -> None:
    """Takes a log."""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("exit_code", "method", "part"), [(0, "DELETE", "/pods/"), (1, "PATCH", "/pods/"), (0, "GET", "/log?")]
)
async def test_what_was_delivered_before_a_detach_is_not_reported_by_the_successor(
    cluster: Cluster, exit_code: int, method: str, part: str
):
    """H1: the rest of the log, the deletion or the mark was on its way when the block ended without an error."""
    given = {"logs": {"follow": "end"}, "log_sinks": lambda _: [lambda _: CallableSink(ignore)]}
    async with running(cluster, on_exit="detach", **(given if method == "GET" else {})) as runner:
        pod = await runner.launch(workload())
        cluster.fail(method, part, status=503, delay_s=0.1)
        cluster.play(pod.name, exit_code)
        await pod.wait(5)
    async with running(cluster) as successor:
        assert await successor.adopt() == []
