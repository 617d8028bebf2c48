"""Runs: one pod after another until one is the last, across restarts, and never one more after a cancel."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from podrunner.errors import OwnershipError, QueueFullError, RunnerClosedError
from podrunner.outcome import Category
from podrunner.runner import AsyncPodRunner, AsyncRun, RetryPolicy
from tests.unit.runner.harness import Cluster, kinds, read_events, running, until, workload

pytestmark = pytest.mark.anyio

QUICK = RetryPolicy(wait=0.01)
PATIENT = RetryPolicy(wait=3600)
ANY_END = RetryPolicy(attempts=3, wait=0.01, retry_if=lambda _: True)


def preempt(cluster: Cluster, name: str) -> None:
    """The pod makes room for another before its container ran."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    cluster.change(name, status={"phase": "Failed", "conditions": [condition]})


async def pod_of(run: AsyncRun, number: int) -> str:
    """The name of the run's pod, once it is there."""
    await until(lambda: len(run.pods) > number and run.pods[number].uid)
    return run.pods[number].name


def launches(run: AsyncRun) -> list[tuple[int, int]]:
    return [(pod.key.attempt, pod.key.relaunch) for pod in run.pods]


async def test_what_was_preempted_before_it_began_is_launched_anew_without_charge(cluster: Cluster):
    """P4: another pod of the same attempt."""
    async with running(cluster, delete_pods_on_failure=True) as runner:
        run = runner.run(workload(), retry=QUICK)
        preempt(cluster, await pod_of(run, 0))
        again = await pod_of(run, 1)
        assert run.outcome is None
        cluster.play(again)
        assert (await run.wait(5)).succeeded
        assert launches(run) == [(1, 0), (1, 1)]
        assert [pod.outcome and pod.outcome.category for pod in run.pods] == ["preempted", "succeeded"]
        await until(lambda: not cluster.pods)
        assert kinds(runner).count("finished") == 2


async def test_free_tries_have_a_budget(cluster: Cluster):
    """No cluster that preempts everything is asked for ever."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=RetryPolicy(infrastructure_retries=2, wait=0.01))
        for number in range(3):
            preempt(cluster, await pod_of(run, number))
        assert (await run.wait(5)).category is Category.PREEMPTED
        assert launches(run) == [(1, 0), (1, 1), (1, 2)]


async def test_a_failure_is_tried_again_when_asked_for(cluster: Cluster):
    """Each charged try is an attempt of its own."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=ANY_END)
        cluster.play(await pod_of(run, 0), exit_code=1)
        cluster.play(await pod_of(run, 1), exit_code=2)
        cluster.play(await pod_of(run, 2), exit_code=3)
        assert (await run.wait(5)).exit_code == 3
        assert launches(run) == [(1, 0), (2, 0), (3, 0)]
        assert run.key == run.pods[-1].key


async def test_by_default_a_failure_is_the_schedulers_business(cluster: Cluster):
    """Its own retries are the scheduler's."""
    async with running(cluster) as runner:
        run = runner.run(workload())
        cluster.play(await pod_of(run, 0), exit_code=1)
        assert (await run.wait(5)).exit_code == 1
        assert len(run.pods) == 1


async def test_the_configuration_says_how_runs_are_retried(cluster: Cluster):
    retry = {"infrastructure_retries": 1, "initial_s": 0.01, "max_s": 0.01}
    async with running(cluster, run_retry=retry) as runner:
        run = runner.run(workload())
        preempt(cluster, await pod_of(run, 0))
        preempt(cluster, await pod_of(run, 1))
        await run.wait(5)
        assert launches(run) == [(1, 0), (1, 1)]


async def test_between_two_tries_nothing_is_asked_of_the_server(cluster: Cluster):
    """W10: no hot loop."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=PATIENT)
        preempt(cluster, await pod_of(run, 0))
        await until(lambda: run.pods[0].outcome)
        await runner.wait_synced()
        await anyio.sleep(0.3)
        assert cluster.count("POST", "/pods") == 1
        assert run.outcome is None
        assert runner.health().runs == 1
        with pytest.raises(TimeoutError):
            await run.wait(0.01)


@pytest.mark.parametrize("anyio_backend", [pytest.param("trio", id="virtual")], indirect=True)
async def test_the_wait_is_as_long_as_the_policy_says(cluster: Cluster):
    """In virtual time."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=RetryPolicy(wait=100))
        preempt(cluster, await pod_of(run, 0))
        await until(lambda: run.pods[0].outcome)
        ended_at = anyio.current_time()
        with anyio.fail_after(200):
            while len(run.pods) < 2:
                await anyio.sleep(1)
        assert 99 <= anyio.current_time() - ended_at <= 102


async def test_a_run_that_is_cancelled_while_its_pod_runs_has_no_further_try(cluster: Cluster):
    """C3: one path."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=ANY_END)
        cluster.run(await pod_of(run, 0))
        await run.cancel(grace_period_s=1)
        assert (await run.wait(5)).category is Category.CANCELLED
        await until(lambda: not cluster.pods)
        assert len(run.pods) == 1


async def test_a_pod_that_fails_as_its_run_is_cancelled_is_not_followed_by_another(cluster: Cluster):
    """C3: the pod had ended by itself before the deletion came; the cancel still counts."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=ANY_END)
        cluster.finish(await pod_of(run, 0), 1)
        await run.cancel()
        await run.wait(5)
        await anyio.sleep(0.1)
        assert len(run.pods) == 1


async def test_a_run_that_is_cancelled_between_two_tries_is_over_at_once(cluster: Cluster):
    """C1: its outcome is that of the pod before."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=PATIENT)
        preempt(cluster, await pod_of(run, 0))
        await until(lambda: run.pods[0].outcome)
        with anyio.fail_after(5):
            await run.cancel()
        assert run.outcome is not None
        assert run.outcome.category is Category.PREEMPTED
        assert cluster.count("POST", "/pods") == 1
        await run.cancel()


async def test_an_end_in_the_instant_in_which_there_is_room_has_no_further_try(cluster: Cluster):
    """C1: a task that was woken goes on to its next wait before it is cancelled.

    White box: the two are made to happen in one step.
    """
    async with running(cluster, max_active_pods=1, submit_queue_size=1) as runner:
        run = runner.run(workload(0), retry=RetryPolicy(wait=0))
        name = await pod_of(run, 0)
        queue, runs = runner._engine.queue, runner._engine.runs
        waiting = [runner.submit(workload(number)) for number in (1,)]
        former = run.pods[0]._tracked
        former.begin_reading()
        preempt(cluster, name)
        await until(lambda: waiting[0].uid)
        waiting.append(runner.submit(workload(2)))
        former.end_reading()
        await anyio.sleep(0.1)
        await waiting[1].cancel()
        queue._queue.clear()
        runner._engine.pods.notify()
        runs.stop(relinquish=False)
        assert (await run.wait(5)).category is Category.PREEMPTED
        await anyio.sleep(0.1)
        assert len(run.pods) == 1
        assert not queue._queue


async def test_a_queued_run_is_cancelled(cluster: Cluster):
    async with running(cluster, max_active_pods=1) as runner:
        first, second = runner.run(workload(1)), runner.run(workload(2))
        await pod_of(first, 0)
        await second.cancel()
        assert (await second.wait(5)).category is Category.CANCELLED


async def test_a_pod_that_its_caller_cancels_ends_its_run(cluster: Cluster):
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=ANY_END)
        await pod_of(run, 0)
        assert run.pod is not None
        await run.pod.cancel()
        assert (await run.wait(5)).category is Category.CANCELLED


async def test_a_workload_that_is_being_run_is_not_run_beside(cluster: Cluster):
    """Promise 1."""
    async with running(cluster) as runner:
        run = runner.run(workload())
        assert runner.run(workload()) == run
        await pod_of(run, 0)
        assert cluster.count("POST", "/pods") == 1


async def test_draining_waits_for_the_tries_that_are_left(cluster: Cluster):
    """What was taken is done: a run is, when its last pod is over."""
    async with running(cluster, on_exit="drain") as runner:
        run = runner.run(workload(), retry=RetryPolicy(wait=0.2))
        preempt(cluster, await pod_of(run, 0))
        await until(lambda: run.pods[0].outcome)

        async def play_the_second() -> None:
            cluster.play(await pod_of(run, 1))

        async with anyio.create_task_group() as group:
            group.start_soon(play_the_second)
            await runner.close("drain")
        assert run.outcome is not None
        assert run.outcome.succeeded


async def test_closing_by_cancel_ends_a_run_between_two_tries(cluster: Cluster):
    """S1: bounded."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=PATIENT)
        preempt(cluster, await pod_of(run, 0))
        await until(lambda: run.pods[0].outcome)
        with anyio.fail_after(20):
            await runner.close("cancel")
        assert (await run.wait(1)).category is Category.PREEMPTED
        assert cluster.count("POST", "/pods") == 1


@pytest.mark.parametrize("moment", ["running", "between"])
async def test_a_runner_that_detaches_leaves_its_runs(cluster: Cluster, moment: str):
    """A5: no outcome is given where a successor goes on."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=PATIENT)
        name = await pod_of(run, 0)
        if moment == "between":
            preempt(cluster, name)
            await until(lambda: run.pods[0].outcome)
        await runner.close("detach")
        with pytest.raises(RunnerClosedError, match="successor"):
            await run.wait(1)
        assert run.outcome is None


async def test_the_next_try_waits_until_the_former_pods_log_is_read(cluster: Cluster):
    """G4: two pods never write one log at once."""
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=QUICK)
        name = await pod_of(run, 0)
        former = run.pods[0]._tracked
        former.begin_reading()
        preempt(cluster, name)
        await until(lambda: run.pods[0].outcome)
        await anyio.sleep(0.3)
        assert len(run.pods) == 1
        former.end_reading()
        await pod_of(run, 1)


async def test_a_runner_that_loses_its_lease_gives_its_runs_up(cluster: Cluster):
    """A3: also those between two tries, which a successor goes on with."""
    async with running(cluster, owner="me", lease_duration_s=1) as runner:
        run = runner.run(workload(), retry=PATIENT)
        preempt(cluster, await pod_of(run, 0))
        await until(lambda: run.pods[0].outcome)
        lease = cluster.leases["podrunner-me"]
        other = {**lease, "spec": {**lease["spec"], "holderIdentity": "other"}}
        cluster._keep_lease("podrunner-me", other, 200)
        with pytest.raises(OwnershipError, match="another runner goes on"):
            await run.wait(30)
        assert cluster.count("POST", "/pods") == 1


async def leave_a_run(cluster: Cluster, *exit_codes: int, **settings: Any) -> None:
    """A runner runs so many tries that fail, and goes while the next is there."""
    async with running(cluster, owner="first", **settings) as runner:
        run = runner.run(workload(), retry=ANY_END)
        for number, exit_code in enumerate(exit_codes):
            cluster.play(await pod_of(run, number), exit_code)
        await pod_of(run, len(exit_codes))


async def adopted_run(runner: AsyncPodRunner) -> AsyncRun:
    await runner.adopt()
    return runner.run(workload(), retry=ANY_END)


async def test_a_successor_goes_on_with_the_newest_attempt(cluster: Cluster):
    """A5: from labels and annotations alone."""
    await leave_a_run(cluster, 1)
    async with running(cluster, owner="second") as runner:
        run = await adopted_run(runner)
        assert launches(run) == [(2, 0)]
        cluster.play(await pod_of(run, 0), exit_code=5)
        cluster.play(await pod_of(run, 1), exit_code=6)
        assert (await run.wait(5)).exit_code == 6
        assert launches(run) == [(2, 0), (3, 0)]


async def test_a_successor_counts_a_failed_pod_that_was_reported_and_kept(cluster: Cluster):
    """A5: the runner went between two tries; the failed pod says which was the last."""
    async with running(cluster, owner="first") as runner:
        first = runner.run(workload())
        cluster.play(await pod_of(first, 0), exit_code=1)
        await first.wait(5)
        await until(
            lambda: "podrunner.io/told" in cluster.pods["default", name_of(first)]["metadata"]["annotations"]
        )
    async with running(cluster, owner="second") as runner:
        run = await adopted_run(runner)
        cluster.play(await pod_of(run, 0))
        assert (await run.wait(5)).succeeded
        assert launches(run) == [(2, 0)]


def name_of(run: AsyncRun) -> str:
    assert run.pod is not None
    return run.pod.name


async def test_a_successor_does_not_run_again_what_succeeded(cluster: Cluster):
    """Promise 1: the pod that was kept says so."""
    async with running(cluster, owner="first", delete_pods=False) as runner:
        run = runner.run(workload())
        cluster.play(await pod_of(run, 0))
        await run.wait(5)
        await runner.wait_all(5)
    async with running(cluster, owner="second") as runner:
        run = await adopted_run(runner)
        assert (await run.wait(5)).succeeded
        assert run.pods == []
        assert cluster.count("POST", "/pods") == 1


async def test_what_ended_before_its_run_was_asked_for_counts(cluster: Cluster):
    """Promise 2: the adopted pod was reported, deleted and forgotten by the time."""
    await leave_a_run(cluster, 1, delete_pods_on_failure=True)
    async with running(cluster, owner="second", delete_pods_on_failure=True) as runner:
        (pod,) = await runner.adopt()
        cluster.play(pod.name, exit_code=1)
        await until(lambda: read_events(runner) and not runner.pods())
        run = runner.run(workload(), retry=ANY_END)
        cluster.play(await pod_of(run, 1))
        assert (await run.wait(5)).succeeded
        assert launches(run) == [(2, 0), (3, 0)]


async def test_a_later_attempt_than_was_left_is_begun(cluster: Cluster):
    """The scheduler knows more than the pods."""
    await leave_a_run(cluster, 1)
    async with running(cluster, owner="second") as runner:
        await runner.adopt()
        later = workload().of_try(workload().key.next_attempt().next_attempt())
        run = runner.run(later)
        await pod_of(run, 0)
        assert launches(run) == [(3, 0)]


async def test_submitting_what_was_adopted_gives_the_adopted_pod(cluster: Cluster):
    """Promise 2: the handle gets the outcome."""
    async with running(cluster) as runner:
        await runner.launch(workload())
    async with running(cluster) as runner:
        (adopted,) = await runner.adopt()
        pod = runner.submit(workload())
        assert pod == adopted
        cluster.play(adopted.name)
        assert (await pod.wait(5)).succeeded


async def test_a_policy_that_raises_retries_nothing(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    """W11: a caller's function cannot kill the runner."""

    def broken(_: object) -> bool:
        raise ZeroDivisionError

    async with running(cluster) as runner:
        run = runner.run(workload(), retry=RetryPolicy(attempts=2, retry_if=broken))
        cluster.play(await pod_of(run, 0), exit_code=1)
        assert (await run.wait(5)).exit_code == 1
        assert "the retry policy failed" in caplog.text


async def test_a_create_that_fails_is_tried_again_for_free(cluster: Cluster):
    """L3, L7: a server that failed until the tries were used up is infrastructure."""
    async with running(cluster) as runner:
        cluster.fail("POST", times=3, status=500)
        run = runner.run(workload(), retry=QUICK)
        cluster.play(await pod_of(run, 1))
        assert (await run.wait(5)).succeeded
        assert launches(run) == [(1, 0), (1, 1)]


async def test_a_workload_that_makes_no_later_try_ends_its_run(cluster: Cluster):
    """L6: the hook refuses; that is reported, and there is no endless wait."""

    def refuse_relaunches(pod: dict[str, Any]) -> None:
        if len(cluster.pods) > 0:
            raise ValueError("no more")

    async with running(cluster, pod_hook=refuse_relaunches) as runner:
        run = runner.run(workload(), retry=QUICK)
        preempt(cluster, await pod_of(run, 0))
        outcome = await run.wait(5)
        assert outcome.category is Category.REJECTED_BY_API
        assert "no more" in outcome.message


async def test_a_full_line_is_waited_for(cluster: Cluster):
    """Flow: `submit_when_room` waits where `submit` raises."""
    async with running(cluster, max_active_pods=1, submit_queue_size=2) as runner:
        pods = [runner.submit(workload(0))]
        await until(lambda: pods[0].uid)
        pods += [runner.submit(workload(number)) for number in (1, 2)]
        with pytest.raises(QueueFullError):
            runner.submit(workload(3))
        with pytest.raises(TimeoutError):
            await runner.submit_when_room(workload(3), timeout_s=0.01)
        async with anyio.create_task_group() as group:

            async def submit() -> None:
                pods.append(await runner.submit_when_room(workload(3)))

            group.start_soon(submit)
            await anyio.sleep(0.05)
            assert len(pods) == 3
            cluster.play(pods[0].name)
        assert len(pods) == 4
        for pod in pods[1:]:
            await until(lambda pod=pod: pod.uid)
            cluster.play(pod.name)
            assert (await pod.wait(5)).succeeded


async def test_a_wait_for_room_ends_when_the_runner_closes(cluster: Cluster):
    """S1: no endless wait."""
    async with running(cluster, max_active_pods=1, submit_queue_size=1) as runner:
        first = runner.submit(workload(0))
        await until(lambda: first.uid)
        runner.submit(workload(1))
        async with anyio.create_task_group() as group:

            async def close() -> None:
                await anyio.sleep(0.05)
                await runner.close("drain")

            group.start_soon(close)
            with anyio.fail_after(2), pytest.raises(RunnerClosedError):
                await runner.submit_when_room(workload(2))
            group.cancel_scope.cancel()
