"""The same attempt again: a restarted program finds the pod of its predecessor."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import anyio
import pytest
from podrunner.builder.labels import LOG_PATH, OUTCOME, OUTCOME_FINALIZER, OWNER, REPORTED
from podrunner.errors import AttemptEndedError, AttemptOwnedError, OwnershipError, RunnerClosedError
from podrunner.outcome import Category
from podrunner.ownership import LeaseKeeper, ScopeReader
from podrunner.runner import AsyncPodRunner, EventKind, RetryPolicy, RunnerEvent
from podrunner.runner.supervisor import Supervisor
from podrunner.workload import Workload
from tests.support.fake_server import EPOCH
from tests.unit.runner.harness import Cluster, kinds, running, until, workload

pytestmark = pytest.mark.anyio

LEASE_S = 65.0
"""A Lease of 60 s, and the difference of clocks."""


def virtual_now() -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=anyio.current_time() % 1_000_000)


@pytest.fixture(autouse=True)
def time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day is the loop's: Leases end in virtual time, and the pods' times are the server's."""
    for place in (LeaseKeeper, ScopeReader, Supervisor):
        monkeypatch.setitem(place.__init__.__kwdefaults__, "now", virtual_now)


@asynccontextmanager
async def predecessor(
    cluster: Cluster, *, dead: bool = False, **settings: Any
) -> AsyncIterator[AsyncPodRunner]:
    """A runner that goes, and leaves its pods: by `detach`, or, ``dead``, its Lease too, as one that was killed."""
    async with running(cluster, on_exit="detach", **{"owner": "old", **settings}) as runner:
        yield runner
        lease = deepcopy(cluster.leases["podrunner-old"])
    if dead:
        cluster.leases["podrunner-old"] = lease


async def leave_pod(cluster: Cluster, given: Workload | None = None, **settings: Any) -> str:
    """A predecessor's pod is there; its name."""
    async with predecessor(cluster, **settings) as old:
        return (await old.launch(given or workload())).name


async def leave_reported(cluster: Cluster, exit_code: int = 3, given: Workload | None = None) -> str:
    """A predecessor's pod is there, over, reported and kept; its name."""
    async with predecessor(cluster, delete_pods=False) as old:
        pod = await old.launch(given or workload())
        cluster.play(pod.name, exit_code)
        await pod.wait(5)
        await until(lambda: REPORTED in cluster.pods["default", pod.name]["metadata"]["annotations"])
        return pod.name


def owner_of(cluster: Cluster, name: str) -> str:
    return cluster.pods["default", name]["metadata"]["annotations"][OWNER]


def renew(cluster: Cluster) -> None:
    """The predecessor's Lease is renewed."""
    now = virtual_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    cluster.leases["podrunner-old"]["spec"]["renewTime"] = now


def creates(cluster: Cluster) -> int:
    return cluster.count("POST", "/pods")


def finished(runner: AsyncPodRunner) -> list[RunnerEvent]:
    return [event for event in runner.poll_events() if event.kind is EventKind.FINISHED]


# The owner is gone


@pytest.mark.parametrize("way", ["launch", "launch_many", "submit", "run"])
async def test_the_pod_of_a_runner_that_is_gone_is_taken_over(cluster: Cluster, way: str):
    """H2: by each way; it goes on as an adopted one."""
    name = await leave_pod(cluster)
    cluster.run(name)
    async with running(cluster) as runner:
        match way:
            case "launch":
                pod = await runner.launch(workload())
            case "launch_many":
                (pod,) = await runner.launch_many([workload()])
            case "submit":
                pod = runner.submit(workload())
            case _:
                pod = runner.run(workload()).pod
        assert pod is not None
        await until(lambda: pod.uid)
        assert owner_of(cluster, name) == runner.owner
        assert kinds(runner) == ["adopted"]
        cluster.finish(name, 3)
        assert (await pod.wait(5)).exit_code == 3
        assert not pod.replayed
        (event,) = finished(runner)
        assert not event.replayed
    assert creates(cluster) == 2, "its own, and one that was refused"
    assert len(cluster.pods) == 1


async def test_what_a_takeover_costs(cluster: Cluster):
    """H2: the refused create, a look, and the swap for each pod; the owner's Lease is read once for all."""
    async with predecessor(cluster) as old:
        await old.launch_many(workload(n) for n in range(10))
    before = len(cluster.requests)
    async with running(cluster) as runner:
        batch = await runner.launch_many(workload(n) for n in range(10))
        requests = cluster.requests[before:]
        assert not batch.errors
        count = {
            verb: sum(method == verb and "/pods" in target for _, method, target in requests)
            for verb in ("POST", "PATCH", "DELETE")
        }
        assert count == {"POST": 10, "PATCH": 10, "DELETE": 0}
        assert sum("/pods/" in target and method == "GET" for _, method, target in requests) == 10
        assert sum("/leases/" in target and method == "GET" for _, method, target in requests) == 1


async def test_a_takeover_prolongs_no_deadline(cluster: Cluster):
    """H2, A4: the time counts from the pod's own start."""
    name = await leave_pod(cluster, run_timeout_s=100)
    cluster.run(name)
    await anyio.sleep(90)
    async with running(cluster, run_timeout_s=100) as runner:
        pod = await runner.launch(workload())
        began = anyio.current_time()
        assert (await pod.wait(60)).category is Category.DEADLINE
        assert anyio.current_time() - began < 30


async def test_a_restart_under_the_same_name_prolongs_no_deadline(cluster: Cluster):
    """H2, A5: our own pods of an earlier process are adopted in the same way."""
    name = await leave_pod(cluster, owner="old", run_timeout_s=100)
    cluster.run(name)
    await anyio.sleep(90)
    async with running(cluster, owner="old", run_timeout_s=100) as runner:
        patches = cluster.count("PATCH")
        pod = await runner.launch(workload())
        assert cluster.count("PATCH") == patches, "no swap"
        assert kinds(runner) == ["adopted"]
        began = anyio.current_time()
        assert (await pod.wait(60)).category is Category.DEADLINE
        assert anyio.current_time() - began < 30


async def test_a_pod_that_runs_is_taken_over_though_the_workload_changed(cluster: Cluster):
    """H2: the work that runs is not begun a second time; its own main container and log path count."""
    name = await leave_pod(cluster, Workload(key={"n": "1"}, command=["true"], container_name="first"))
    cluster.tell(name, "Running", first={"running": {}})
    async with running(cluster) as runner:
        pod = await runner.launch(Workload(key={"n": "1"}, command=["false"], log_path="other/1.log"))
        assert pod.log_path == cluster.pods["default", name]["metadata"]["annotations"][LOG_PATH]
        assert pod.log_path != "other/1.log"
        cluster.tell(name, "Failed", first={"terminated": {"exitCode": 7, "reason": "Error"}})
        outcome = await pod.wait(5)
        assert (outcome.container, outcome.exit_code) == ("first", 7)


async def test_a_pod_whose_status_changes_meanwhile_is_taken_over_all_the_same(cluster: Cluster):
    """H2, A1: a kubelet's write makes a swap void, and it is made again."""
    name = await leave_pod(cluster)
    async with running(cluster) as runner:
        cluster.fail("PATCH", times=2, status=409)
        pod = await runner.launch(workload())
        assert owner_of(cluster, name) == runner.owner
        cluster.play(name)
        assert (await pod.wait(5)).succeeded


async def test_a_pod_that_never_stands_still_is_refused_in_the_end(cluster: Cluster):
    """H2, A1: the number of swaps is bounded."""
    await leave_pod(cluster)
    async with running(cluster) as runner:
        cluster.fail("PATCH", times=99, status=409)
        with pytest.raises(AttemptOwnedError, match="keeps changing"):
            await runner.launch(workload())


async def test_of_two_runners_that_launch_it_one_has_it(cluster: Cluster):
    """H2, A1: compare and swap; the other one is told whose it is."""
    await leave_pod(cluster)
    async with running(cluster, owner="a") as first, running(cluster, owner="b") as second:
        pods = [runner.submit(workload()) for runner in (first, second)]
        await until(lambda: any(pod.uid for pod in pods))
        winner = next(pod for pod in pods if pod.uid)
        loser = next(pod for pod in pods if pod is not winner)
        with pytest.raises(AttemptOwnedError):
            await loser.wait(60)
        cluster.play(winner.name)
        assert (await winner.wait(5)).succeeded
        assert creates(cluster) == 3


async def test_a_pending_pod_gets_the_secret_that_its_launch_did_not_come_to_make(cluster: Cluster):
    """H2, C4."""
    given = workload(credentials={"token": "hidden"})
    await leave_pod(cluster, given)
    cluster.secrets.clear()
    async with running(cluster) as runner:
        await runner.launch(given)
        (secret,) = cluster.secrets.values()
        assert secret["metadata"]["ownerReferences"][0]["name"] == next(iter(cluster.pods))[1]


async def test_a_secret_that_is_refused_leaves_the_pod(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    """H2, C4."""
    given = workload(credentials={"token": "hidden"})
    name = await leave_pod(cluster, given)
    async with running(cluster) as runner:
        cluster.fail("POST", "/secrets", times=9, status=403)
        pod = await runner.launch(given)
        assert pod.name == name
        assert "may wait for its Secret" in caplog.text


# Its Lease still counts


async def test_a_lease_that_still_counts_is_waited_out(cluster: Cluster):
    """H2: then the pod is taken over; no create is sent meanwhile."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:
        launched, submitted = [], runner.submit(workload(1))

        async def launch() -> None:
            launched.append(await runner.launch(workload()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(launch)
            await anyio.sleep(LEASE_S - 2)
            assert not launched
            assert owner_of(cluster, name) == "old"
            assert creates(cluster) == 2
        await until(lambda: submitted.uid)
        assert launched[0].uid == submitted.uid
        assert owner_of(cluster, name) == runner.owner
        assert creates(cluster) == 2


async def test_there_is_one_wait_for_all_pods_of_an_owner(cluster: Cluster):
    """H2: the Lease is read once a second, however many launches wait, and nothing else is asked."""
    async with predecessor(cluster, dead=True) as old:
        await old.launch_many(workload(n) for n in range(30))
    async with running(cluster) as runner:
        pods = [runner.submit(workload(n)) for n in range(20)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.launch_many, [workload(n) for n in range(20, 30)])
            await anyio.sleep(5)
            before = len(cluster.requests)
            await anyio.sleep(10)
            requests = cluster.requests[before:]
            assert 9 <= sum("/leases/podrunner-old" in target for _, _, target in requests) <= 11
            assert not [target for _, _, target in requests if "/pods" in target]
            assert "30 for the Lease of runner 'old'" in runner.health().launches_wait_for
        await until(lambda: all(pod.uid for pod in pods))
        assert {owner_of(cluster, name) for _, name in cluster.pods} == {runner.owner}
        assert len(cluster.pods) == 30


async def test_what_waits_for_a_lease_holds_nothing_that_others_need(cluster: Cluster):
    """H2: neither a worker, a permit, a connection nor a place of ``max_active_pods``."""
    async with predecessor(cluster, dead=True) as old:
        await old.launch_many(workload(n) for n in range(12))
    async with running(cluster, connections=2, max_active_pods=3) as runner:
        for n in range(6):
            runner.submit(workload(n))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.launch_many, [workload(n) for n in (*range(6, 12), 100)])
            submitted = runner.submit(workload(101))
            launched = await runner.launch(workload(102))
            await until(lambda: len(runner.pods()) == 3)
            assert {pod.key.parts["n"] for pod in runner.pods()} == {"100", "101", "102"}
            assert runner.health().active == 3
            assert submitted.uid
            assert launched.uid
            assert {owner_of(cluster, name) for _, name in cluster.pods} == {"old", runner.owner}
            tasks.cancel_scope.cancel()


async def test_the_wait_for_room_counts_what_waits_for_a_lease(cluster: Cluster):
    """Each queue is bounded."""
    async with predecessor(cluster, dead=True) as old:
        await old.launch_many(workload(n) for n in range(3))
    async with running(cluster, submit_queue_size=3) as runner:
        for n in range(3):
            runner.submit(workload(n))
        await anyio.sleep(1)
        with pytest.raises(TimeoutError):
            await runner.submit_when_room(workload(7), timeout_s=5)
        pod = await runner.submit_when_room(workload(7))
        await until(lambda: pod.uid)


async def test_those_that_waited_keep_their_turn(cluster: Cluster):
    """A submission whose owner is gone is the next one of its group."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster, max_active_pods=1) as runner:
        waits = runner.submit(workload())
        await anyio.sleep(1)
        runs = runner.submit(workload(5))
        await until(lambda: runs.uid)
        later = runner.submit(workload(6))
        await anyio.sleep(LEASE_S + 5)
        assert not later.uid
        cluster.play(runs.name)
        await until(lambda: waits.uid)
        assert owner_of(cluster, name) == runner.owner
        assert not later.uid


async def test_a_living_owner_keeps_its_pod(cluster: Cluster):
    """H2: the error says whose it is, until when, and what to do; a submission has the event ``lost``."""
    async with running(cluster, owner="old") as old, running(cluster) as runner:
        pod = await old.launch(workload())
        submitted = runner.submit(workload())
        with pytest.raises(AttemptOwnedError, match="'old' owns this attempt") as caught:
            await runner.launch(workload())
        assert isinstance(caught.value, OwnershipError)
        assert caught.value.owner == "old"
        assert caught.value.lease_ends is not None
        assert caught.value.lease_ends > virtual_now()
        with pytest.raises(AttemptOwnedError) as same:
            await submitted.wait(1)
        assert submitted.launch_error is same.value
        assert submitted.outcome is None
        (event,) = runner.poll_events()
        assert (event.kind, event.message) == (EventKind.LOST, str(same.value))
        assert creates(cluster) == 2
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        assert kinds(old) == ["created", "finished"], "it heard of nothing"


async def test_an_owner_that_renews_while_it_is_waited_for_is_alive(cluster: Cluster):
    """H2: it was only slow; within a second of the renewal all that wait know."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        await anyio.sleep(30)
        assert pod.launch_error is None
        renew(cluster)
        await anyio.sleep(1.5)
        with pytest.raises(AttemptOwnedError):
            await pod.wait(1)
        assert owner_of(cluster, name) == "old"


async def test_after_a_living_owner_has_ended_the_same_runner_has_the_pod(cluster: Cluster):
    """H2: an attempt that was lost is not remembered as lost."""
    async with running(cluster) as runner:
        async with running(cluster, owner="old") as old:
            await old.launch(workload())
            with pytest.raises(AttemptOwnedError):
                await runner.launch(workload())
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded


async def test_of_a_batch_each_lost_attempt_is_lost(cluster: Cluster):
    """H2: never ``rejected-by-api``; the others are launched."""
    async with running(cluster, owner="old") as old, running(cluster) as runner:
        await old.launch(workload(1))
        batch = await runner.launch_many([workload(1), workload(2)])
        (failure,) = batch.errors
        assert failure.index == 0
        assert isinstance(failure.error, AttemptOwnedError)
        with pytest.raises(AttemptOwnedError):
            await batch[0].wait(1)
        assert batch[1].uid
        assert kinds(runner) == ["created", "lost"]


async def test_a_run_whose_first_try_is_lost_is_lost(cluster: Cluster):
    """H2: another runner goes on with it."""
    async with running(cluster, owner="old") as old, running(cluster) as runner:
        await old.launch(workload())
        run = runner.run(workload(), retry=RetryPolicy(attempts=3))
        with pytest.raises(AttemptOwnedError, match="'old' owns"):
            await run.wait(60)
        assert run.outcome is None
        assert len(run.pods) == 1


async def test_without_an_answer_about_the_lease_the_pod_is_left(cluster: Cluster):
    """H2, A2: no runner is taken for gone for want of an answer, nor is the attempt told as refused."""
    name = await leave_pod(cluster)
    async with running(cluster) as runner:
        cluster.fail(
            "GET", "/leases", times=99, status=403, body=b'{"kind": "Status", "reason": "Forbidden"}'
        )
        pod = runner.submit(workload())
        with pytest.raises(AttemptOwnedError, match="could not be read"):
            await pod.wait(5)
        assert owner_of(cluster, name) == "old"


@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("verb", ["GET", "PATCH"])
async def test_a_pod_that_cannot_be_read_or_taken_over_is_no_launch_that_came_to_nothing(
    cluster: Cluster, verb: str, status: int
):
    """H2: else a run would begin its work in another pod, as after a refused create."""
    name = await leave_pod(cluster)
    cluster.run(name)
    async with running(cluster) as runner:
        cluster.fail(verb, "/pods/", times=99, status=status)
        run = runner.run(workload(), retry=RetryPolicy(infrastructure_retries=3, wait=0))
        with pytest.raises(AttemptOwnedError, match="could not be read or taken over"):
            await run.wait(10)
        with pytest.raises(AttemptOwnedError) as caught:
            await runner.launch(workload())
        assert str(status) in str(caught.value.__cause__)
        assert len(cluster.pods) == 1


async def test_a_pod_that_vanishes_while_its_owner_is_waited_for_is_not_created_anew(cluster: Cluster):
    """H2: a third runner may have adopted, reported and deleted it; the caller may launch it again."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        await anyio.sleep(10)
        cluster.play(name)
        cluster.remove(name)
        with pytest.raises(AttemptOwnedError, match=r"is gone.*launch it again"):
            await pod.wait(LEASE_S)
        assert creates(cluster) == 2
        again = await runner.launch(workload())
        assert creates(cluster) == 3
        assert again.uid


@pytest.mark.parametrize("started", [True, False])
async def test_a_pod_that_vanishes_at_the_swap_is_not_created_anew(cluster: Cluster, started: bool):  # noqa: FBT001
    """H2: as above, without a wait: the look at it may be old by then."""
    name = await leave_pod(cluster)
    if started:
        cluster.run(name)
    async with running(cluster) as runner:
        cluster.fail("PATCH", delay_s=2)
        pod = runner.submit(workload())
        await anyio.sleep(1)
        cluster.remove(name)
        with pytest.raises(AttemptOwnedError, match="is gone") as caught:
            await pod.wait(5)
        assert caught.value.owner == "old"
        assert creates(cluster) == 2


async def test_a_pod_that_another_runner_adopts_meanwhile_is_that_ones(cluster: Cluster):
    """H2, A1: its Lease is the one that counts then."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster) as runner, running(cluster, owner="third") as third:
        pod = runner.submit(workload())
        await anyio.sleep(LEASE_S - 20)
        cluster.change(name, metadata={"labels": {OWNER: "third"}, "annotations": {OWNER: "third"}})
        with pytest.raises(AttemptOwnedError, match="'third' owns"):
            await pod.wait(120)
        assert owner_of(cluster, name) == third.owner


async def test_a_pod_that_this_runner_adopts_meanwhile_is_the_handles(cluster: Cluster):
    """H2: whichever is first, the launch or the adoption, there is one handle."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:
        submitted, launched = runner.submit(workload()), []

        async def launch() -> None:
            launched.append(await runner.launch(workload()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(launch)
            await anyio.sleep(10)
            del cluster.leases["podrunner-old"]
            await runner.adopt()
        assert launched[0].uid == submitted.uid != ""
        cluster.play(name)
        assert (await submitted.wait(5)).succeeded
        await runner.wait_all(5)
        assert kinds(runner).count("finished") == 1


@pytest.mark.parametrize("way", ["launch", "launch_many", "submit"])
async def test_a_pod_that_is_adopted_while_its_lease_is_being_read_is_the_launchs(cluster: Cluster, way: str):
    """H2: the answer that its owner's Lease still counts comes too late to matter."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:
        cluster.fail("GET", "/leases/podrunner-old", delay_reply_s=3)
        pods: list[Any] = []

        async def launch() -> None:
            match way:
                case "launch":
                    pods.append(await runner.launch(workload()))
                case "launch_many":
                    pods.extend(await runner.launch_many([workload()]))
                case _:
                    pods.append(runner.submit(workload()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(launch)
            await anyio.sleep(1)
            del cluster.leases["podrunner-old"]
            (adopted,) = await runner.adopt()
        await anyio.sleep(5)
        assert pods[0].uid == adopted.uid
        cluster.play(name)
        assert (await pods[0].wait(5)).succeeded
        await runner.wait_all(1)


# Ending what waits


async def waiting(cluster: Cluster, runner: AsyncPodRunner) -> Any:
    """A submission that waits for a Lease."""
    pod = runner.submit(workload())
    await anyio.sleep(3)
    assert not pod.uid
    return pod


async def test_a_submission_that_is_cancelled_while_it_waits_ends_nothing_of_the_owners(cluster: Cluster):
    """H2, C1: it is no end of the pod, which goes on; so no outcome is invented."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:
        pod = await waiting(cluster, runner)
        with pytest.raises(AttemptOwnedError, match="was cancelled"):
            await pod.cancel()
        with pytest.raises(AttemptOwnedError, match="was cancelled"):
            await pod.wait(1)
        assert kinds(runner) == ["lost"]
        before = len(cluster.requests)
        await runner.wait_all(1)
        await anyio.sleep(LEASE_S)
        assert not [target for _, _, target in cluster.requests[before:] if "podrunner-old" in target]
        assert owner_of(cluster, name) == "old"


async def test_a_launch_that_is_cancelled_while_it_waits_leaves_the_pod(cluster: Cluster):
    """H2, C1: from outside, such as by a time limit."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:
        with anyio.move_on_after(5) as scope:
            await runner.launch(workload())
        assert scope.cancelled_caught
        assert cluster.count("DELETE", "/pods") == 0
        await runner.wait_all(1)
        await anyio.sleep(LEASE_S)
        assert owner_of(cluster, name) == "old"
        pod = await runner.launch(workload())
        assert owner_of(cluster, name) == runner.owner
        assert pod.name == name


async def test_a_launch_that_waits_can_be_cancelled_by_another_handle(cluster: Cluster):
    """H2, C1: both calls say so."""
    await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:

        async def launch() -> None:
            with pytest.raises(AttemptOwnedError, match="was cancelled"):
                await runner.launch(workload())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(launch)
            await anyio.sleep(3)
            with pytest.raises(AttemptOwnedError):
                await runner.submit(workload()).cancel()


async def test_a_run_that_is_cancelled_while_it_waits_is_the_owners(cluster: Cluster):
    """H2, C1."""
    await leave_pod(cluster, dead=True)
    async with running(cluster) as runner:
        run = runner.run(workload())
        await anyio.sleep(3)
        with pytest.raises(AttemptOwnedError, match="was cancelled"):
            await run.cancel()


async def test_closing_by_cancel_leaves_what_waits_to_its_owner(cluster: Cluster):
    """H2, C2: at once, and without an end of the pod."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster, on_exit="cancel") as runner:
        pod = await waiting(cluster, runner)
        began = anyio.current_time()
    assert anyio.current_time() - began < 5
    assert pod.outcome is None
    with pytest.raises(AttemptOwnedError):
        await pod.wait(1)
    assert owner_of(cluster, name) == "old"


async def test_closing_by_detach_leaves_what_waits_to_its_owner(cluster: Cluster):
    """H2, C2."""
    name = await leave_pod(cluster, dead=True)
    async with running(cluster, on_exit="detach") as runner:
        pod = await waiting(cluster, runner)
        began = anyio.current_time()
    assert anyio.current_time() - began < 5
    with pytest.raises(RunnerClosedError):
        await pod.wait(1)
    assert owner_of(cluster, name) == "old"


async def test_closing_by_drain_waits_for_it(cluster: Cluster):
    """H2, C2: a submission is work that is not done."""
    name = await leave_pod(cluster, dead=True)
    async with anyio.create_task_group() as tasks:

        async def play() -> None:
            await until(lambda: owner_of(cluster, name) != "old", within_s=100)
            cluster.play(name)

        tasks.start_soon(play)
        async with running(cluster, on_exit="drain") as runner:
            pod = runner.submit(workload())
        assert (await pod.wait(1)).succeeded


@pytest.mark.parametrize("policy", ["cancel", "detach"])
async def test_a_launch_that_waits_ends_with_its_runner(cluster: Cluster, policy: str):
    """H2, C2: the caller of `launch` is told."""
    await leave_pod(cluster, dead=True)
    async with anyio.create_task_group() as tasks:
        async with running(cluster, on_exit=policy) as runner:

            async def launch() -> None:
                with pytest.raises(RunnerClosedError):
                    await runner.launch(workload())

            tasks.start_soon(launch)
            await anyio.sleep(3)
        tasks.cancel_scope.deadline = anyio.current_time() + 5
    assert not tasks.cancel_scope.cancelled_caught


async def test_a_runner_that_loses_its_own_lease_waits_no_more(cluster: Cluster):
    """H2, A3: nothing is taken over by a runner that is no owner."""
    async with predecessor(cluster, dead=True) as old:
        await old.launch_many([workload(1), workload(2)])
    async with running(cluster, owner="me") as runner, anyio.create_task_group() as tasks:

        async def launch(number: int) -> None:
            with pytest.raises(OwnershipError, match="lost its lease"):
                await runner.launch(workload(number))

        pod = await waiting(cluster, runner)
        tasks.start_soon(launch, 1)
        tasks.start_soon(launch, 2)
        await anyio.sleep(1)
        cluster.leases["podrunner-me"]["spec"]["holderIdentity"] = "another"
        cluster.leases["podrunner-me"]["metadata"]["resourceVersion"] = "9999"
        with pytest.raises(OwnershipError, match="lost its lease"):
            await pod.wait(60)
        await anyio.sleep(LEASE_S)
        assert {owner_of(cluster, name) for _, name in cluster.pods} == {"old"}


INSTANTS = [("GET", "old"), ("PATCH", None)]
"""The requests after which a pod is ours: a look at one that bears our name already, and the swap of another one."""


@pytest.mark.parametrize(("at", "owner"), INSTANTS)
@pytest.mark.parametrize("where", ["delay_s", "delay_reply_s"])
async def test_a_submission_cancelled_while_its_pod_is_taken_over_is_ended(
    cluster: Cluster, at: str, owner: str | None, where: str
):
    """H2, C1: cancelling is the same operation in all states; the outcome is that of the pod."""
    name = await leave_pod(cluster)
    cluster.run(name)
    async with running(cluster, owner=owner) as runner:
        cluster.fail(at, "/pods/", **{where: 2})
        pod = runner.submit(workload())
        await anyio.sleep(1)
        await pod.cancel()
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.started) == (Category.CANCELLED, True)
        await until(lambda: not cluster.pods or REPORTED in str(cluster.pods))


async def test_a_submission_cancelled_before_it_heard_of_a_living_owners_pod_is_lost(cluster: Cluster):
    """H2, C1: the answer that names the pod was lost; looking for what was made finds that pod."""
    async with running(cluster, owner="old", lease_duration_s=LEASE_S) as old:
        name = (await old.launch(workload())).name
        cluster.run(name)
        async with running(cluster) as runner:
            cluster.fail("POST", lose_reply=True, times=99)
            pod = runner.submit(workload())
            await until(lambda: cluster.count("POST", "/pods") >= 2)
            with pytest.raises(AttemptOwnedError):
                await pod.cancel()
            assert kinds(runner) == ["lost"]
            assert owner_of(cluster, name) == "old"


async def test_a_submission_cancelled_before_it_heard_of_its_predecessors_pod_ends_it(cluster: Cluster):
    """H2, C1: the owner is gone: the pod is taken over, and cancelled as any."""
    name = await leave_pod(cluster)
    cluster.run(name)
    async with running(cluster) as runner:
        cluster.fail("POST", lose_reply=True, times=99)
        pod = runner.submit(workload())
        await until(lambda: cluster.count("POST", "/pods") >= 2)
        await pod.cancel()
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.started) == (Category.CANCELLED, True)


async def test_a_submission_cancelled_while_its_pod_could_not_be_had_is_lost(cluster: Cluster):
    """H2, C1: the pod stays as it is, so that no outcome is invented."""
    name = await leave_pod(cluster)
    async with running(cluster) as runner:
        cluster.fail("PATCH", "/pods/", delay_s=2, refuse=True)
        cluster.fail("PATCH", "/pods/", times=99, status=403)
        pod = runner.submit(workload())
        await anyio.sleep(1)
        with pytest.raises(AttemptOwnedError, match="could not be read or taken over"):
            await pod.cancel()
        assert kinds(runner) == ["lost"]
        assert owner_of(cluster, name) == "old"


async def test_a_submission_cancelled_while_a_server_puts_its_pod_off_is_lost(cluster: Cluster):
    """H2, C1: that there is a pod was heard, whose it is could not be settled in the time for it."""
    name = await leave_pod(cluster)
    cluster.run(name)
    async with running(cluster, retry={"attempts": 0, "initial_s": 1, "max_s": 2}) as runner:
        cluster.fail("PATCH", "/pods/", times=10_000, status=429)
        pod = runner.submit(workload())
        await until(lambda: cluster.count("PATCH", "/pods/") >= 2)
        with pytest.raises(AttemptOwnedError, match="not settled whose it is"):
            await pod.cancel()
        assert kinds(runner) == ["lost"]
        assert cluster.pods["default", name]["status"]["phase"] == "Running"
        cluster.faults.clear()


@pytest.mark.parametrize(("at", "owner"), INSTANTS)
@pytest.mark.parametrize("where", ["delay_s", "delay_reply_s"])
async def test_a_launch_cancelled_while_it_takes_a_pod_over_does_not_end_it(
    cluster: Cluster, at: str, owner: str | None, where: str
):
    """H2, C1: it did not make it; the runner has it, as one that it adopted."""
    name = await leave_pod(cluster)
    cluster.run(name)
    async with running(cluster, owner=owner) as runner:
        cluster.fail(at, "/pods/", **{where: 2})
        with anyio.move_on_after(1) as scope:
            await runner.launch(workload())
        assert scope.cancelled_caught
        (pod,) = runner.pods()
        assert owner_of(cluster, name) == runner.owner
        cluster.finish(name, 3)
        assert (await pod.wait(5)).exit_code == 3


# It is over


async def test_an_outcome_that_was_not_delivered_is_given_to_the_launch(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
):
    """H2: the work is not done twice; one line says why nothing runs, and what to do."""
    name = await leave_pod(cluster)
    cluster.play(name, 3)
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        assert (await pod.wait(5)).exit_code == 3
        assert pod.replayed
        (event,) = finished(runner)
        assert event.replayed
        await until(lambda: REPORTED in cluster.pods["default", name]["metadata"]["annotations"])
    (line,) = [line for line in caplog.messages if "is not run again" in line]
    assert name in line
    assert "next attempt" in line
    assert "delete" in line
    assert creates(cluster) == 2


async def test_an_outcome_that_was_not_delivered_is_delivered_like_any_other(cluster: Cluster):
    """H2: its pod goes when a reader took it, and no sooner."""
    name = await leave_pod(cluster)
    cluster.play(name)
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        await runner.wait_all(5)
        assert cluster.pods
        (event,) = finished(runner)
        assert event.replayed
        runner.poll_events()
        await until(lambda: not cluster.pods)
        assert pod.replayed


@pytest.mark.parametrize("lease", ["gone", "counts", "alive"])
async def test_an_outcome_that_was_reported_is_given_again_at_once(
    cluster: Cluster, caplog: pytest.LogCaptureFixture, lease: str
):
    """H2: whatever its owner does; the pod stays as it is, and stays that owner's."""
    name = await leave_reported(cluster)
    before = deepcopy(cluster.pods["default", name])
    async with running(cluster, owner="old" if lease == "alive" else "other") as other:
        if lease == "counts":
            cluster.leases["podrunner-old"] = deepcopy(cluster.leases["podrunner-other"])
        async with running(cluster) as runner:
            pod = runner.submit(workload())
            outcome = await pod.wait(5)
            assert (outcome.category, outcome.exit_code) == (Category.FAILED, 3)
            assert pod.replayed
            assert pod.uid == before["metadata"]["uid"]
            (event,) = finished(runner)
            assert event.replayed
            assert event.uid == pod.uid
            launched = await runner.launch(workload())
            assert launched.outcome == outcome
            assert launched.replayed
            assert runner.pods() == []
            await runner.wait_all(1)
        assert kinds(other) == []
    assert cluster.pods["default", name] == before
    lines = [line for line in caplog.messages if "is not run again" in line]
    assert len(lines) == 2, "one for each launch"
    assert "next attempt" in lines[0]


async def test_a_reported_outcome_is_the_one_that_was_recorded(cluster: Cluster):
    """H2: not what the pod alone would say by now."""
    name = await leave_reported(cluster)
    meta = cluster.pods["default", name]["metadata"]
    assert OUTCOME in meta["annotations"]
    cluster.finish(name, 99)
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        assert (await pod.wait(1)).exit_code == 3


async def test_the_log_of_a_replayed_pod_can_be_read_and_the_pod_deleted(cluster: Cluster):
    """H2: the remedy of the log line is at hand; closing waits for nothing of it."""
    name = await leave_reported(cluster)
    cluster.logs[name] = ["2026-01-01T00:00:00Z a line"]
    async with running(cluster, on_exit="drain") as runner:
        pod = await runner.launch(workload())
        assert (await pod.read_log()).text
        await pod.delete()
        assert not cluster.pods
        again = await runner.launch(workload())
        assert not again.replayed
        cluster.play(again.name)
        began = anyio.current_time()
    assert anyio.current_time() - began < 10


async def test_another_workload_of_the_same_attempt_is_refused(cluster: Cluster):
    """H2: an outcome of another workload is not given as this one's."""
    other = Workload(key=workload().key, command=["false"])
    await leave_reported(cluster)
    async with running(cluster) as runner:
        with pytest.raises(AttemptEndedError, match="as another workload"):
            await runner.launch(other)
        pod = runner.submit(other)
        with pytest.raises(AttemptEndedError) as caught:
            await pod.wait(5)
        assert caught.value.category == "failed"
        assert kinds(runner) == ["lost"]


async def test_another_workload_of_an_undelivered_attempt_is_refused_and_left(cluster: Cluster):
    """H2: its outcome stays for a runner that adopts it."""
    other = Workload(key=workload().key, command=["false"])
    name = await leave_pod(cluster)
    cluster.play(name, 3)
    async with running(cluster) as runner:
        with pytest.raises(AttemptEndedError):
            await runner.launch(other)
        assert owner_of(cluster, name) == "old"
        (adopted,) = await runner.adopt()
        assert (await adopted.wait(5)).exit_code == 3


@pytest.mark.parametrize("reported", [True, False])
async def test_an_ended_attempt_is_an_error_if_so_configured(cluster: Cluster, reported: bool):  # noqa: FBT001
    """H2: ``reported_attempt="error"``."""
    if reported:
        name = await leave_reported(cluster)
    else:
        name = await leave_pod(cluster)
        cluster.play(name, 3)
    async with running(cluster, reported_attempt="error") as runner:
        with pytest.raises(AttemptEndedError) as caught:
            await runner.launch(workload())
        assert caught.value.category == "failed"
        pod = runner.submit(workload())
        with pytest.raises(AttemptEndedError):
            await pod.wait(5)
        run = runner.run(workload())
        with pytest.raises(AttemptEndedError):
            await run.wait(5)
        assert kinds(runner) == ["lost", "lost"]
        assert owner_of(cluster, name) == "old"


@pytest.mark.parametrize("reported", [True, False])
@pytest.mark.parametrize("way", ["launch", "submit"])
async def test_an_ended_attempt_is_run_again_if_so_configured(cluster: Cluster, reported: bool, way: str):  # noqa: FBT001
    """H2: ``reported_attempt="rerun"``: one pod at a time, also with another workload."""
    other = Workload(key=workload().key, command=["false"])
    if reported:
        name = await leave_reported(cluster)
    else:
        name = await leave_pod(cluster)
        cluster.play(name, 3)
    former = cluster.pods["default", name]["metadata"]["uid"]
    async with running(cluster, reported_attempt="rerun") as runner:
        pod = await runner.launch(other) if way == "launch" else runner.submit(other)
        await until(lambda: pod.uid)
        assert pod.uid != former
        assert not pod.replayed
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        assert [event.replayed for event in finished(runner)] == [False]


async def test_a_rerun_frees_what_our_own_finalizer_holds(cluster: Cluster):
    """H2: the pod of an undelivered outcome may be held."""
    name = await leave_pod(cluster)
    cluster.play(name, 3)
    cluster.hold(name, OUTCOME_FINALIZER)
    former = cluster.pods["default", name]["metadata"]["uid"]
    async with running(cluster, reported_attempt="rerun") as runner:
        pod = await runner.launch(workload())
        assert pod.uid != former


async def test_a_rerun_says_if_another_finalizer_holds_the_pod(cluster: Cluster):
    """H2: bounded in time, and no second pod."""
    name = await leave_reported(cluster)
    cluster.hold(name, "example.com/mine")
    async with running(cluster, reported_attempt="rerun") as runner:
        pod = runner.submit(workload())
        other = await runner.launch(workload(2))
        assert other.uid, "it holds up no other launch"
        outcome = await pod.wait(90)
        assert outcome.category is Category.REJECTED_BY_API
        assert "example.com/mine" in outcome.message


async def test_a_rerun_whose_pod_another_client_makes_meanwhile_says_whose_it_is(cluster: Cluster):
    """H2, L2: the name is free for a moment."""
    name = await leave_reported(cluster)
    cluster.hold(name, "example.com/mine")
    async with running(cluster, reported_attempt="rerun") as runner:
        pod = runner.submit(workload())
        await anyio.sleep(5)
        cluster.release(name, "example.com/mine")
        cluster.put(name)
        outcome = await pod.wait(5)
        assert outcome.category is Category.REJECTED_BY_API
        assert "not made by podrunner" in outcome.message


async def test_a_living_owners_reported_pod_is_not_run_again(cluster: Cluster):
    """H2: to delete a pod is its owner's business."""
    async with running(cluster, owner="old", delete_pods=False) as old:
        pod = await old.launch(workload())
        cluster.play(pod.name, 3)
        await pod.wait(5)
        await until(lambda: REPORTED in cluster.pods["default", pod.name]["metadata"]["annotations"])
        async with running(cluster, reported_attempt="rerun") as runner:
            with pytest.raises(AttemptOwnedError):
                await runner.launch(workload())
    assert cluster.pods


async def test_a_rerun_that_is_cancelled_makes_no_pod(cluster: Cluster):
    """H2, C1: while the earlier pod is on its way out."""
    name = await leave_reported(cluster)
    cluster.hold(name, "example.com/mine")
    async with running(cluster, reported_attempt="rerun") as runner:
        pod = runner.submit(workload())
        await anyio.sleep(5)
        await pod.cancel()
        assert (await pod.wait(1)).category is Category.CANCELLED
        cluster.release(name, "example.com/mine")
        await anyio.sleep(5)
        assert not cluster.pods


async def test_a_run_goes_on_from_a_replayed_failure(cluster: Cluster):
    """H2, P4: the next attempt, as the policy says."""
    await leave_reported(cluster)
    async with running(cluster) as runner:
        run = runner.run(workload(), retry=RetryPolicy(attempts=2, wait=0, retry_if=lambda _: True))
        await until(lambda: len(run.pods) == 2 and run.pods[1].uid)
        first, second = run.pods
        assert first.replayed
        assert (second.key.attempt, second.replayed) == (2, False)
        cluster.play(second.name)
        assert (await run.wait(5)).succeeded


@pytest.mark.parametrize("policy", ["error", "rerun"])
async def test_what_adopt_saw_of_reported_pods_is_no_answer_if_the_attempt_is_not_reused(
    cluster: Cluster, policy: str
):
    """H2: `adopt` before `run` changes nothing of what is chosen."""
    await leave_reported(cluster)
    async with running(cluster, reported_attempt=policy) as runner:
        assert await runner.adopt() == []
        run = runner.run(workload())
        if policy == "error":
            with pytest.raises(AttemptEndedError):
                await run.wait(5)
        else:
            await until(lambda: run.pods[0].uid)
            cluster.play(run.pods[0].name)
            assert (await run.wait(5)).succeeded


async def test_a_run_whose_first_try_succeeded_is_over(cluster: Cluster):
    """H2, P4: its outcome is given again."""
    await leave_reported(cluster, 0)
    async with running(cluster) as runner:
        assert (await runner.run(workload()).wait(5)).succeeded
    assert creates(cluster) == 2


# Without a pod that is there


async def test_a_launch_that_finds_no_pod_costs_what_it_did(cluster: Cluster):
    """One request."""
    async with running(cluster) as runner:
        before = len(cluster.requests)
        await runner.launch(workload())
        assert len(cluster.requests) == before + 1


async def test_a_pod_that_goes_between_409_and_the_look_is_not_created_anew(cluster: Cluster):
    """H2: another runner may have reported and deleted it just then. Nor is a contradiction of the server's a loop."""
    async with running(cluster) as runner:
        body = b'{"kind": "Status", "code": 409, "reason": "AlreadyExists"}'
        cluster.fail("POST", times=2, status=409, body=body)
        with pytest.raises(AttemptOwnedError, match="was there when it was launched, and is gone") as caught:
            await runner.submit(workload()).wait(5)
        assert caught.value.owner is None
        with pytest.raises(AttemptOwnedError):
            await runner.launch(workload())
        assert creates(cluster) == 2
        assert (await runner.launch(workload())).uid


async def test_a_foreign_pod_is_refused_as_ever(cluster: Cluster):
    """L2: with the remedies."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.remove(pod.name)
        await until(lambda: not runner.pods() or pod.outcome)
        runner.poll_events()
        runner.poll_events()
        await until(lambda: not runner.pods())
        cluster.put(pod.name)
        with pytest.raises(OwnershipError, match=r"not made by podrunner.*another key or attempt") as caught:
            await runner.launch(workload())
        assert type(caught.value) is OwnershipError
        assert (await runner.submit(workload()).wait(5)).category is Category.REJECTED_BY_API
