"""Taking over what other runners left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from podrunner.errors import ForbiddenError, OwnershipError
from podrunner.kube import Request
from podrunner.outcome import Category
from tests.support.fake_server import Fault
from tests.unit.runner.harness import Cluster, kinds, read_events, running, until, workload

pytestmark = pytest.mark.anyio


async def leave_pods(cluster: Cluster, count: int = 1, **settings) -> None:
    """A runner comes, launches, and goes without its pods."""
    async with running(cluster, on_exit="detach", **settings) as runner:
        await runner.launch_many(workload(n) for n in range(count))


async def test_pods_of_a_runner_that_left_are_adopted(cluster: Cluster):
    """A5: from labels and annotations alone."""
    await leave_pods(cluster)
    async with running(cluster) as runner:
        (pod,) = await runner.adopt()
        assert pod.key == workload(0).key
        assert kinds(runner) == ["adopted"]
        assert await runner.adopt() == []
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        await until(lambda: not cluster.pods)


async def test_a_submission_that_waits_becomes_the_handle_of_the_adopted_pod(cluster: Cluster):
    """One attempt, one pod: the handle of its submission has the outcome, though another runner created it."""
    await leave_pods(cluster)
    async with running(cluster, max_active_pods=1) as runner:
        first = await runner.launch(workload(7))
        submitted = runner.submit(workload(0))
        (adopted,) = await runner.adopt()
        assert submitted.uid == adopted.uid
        cluster.play(first.name)
        cluster.play(adopted.name, exit_code=3)
        assert (await submitted.wait(5)).exit_code == 3
        assert (await adopted.wait(5)).exit_code == 3
        await runner.wait_all(5)
        assert kinds(runner).count("finished") == 2


async def test_an_adopted_pod_of_a_runs_own_try_is_no_earlier_attempt(cluster: Cluster):
    """The run that waits goes on with it; a later run of the same workload is a run of its own."""
    await leave_pods(cluster)
    async with running(cluster, max_active_pods=1) as runner:
        first = await runner.launch(workload(7))
        run = runner.run(workload(0))
        (adopted,) = await runner.adopt()
        assert run.pod is not None
        assert run.pod.uid == adopted.uid
        cluster.play(first.name)
        cluster.play(adopted.name)
        assert (await run.wait(5)).succeeded
        await until(lambda: read_events(runner) and not runner.pods())
        again = runner.run(workload(0))
        await until(lambda: cluster.pods)
        cluster.play_all()
        assert (await again.wait(5)).succeeded
        assert again.pod is not None
        assert again.pod.uid != adopted.uid


async def test_a_pod_that_ended_meanwhile_has_its_outcome_at_once(cluster: Cluster):
    """A4: completed pods are reported and cleaned up."""
    await leave_pods(cluster)
    cluster.play_all(exit_code=2)
    async with running(cluster, delete_pods_on_failure=True) as runner:
        (pod,) = await runner.adopt()
        assert (await pod.wait(5)).exit_code == 2
        await until(lambda: not cluster.pods)


async def test_a_living_runners_pods_are_left_alone(cluster: Cluster):
    """A3."""
    async with running(cluster) as first, running(cluster) as second:
        pod = await first.launch(workload())
        assert await second.adopt() == []
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded


async def test_other_scopes_and_foreign_pods_are_left_alone(cluster: Cluster):
    cluster.put(
        "foreign", labels={"app.kubernetes.io/managed-by": "podrunner", "podrunner.io/scope": "default"}
    )
    await leave_pods(cluster, scope="other")
    async with running(cluster) as runner:
        assert await runner.adopt() == []


async def test_of_two_adopters_one_wins_each_pod(cluster: Cluster):
    """A1: compare and swap; the losers see it."""
    await leave_pods(cluster, count=20)
    async with running(cluster) as first, running(cluster) as second:
        won: dict[str, list] = {}
        async with anyio.create_task_group() as group:

            async def adopt(name, runner) -> None:
                won[name] = await runner.adopt()

            group.start_soon(adopt, "first", first)
            group.start_soon(adopt, "second", second)
        uids = [pod.uid for pods in won.values() for pod in pods]
        assert len(uids) == len(set(uids)) == 20


async def test_a_busy_server_is_asked_again(cluster: Cluster):
    """A2: no runner is taken for gone for want of an answer."""
    await leave_pods(cluster)
    async with running(cluster) as runner:
        cluster.fail("PATCH", status=429)
        cluster.fail("GET", part="/leases", status=500)
        assert len(await runner.adopt()) == 1


async def test_a_swap_whose_answer_was_lost_is_still_a_win(cluster: Cluster):
    """A1: the conflict on the second try is our own first."""
    await leave_pods(cluster)
    async with running(cluster) as runner:
        cluster.fail("PATCH", lose_reply=True)
        assert len(await runner.adopt()) == 1


async def test_what_was_won_before_a_call_failed_is_returned_by_the_next(cluster: Cluster):
    """A2: the pod is this runner's; of no later list it would be returned, and its caller would never have it."""
    await leave_pods(cluster, 2)
    paths: list[str] = []

    def is_of_the_second(request: Request) -> bool:
        if request.method == "PATCH":
            paths.append(request.path)
        return request.method == "PATCH" and request.path != paths[0]

    async with running(cluster) as runner:
        cluster.faults.append(Fault(is_of_the_second, status=403))
        with pytest.raises(ForbiddenError):
            await runner.adopt()
        assert len(runner.pods()) == 1
        assert sorted(pod.name for pod in await runner.adopt()) == sorted(name for _, name in cluster.pods)
        assert await runner.adopt() == []


async def test_the_former_owner_sees_that_it_lost_its_pod(cluster: Cluster):
    """A1: no outcome from there, and no deletion."""
    async with running(cluster, owner="old") as old:
        pod = await old.launch(workload())
        lease = cluster.leases["podrunner-old"]
        past = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease["spec"]["renewTime"] = past
        async with running(cluster, owner="new") as new:
            (adopted,) = await new.adopt()
            with pytest.raises(OwnershipError, match="another runner took over"):
                await pod.wait(10)
            assert kinds(old) == ["created", "lost"]
            assert old.health().active == 0
            cluster.play(adopted.name)
            assert (await adopted.wait(5)).category is Category.SUCCEEDED


async def test_a_restart_under_the_same_name_finds_its_own(cluster: Cluster):
    """A5: a fixed owner's name survives a restart."""
    await leave_pods(cluster, owner="me")
    async with running(cluster, owner="me") as runner:
        (pod,) = await runner.adopt()
        assert cluster.count("PATCH") == 0
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded


async def test_a_pod_whose_status_changes_while_it_is_adopted_is_adopted_all_the_same(cluster: Cluster):
    """A1: only another owner makes a swap lost; a kubelet's write makes it void, and it is made again."""
    await leave_pods(cluster)
    async with running(cluster) as runner:
        cluster.fail("PATCH", status=409)
        cluster.fail("PATCH", status=409)
        (pod,) = await runner.adopt()
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded


async def test_a_pod_that_never_stands_still_is_left_for_the_next_look(cluster: Cluster):
    """A1: the number of swaps is bounded."""
    await leave_pods(cluster)
    async with running(cluster) as runner:
        for _ in range(5):
            cluster.fail("PATCH", status=409)
        assert await runner.adopt() == []
        (pod,) = await runner.adopt()
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded


async def test_a_pod_reported_and_deleted_while_the_list_is_read_is_not_reported_again(cluster: Cluster):
    """Promise 2: an adoption's list may be older than what the runner knows."""
    async with running(cluster, owner="me") as runner:
        pod = await runner.launch(workload())
        listed = cluster.fail("GET", "/pods?", delay_reply_s=0.5)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.adopt)
            await until(lambda: not listed.times)
            cluster.play(pod.name)
            await pod.wait(5)
            await until(lambda: not runner.pods())
        assert runner.pods() == []
        assert kinds(runner) == ["created", "finished", "deleted"]


async def test_what_is_being_launched_is_not_adopted(cluster: Cluster):
    """Promise 2: the handle that `submit` gave is the one that gets the outcome."""
    async with running(cluster, owner="me") as runner:
        cluster.fail("POST", "/pods", delay_reply_s=0.5)
        pod = runner.submit(workload())
        await until(lambda: cluster.pods)
        assert await runner.adopt() == []
        cluster.play_all()
        assert (await pod.wait(5)).succeeded
        assert kinds(runner)[0] == "created"


async def test_what_was_reported_and_is_kept_is_not_reported_again(cluster: Cluster):
    """Promise 2: a failed pod is kept to be looked at; each restart would tell of it otherwise."""
    async with running(cluster, owner="me") as first:
        pod = await first.launch(workload())
        cluster.play(pod.name, exit_code=3)
        assert (await pod.wait(5)).exit_code == 3
        await first.wait_all(5)
    assert cluster.pods["default", pod.name]["metadata"]["annotations"]["podrunner.io/told"] == "failed"
    for owner in ("me", "other"):
        async with running(cluster, owner=owner) as later:
            assert await later.adopt() == []
            assert "finished" not in kinds(later)


async def test_a_mark_that_is_refused_holds_nothing_up(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    """L7: without the right to patch, a kept pod is reported again by a successor, and that is all."""
    cluster.fail("PATCH", times=99, status=403, body=b'{"kind": "Status", "reason": "Forbidden"}')
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name, exit_code=3)
        await pod.wait(5)
        await runner.wait_all(5)
    assert "was not marked" in caplog.text


@pytest.mark.parametrize("how", ["launch", "submit"])
async def test_a_launch_that_waits_for_room_makes_no_second_pod(cluster: Cluster, how: str):
    """One launch: its attempt's pod was adopted meanwhile, ended, and is gone when there is room."""
    async with running(cluster, owner="old") as old:
        name = (await old.launch(workload(1))).name
        cluster.run(name)
    async with (
        running(cluster, owner="new", max_active_pods=1, on_exit="cancel") as runner,
        anyio.create_task_group() as group,
    ):
        other = await runner.launch(workload(2))
        launched = []

        async def launch() -> None:
            launched.append(
                await runner.launch(workload(1)) if how == "launch" else runner.submit(workload(1))
            )

        group.start_soon(launch)
        await until(lambda: runner._engine.pods.newest(workload(1).key))
        (adopted,) = await runner.adopt()
        cluster.play(name)
        assert (await adopted.wait(5)).succeeded
        await until(lambda: adopted not in runner.pods())
        cluster.play(other.name)
        assert (await other.wait(5)).succeeded
        await until(lambda: launched)
        await runner.wait_all(5)
        assert cluster.count("POST", "/pods") == 2
        assert launched == [adopted]
