"""Cancelling, at any instant, leaves nothing behind; closing follows its policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from podrunner.errors import OwnershipError, RunnerClosedError
from podrunner.outcome import Category
from tests.unit.runner.harness import Cluster, kinds, read_events, running, until, workload

pytestmark = pytest.mark.anyio


async def test_a_pending_pod_is_deleted(cluster: Cluster):
    """C2: cancelled while Pending, it goes."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        await pod.cancel()
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.started) == (Category.CANCELLED, False)
        assert not cluster.pods


async def test_a_running_pod_is_ended_with_its_grace(cluster: Cluster):
    """C3: one path, whatever the state."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        await pod.cancel(grace_period_s=7)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.started) == (Category.CANCELLED, True)
        await until(lambda: not runner.pods())
        assert kinds(runner) == ["created", "finished", "deleted"]
        await pod.cancel()
        assert cluster.count("DELETE", "/pods") == 1


async def test_what_ended_before_keeps_its_outcome(cluster: Cluster):
    async with running(cluster, delete_pods=False) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await pod.wait(5)
        await pod.cancel()
        assert pod.outcome is not None
        assert pod.outcome.category is Category.SUCCEEDED
        assert cluster.count("DELETE", "/pods") == 0


async def test_delete_of_a_running_pod_cancels_it(cluster: Cluster):
    """C3: one path."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await pod.delete(grace_period_s=0)
        assert (await pod.wait(5)).category is Category.CANCELLED


async def test_a_queued_submission_is_withdrawn(cluster: Cluster):
    """C3: queued is a state like any other."""
    async with running(cluster, max_active_pods=1, connections=1) as runner:
        first = runner.submit(workload(1))
        second = runner.submit(workload(2))
        third = runner.submit(workload(3))
        await until(lambda: first.uid)
        await third.cancel()
        await second.cancel()
        for pod in (second, third):
            assert (await pod.wait(5)).category is Category.CANCELLED
        assert [name for _, name in cluster.pods] == [first.name]
        assert runner.health().active == 1


async def test_a_submission_cancelled_while_its_create_is_in_flight_leaves_no_pod(cluster: Cluster):
    """C1: the server made it, the answer was never read."""
    cluster.fail("POST", delay_reply_s=30)
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        await until(lambda: cluster.pods)
        with anyio.fail_after(20):
            await pod.cancel()
            assert (await pod.wait()).category is Category.CANCELLED
        await until(lambda: not cluster.pods)


async def test_a_launch_whose_task_is_cancelled_leaves_no_pod(cluster: Cluster):
    """C1: by task cancellation."""
    cluster.fail("POST", delay_reply_s=30)
    async with running(cluster) as runner:
        with anyio.move_on_after(0.1):
            await runner.launch(workload())
        await until(lambda: not cluster.pods)
        assert runner.health().active == 0
        again = await runner.launch(workload())
        assert again.uid


async def test_a_cancel_goes_on_though_its_caller_is_cancelled(cluster: Cluster):
    """C2: by a time-out, or Ctrl-C: else the pod would be neither deleted nor ever cancelled again."""
    cluster.fail("DELETE", delay_s=0.5)
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        with anyio.move_on_after(0.1) as scope:
            await pod.cancel()
        assert scope.cancelled_caught
        assert (await pod.wait(5)).category is Category.CANCELLED
        assert not cluster.pods


async def test_leaving_normally_waits_for_the_pods(cluster: Cluster):
    async with anyio.create_task_group() as group:

        async def play() -> None:
            await until(lambda: cluster.pods)
            await anyio.sleep(0.05)
            cluster.play_all()

        group.start_soon(play)
        async with running(cluster, on_exit="drain") as runner:
            submitted = runner.submit(workload())
        assert submitted.outcome is not None
        assert submitted.outcome.category is Category.SUCCEEDED
        assert not cluster.pods
        assert not cluster.leases


async def test_leaving_by_an_exception_cancels_and_the_exception_stays_itself(cluster: Cluster):
    """Promise 4: an error in the scheduler leaves no pod."""
    pods = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the body's way out is what is tested
        async with running(cluster, on_exit="drain") as runner:
            pods.append(await runner.launch(workload()))
            raise ZeroDivisionError
    assert pods[0].outcome.category is Category.CANCELLED
    assert not cluster.pods


async def test_cancellation_from_outside_cancels_the_pods(cluster: Cluster):
    """S1: bounded, and nothing is left."""
    with anyio.move_on_after(0.2):
        async with running(cluster, on_exit="drain") as runner:
            await runner.launch(workload())
            await anyio.sleep_forever()
    assert not cluster.pods
    assert not cluster.leases


async def test_a_drain_that_is_interrupted_cancels_the_rest(cluster: Cluster):
    """S1: leaving waits, and the waiting is cancelled."""
    with anyio.move_on_after(0.2) as scope:
        async with running(cluster, on_exit="drain") as runner:
            await runner.launch(workload())
    assert scope.cancelled_caught
    assert not cluster.pods


async def test_detach_leaves_the_pods_and_gives_the_lease_back(cluster: Cluster):
    async with running(cluster, on_exit="detach") as runner:
        pod = await runner.launch(workload())
    assert len(cluster.pods) == 1
    assert not cluster.leases
    with pytest.raises(RunnerClosedError):
        await pod.wait()


async def test_a_closed_runner_takes_no_orders(cluster: Cluster):
    async with running(cluster) as runner:
        await runner.launch(workload())
        await runner.close("cancel")
        await runner.close()
        assert not cluster.pods
        for order in (runner.launch, runner.submit):
            with pytest.raises(RunnerClosedError):
                await order(workload(2))
    with pytest.raises(RunnerClosedError, match="entered once"):
        await runner.__aenter__()


async def test_a_runner_that_was_never_entered_says_so():
    from podrunner.runner import AsyncPodRunner

    runner = AsyncPodRunner()
    for call in (runner.health, runner.poll_events, runner.pods, runner.events):
        with pytest.raises(RunnerClosedError, match="context manager"):
            call()
    await runner.close()


async def test_refused_deletions_are_tried_again_and_shown(cluster: Cluster):
    """Promise 4: no deletion is given up."""
    cluster.fail("DELETE", times=4, status=403, body=b'{"kind":"Status","reason":"Forbidden"}')
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await until(lambda: read_events(runner) and runner.health().deletes_failing == 1)
        assert len(cluster.pods) == 1


async def test_a_runner_that_lost_its_lease_acts_no_more(cluster: Cluster):
    """A3: fencing: another runner holds the lease."""
    async with running(cluster, owner="me", lease_duration_s=1.0) as runner:
        pod = await runner.launch(workload())
        lease = cluster.leases["podrunner-me"]
        body = {**lease, "spec": {**lease["spec"], "holderIdentity": "other"}}
        cluster._keep_lease("podrunner-me", body, 200)
        await until(lambda: runner.health().lease != "held")
        assert "other" in runner.health().lease
        with pytest.raises(OwnershipError, match="lost its lease"):
            await runner.launch(workload(2))
        cluster.play(pod.name)
        with pytest.raises(OwnershipError, match="lost its lease"):
            await pod.wait(5)
        assert kinds(runner) == ["created", "lost"]
        await runner.wait_all(5)
        assert len(cluster.pods) == 1
    assert "podrunner-me" in cluster.leases


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_request_that_waits_while_the_lease_is_lost_is_never_sent(cluster: Cluster, method: str):
    """A3: a launch, and a deletion, held back by the server's ``Retry-After``."""
    async with running(cluster, owner="me", lease_duration_s=1.0) as runner:
        pod = await runner.launch(workload())
        cluster.fail(method, status=429, headers={"Retry-After": "3"})

        async def act() -> None:
            with pytest.raises(OwnershipError, match="lost its lease"):
                await (pod.cancel() if method == "DELETE" else runner.launch(workload(2)))

        sent = cluster.count(method, "/pods") + 1
        async with anyio.create_task_group() as group:
            group.start_soon(act)
            await until(lambda: cluster.count(method, "/pods") == sent)
            lease = cluster.leases["podrunner-me"]
            taken = {**lease, "spec": {**lease["spec"], "holderIdentity": "other"}}
            cluster._keep_lease("podrunner-me", taken, 200)
        assert cluster.count(method, "/pods") == sent
        assert len(cluster.pods) == 1


async def test_an_adoption_that_waits_while_the_lease_is_lost_takes_no_pod(cluster: Cluster):
    """A3: a runner without its Lease owns no pod, also none that it was about to take over."""
    async with running(cluster, owner="old", on_exit="detach") as former:
        await former.launch(workload())
    async with running(cluster, owner="me", lease_duration_s=1.0) as runner:
        cluster.fail("PATCH", status=429, headers={"Retry-After": "3"})
        async with anyio.create_task_group() as group:
            group.start_soon(_refused_without_lease, runner.adopt)
            await until(lambda: cluster.count("PATCH") == 1)
            lease = cluster.leases["podrunner-me"]
            taken = {**lease, "spec": {**lease["spec"], "holderIdentity": "other"}}
            cluster._keep_lease("podrunner-me", taken, 200)
        assert cluster.count("PATCH") == 1
        (pod,) = cluster.pods.values()
        assert pod["metadata"]["annotations"]["podrunner.io/owner"] == "old"


async def _refused_without_lease(act: Callable[[], Awaitable[Any]]) -> None:
    with pytest.raises(OwnershipError, match="lost its lease"):
        await act()


@pytest.mark.parametrize("act", ["cancel", "delete"])
async def test_a_pod_that_was_left_to_another_runner_is_not_ended_in_silence(cluster: Cluster, act: str):
    """A3: the caller must not believe that the pod is ending."""
    async with running(cluster, owner="me", lease_duration_s=1.0) as runner:
        pod = await runner.launch(workload())
        run = runner.run(workload(2))
        await until(lambda: len(cluster.pods) == 2)
        lease = cluster.leases["podrunner-me"]
        cluster._keep_lease(
            "podrunner-me", {**lease, "spec": {**lease["spec"], "holderIdentity": "other"}}, 200
        )
        await until(lambda: runner.health().lease != "held")
        with pytest.raises(OwnershipError, match="lost its lease"):
            await getattr(pod, act)()
        with pytest.raises(OwnershipError, match="another runner goes on"):
            await run.cancel()
        assert not cluster.count("DELETE", "/pods")


@pytest.mark.parametrize("on_exit", ["drain", "cancel", "detach"])
async def test_a_kept_pod_is_not_deleted_by_a_runner_that_is_closed(cluster: Cluster, on_exit: str):
    async with running(cluster, delete_pods=False, on_exit=on_exit) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await pod.wait(5)
    with pytest.raises(RunnerClosedError, match="left pod"):
        await pod.delete()
    await pod.cancel()  # which has nothing to end
    assert cluster.pods


async def test_a_runner_that_left_its_pods_deletes_none_though_it_has_its_lease_still(cluster: Cluster):
    async with running(cluster, delete_pods=False) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await pod.wait(5)
        await runner.close("detach")
        with pytest.raises(RunnerClosedError, match="left pod"):
            await pod.delete()
        assert not cluster.count("DELETE", "/pods")


async def test_a_drain_launches_what_is_queued(cluster: Cluster):
    """Leaving normally loses no submission, not even one that waits for a slot."""
    async with anyio.create_task_group() as group:

        async def play() -> None:
            played: set[str] = set()
            while len(played) < 3:
                for _, name in list(cluster.pods):
                    if name not in played:
                        played.add(name)
                        cluster.play(name)
                await anyio.sleep(0.01)

        group.start_soon(play)
        async with running(cluster, on_exit="drain", max_active_pods=1) as runner:
            pods = [runner.submit(workload(n)) for n in range(3)]
    assert [pod.outcome.succeeded for pod in pods] == [True, True, True]


async def test_a_launch_that_waits_for_a_slot_makes_no_pod_after_the_close(cluster: Cluster):
    """Promise 4."""
    async with running(cluster, max_active_pods=1) as runner:
        await runner.launch(workload(1))
        async with anyio.create_task_group() as group:

            async def launch() -> None:
                with pytest.raises(RunnerClosedError):
                    await runner.launch(workload(2))

            group.start_soon(launch)
            await anyio.wait_all_tasks_blocked()
            await runner.close("cancel")
    assert not cluster.pods
    assert cluster.count("POST", "/pods") == 1


async def test_detach_wakes_who_waits_for_a_queued_submission(cluster: Cluster):
    async with running(cluster, max_active_pods=1) as runner:
        await runner.launch(workload(1))
        queued = runner.submit(workload(2))
    with pytest.raises(RunnerClosedError):
        await queued.wait(5)


async def test_nothing_is_remembered_of_pods_that_are_gone(cluster: Cluster):
    """A runner that lives for years does not grow."""
    async with running(cluster) as runner:
        await runner.launch_many(workload(n) for n in range(20))
        cluster.play_all()
        await until(lambda: read_events(runner) and not runner.pods())
        engine = runner._entered()
        supervisor, pods = engine._supervisor, engine.pods
        await until(lambda: not pods._by_name)
        monitor = supervisor._monitor
        for held in (
            pods.by_uid,
            pods._by_key,
            monitor._unseen,
            monitor._watched,
            supervisor._early,
            engine.runs._trying,
        ):
            assert not held
        assert (pods.active, pods.open, pods.undelivered) == (0, 0, 0)


async def test_a_crash_of_the_runner_itself_is_loud_and_quick(cluster: Cluster):
    """S1: no hang: the code that uses the runner gets the error."""

    async def crash() -> None:
        raise ZeroDivisionError

    with anyio.fail_after(5), pytest.raises(ExceptionGroup) as raised:  # noqa: PT012  # the way out
        async with running(cluster, on_exit="drain") as runner:
            await runner.launch(workload())
            runner._entered().tasks.start_soon(crash, name="crash")
            await anyio.sleep_forever()
    assert raised.group_contains(ZeroDivisionError)


async def test_an_orphan_of_a_cancelled_launch_is_swept(cluster: Cluster):
    """C1: the server created the pod long after the launch had looked for it."""
    cluster.fail("POST", delay_s=0.1, delay_reply_s=30)
    async with running(cluster) as runner:
        with anyio.move_on_after(0.05):
            await runner.launch(workload())
        assert not cluster.pods
        queue = runner._entered().queue
        plan = queue._builder.build(workload())
        name, launcher = plan.name, queue._launcher
        stamped = launcher._stamped(plan, plan.key)
        cluster._create("default", stamped)
        await until(lambda: ("default", name) not in cluster.pods)
