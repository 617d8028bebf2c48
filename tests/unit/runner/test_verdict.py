"""Adopting from a runner that the embedder takes for dead, before its Lease is over: it may be alive after all."""

from __future__ import annotations

from types import SimpleNamespace

import anyio
import pytest
from podrunner.errors import ForbiddenError, OwnershipError
from podrunner.ownership import lease_name, leases
from tests.unit.runner.harness import Cluster, kinds, running, until, workload

pytestmark = pytest.mark.anyio


def skip_s(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The process was stopped: the machine's clock went on, the event loop's did not."""
    before = leases.time
    clock = SimpleNamespace(monotonic=lambda: before.monotonic() + seconds, time=before.time)
    monkeypatch.setattr("podrunner.ownership.leases.time", clock)


async def test_pods_are_taken_from_a_runner_that_is_alive_and_it_acts_no_more(cluster: Cluster):
    """One outcome, from the successor: the old owner's Lease had a minute to go."""
    async with running(cluster) as first:
        pod, waiting = await first.launch(workload(1)), first.submit(workload(2))
        await until(lambda: waiting.uid)
        async with running(cluster) as second:
            began = anyio.current_time()
            adopted = await second.adopt(owners=[first.owner])
            assert [it.key for it in adopted] == [pod.key, waiting.key]
            await until(lambda: first.health().lease != "held")
            assert anyio.current_time() - began < 5
            assert "took this one for gone" in first.health().lease
            with pytest.raises(OwnershipError):
                await first.launch(workload(3))
            with pytest.raises(OwnershipError):
                await pod.cancel()
            cluster.play_all()
            for it in adopted:
                assert (await it.wait(5)).succeeded
            await until(lambda: not cluster.pods)
            assert kinds(second).count("finished") == 2
        assert kinds(first) == ["created", "created", "lost", "lost"]
        with pytest.raises(OwnershipError):
            await pod.wait(1)


async def test_without_a_verdict_a_lease_counts(cluster: Cluster):
    async with running(cluster) as first:
        await first.launch(workload(1))
        async with running(cluster) as second:
            assert await second.adopt() == []
            assert await second.adopt(owners=["another"]) == []
            assert first.health().lease == "held"


async def test_a_runner_is_not_its_own_predecessor(cluster: Cluster):
    async with running(cluster) as runner:
        await runner.launch(workload())
        assert await runner.adopt(owners=[runner.owner]) == []
        await anyio.sleep(30)
        assert runner.health().lease == "held"


async def test_a_runner_without_pods_is_fenced_at_its_next_renewal(cluster: Cluster):
    async with running(cluster) as first, running(cluster) as second:
        assert await second.adopt(owners=[first.owner]) == []
        await anyio.sleep(25)
        with pytest.raises(OwnershipError):
            first.submit(workload())
        first_lease = cluster.leases[lease_name(first.owner)]
        assert "holderIdentity" not in first_lease["spec"], "what is lost is not made anew"


async def test_a_renewal_in_the_same_instant_does_not_save_it(cluster: Cluster):
    """The compare-and-swap is made again at the newer version."""
    async with running(cluster) as first:
        name = lease_name(first.owner)
        async with running(cluster) as second:
            answer = cluster._lease

            def renewed_meanwhile(request):
                if request.method == "PUT" and request.path.endswith(name):
                    cluster._lease = answer
                    cluster._keep_lease(name, cluster.leases[name], 200)
                return answer(request)

            cluster._lease = renewed_meanwhile
            await second.adopt(owners=[first.owner])
            await anyio.sleep(25)
            assert first.health().lease != "held"


async def test_a_lost_answer_to_the_revocation_does_no_harm(cluster: Cluster):
    async with running(cluster) as first:
        pod = await first.launch(workload())
        async with running(cluster) as second:
            cluster.fail("PUT", lease_name(first.owner), lose_reply=True)
            assert [it.uid for it in await second.adopt(owners=[first.owner])] == [pod.uid]


async def test_a_runner_of_another_scope_is_left_alone(cluster: Cluster):
    async with running(cluster, scope="theirs") as other:
        await other.launch(workload())
        async with running(cluster) as runner:
            with pytest.raises(OwnershipError, match="scope 'theirs'"):
                await runner.adopt(owners=[other.owner])
        await anyio.sleep(30)
        assert other.health().lease == "held"


async def test_without_the_right_to_it_nothing_is_adopted(cluster: Cluster):
    """A pod whose owner could still act is not taken."""
    async with running(cluster) as first:
        pod = await first.launch(workload())
        async with running(cluster) as second:
            cluster.fail("PUT", lease_name(first.owner), status=403)
            with pytest.raises(ForbiddenError):
                await second.adopt(owners=[first.owner])
            assert (
                cluster.pods["default", pod.name]["metadata"]["labels"]["podrunner.io/owner"] == first.owner
            )


async def test_a_launch_that_waits_for_that_owner_waits_no_more(cluster: Cluster):
    """The attempt is dispatched again at once: it is the same pod."""
    async with running(cluster) as first:
        pod = await first.launch(workload())
        async with running(cluster) as second:
            again = second.submit(workload())
            await anyio.sleep(3)
            assert not again.uid
            (adopted,) = await second.adopt(owners=[first.owner])
            assert again == adopted
            assert again.uid == pod.uid
            assert len(cluster.pods) == 1


async def test_a_process_that_was_stopped_asks_for_its_lease_before_it_settles(cluster: Cluster, monkeypatch):
    """A3: it wakes within its Lease, and the first that it hears of is an end that its successor reports."""
    async with running(cluster) as first:
        pod = await first.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        async with running(cluster) as second:
            release, hold = anyio.Event(), cluster.request

            async def held(request):
                if request.method == "PUT" and request.path.endswith(lease_name(first.owner)):
                    await release.wait()
                return await hold(request)

            skip_s(monkeypatch, 20)
            monkeypatch.setattr(cluster, "request", held)
            cluster.finish(pod.name)
            await anyio.sleep(4)
            assert pod.outcome is None
            monkeypatch.setattr(cluster, "request", hold)
            (adopted,) = await second.adopt(owners=[first.owner])
            release.set()
            assert (await adopted.wait(10)).succeeded
            await until(lambda: first.health().lease != "held")
            assert kinds(second).count("finished") == 1
        assert "finished" not in kinds(first)


async def test_one_that_is_still_the_owner_goes_on_after_a_stop(cluster: Cluster, monkeypatch):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        puts = cluster.count("PUT", "/leases")
        skip_s(monkeypatch, 20)
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        assert cluster.count("PUT", "/leases") == puts + 1


async def test_a_verdict_by_function_decides_of_each_owner_alone(cluster: Cluster):
    """Pods of an owner whose Lease is over stay, if the embedder says that it is alive."""
    async with running(cluster, on_exit="detach") as gone:
        await gone.launch(workload(1))
    asked: list[str] = []

    def is_dead(owner: str) -> bool:
        asked.append(owner)
        return owner == first.owner

    async with running(cluster) as first, running(cluster) as second:
        await first.launch_many([workload(2), workload(3)])
        assert {pod.key for pod in await second.adopt(owners=is_dead)} == {workload(2).key, workload(3).key}
        assert sorted(asked) == sorted([gone.owner, first.owner])
        await until(lambda: first.health().lease != "held")
        assert second.health().lease == "held"
        assert [pod.key for pod in await second.adopt()] == [workload(1).key]
        cluster.play_all()
        await second.wait_all(5)


async def test_only_the_pods_that_are_wanted_are_taken(cluster: Cluster):
    """The others keep their owner, and can be taken later."""
    async with running(cluster, on_exit="detach") as gone:
        await gone.launch_many(workload(n) for n in range(3))
    async with running(cluster) as runner:
        wanted = workload(1).key
        assert [pod.key for pod in await runner.adopt(which=lambda key: key == wanted)] == [wanted]
        assert [pod.key for pod in await runner.adopt(owners=[gone.owner], which=lambda _: False)] == []
        assert len(await runner.adopt()) == 2
        cluster.play_all()
        await runner.wait_all(5)


async def test_a_verdict_that_fails_takes_nothing(cluster: Cluster):
    async with running(cluster, on_exit="detach") as gone:
        await gone.launch(workload(1))
    async with running(cluster) as runner:
        with pytest.raises(LookupError):
            await runner.adopt(owners=lambda owner: {}[owner])
        assert len(await runner.adopt()) == 1
        cluster.play_all()
        await runner.wait_all(5)
