"""One outcome for each pod, whatever happens to it."""

from __future__ import annotations

import anyio
import pytest
from podrunner.errors import ForbiddenError, InvalidError, OwnershipError, SpecError
from podrunner.outcome import Category, Fault
from tests.unit.runner.harness import Cluster, kinds, running, until, workload

pytestmark = pytest.mark.anyio


async def test_a_pod_that_succeeds_is_reported_and_deleted(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        assert (pod.phase, pod.status, pod.outcome) == ("Pending", "Pending", None)
        cluster.play(pod.name)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.exit_code, outcome.started) == (Category.SUCCEEDED, 0, True)
        await until(lambda: not cluster.pods)
        await until(lambda: not runner.pods())
        assert kinds(runner) == ["created", "finished", "deleted"]
        assert pod.timeline.created is not None
        assert await pod.wait() is outcome


async def test_a_pod_that_fails_is_kept_with_the_tail_of_its_log(cluster: Cluster):
    """P6: The last lines tell why."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = [
            "2024-05-01T10:20:30.000000001Z Traceback",
            "2024-05-01T10:20:30.000000002Z boom",
        ]
        cluster.play(pod.name, exit_code=3)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.exit_code, outcome.log_tail) == (
            Category.FAILED,
            3,
            ("Traceback", "boom"),
        )
        await runner.wait_all(5)
        assert len(cluster.pods) == 1


async def test_failed_pods_are_deleted_if_wanted(cluster: Cluster):
    async with running(cluster, delete_pods_on_failure=True) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name, exit_code=3)
        assert (await pod.wait()).exit_code == 3
        await until(lambda: not cluster.pods)


async def test_pods_are_kept_if_wanted(cluster: Cluster):
    async with running(cluster, delete_pods=False) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await runner.wait_all(5)
        assert len(cluster.pods) == 1
        await pod.delete()
        await until(lambda: not cluster.pods)


async def test_a_pod_that_vanishes_while_running_has_one_outcome(cluster: Cluster):
    """W5: another client deletes it."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        cluster.remove(pod.name)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.fault) == (Category.DELETED_BY_OTHERS, Fault.INFRASTRUCTURE)
        await until(lambda: not runner.pods())
        assert kinds(runner) == ["created", "finished", "deleted"]


async def test_a_success_shown_by_the_deletion_alone_counts(cluster: Cluster):
    """W6: the DELETED event's status is read."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        cluster.muted = True
        cluster.finish(pod.name)
        cluster.muted = False
        cluster.remove(pod.name)
        assert (await pod.wait(5)).category is Category.SUCCEEDED


async def test_a_pod_missing_after_a_relist_has_one_outcome(cluster: Cluster):
    """W7: The deletion was missed between list and watch."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        await until(lambda: runner.health().watches[0].pods == 1)
        cluster.muted = True
        cluster.remove(pod.name)
        cluster.compact()
        cluster.muted = False
        cluster.break_watches()
        outcome = await pod.wait(10)
        assert outcome.category is Category.DELETED_BY_OTHERS


async def test_a_pod_that_ends_before_its_create_is_answered_is_not_missed(cluster: Cluster):
    """The watch may be faster than the answer to the create."""
    cluster.fail("POST", delay_reply_s=0.05)
    async with running(cluster) as runner:
        async with anyio.create_task_group() as group:
            pods = []

            async def launch() -> None:
                pods.append(await runner.launch(workload()))

            group.start_soon(launch)
            await until(lambda: cluster.pods)
            name = next(iter(cluster.pods))[1]
            cluster.run(name)
            cluster.remove(name)
        assert (await pods[0].wait(5)).category is Category.DELETED_BY_OTHERS


async def test_the_same_attempt_launched_twice_is_one_pod_with_one_outcome(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        again = await runner.launch(workload())
        assert pod == again
        assert hash(pod) == hash(again)
        assert runner.submit(workload()) == pod
        assert cluster.count("POST", "/pods") == 1
        cluster.play(pod.name)
        assert await pod.wait(5) is await again.wait(5)


async def test_two_launches_of_one_attempt_at_once_are_one_pod(cluster: Cluster):
    cluster.fail("POST", delay_s=0.02)
    async with running(cluster) as runner:
        batch = await runner.launch_many([workload(), workload(), workload()])
        assert len(set(batch)) == 1
        assert cluster.count("POST", "/pods") == 1


async def test_a_refused_launch_raises_and_leaves_nothing(cluster: Cluster):
    """L6: a 422 is reported at once."""
    cluster.fail("POST", status=422, body=b'{"kind":"Status","reason":"Invalid","message":"spec.x: bad"}')
    async with running(cluster) as runner:
        with pytest.raises(InvalidError, match=r"spec\.x"):
            await runner.launch(workload())
        assert runner.pods() == []
        assert runner.health().active == 0
        pod = await runner.launch(workload())
        assert pod.uid


async def test_a_refused_submission_has_an_outcome(cluster: Cluster):
    """L9: rejected by the API, with its message."""
    cluster.fail(
        "POST", status=403, body=b'{"kind":"Status","reason":"Forbidden","message":"no quota for you"}'
    )
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.started) == (Category.REJECTED_BY_API, False)
        assert "no quota for you" in outcome.message
        assert isinstance(pod.launch_error, Exception)
        assert kinds(runner) == ["finished"]
        assert (pod.uid, pod.status, pod.phase) == ("", "", "")


async def test_one_failure_of_a_batch_does_not_hold_up_the_others(cluster: Cluster):
    """L7: errors belong to the one pod; the batch shows them."""
    taken = cluster.put(_name_of(workload(2)))
    async with running(cluster) as runner:
        bad = workload(4, labels={"no key!": "x"})
        batch = await runner.launch_many([workload(1), workload(2), workload(3), bad], concurrency=2)
        assert [failure.index for failure in batch.errors] == [1, 3]
        assert [type(failure.error) for failure in batch.errors] == [OwnershipError, SpecError]
        assert [pod.key.parts["n"] for pod in batch] == ["1", "2", "3", "4"]
        assert [pod.key.parts["n"] for pod in batch.launched] == ["1", "3"]
        assert (await batch[1].wait()).category is Category.REJECTED_BY_API
        with pytest.raises(ExceptionGroup, match="2 of 4 launches failed"):
            batch.raise_for_errors()
        assert cluster.pods["default", taken["metadata"]["name"]] == taken


def _name_of(given) -> str:
    from podrunner.builder.names import name_of

    return name_of(given.key, given.name)


async def test_a_thousand_pods_have_a_thousand_outcomes(cluster: Cluster):
    """None lost, none twice, all deleted."""
    count = 300
    async with running(cluster) as runner, runner.events() as events:
        batch = await runner.launch_many(workload(n) for n in range(count))
        cluster.play_all()
        with anyio.fail_after(30):
            await runner.wait_all()
            assert len(cluster.pods) == count
            finished = [event.uid for event in events.poll() if event.kind == "finished"]
            assert events.poll() == []
            await until(lambda: not cluster.pods, within_s=20)
        assert sorted(finished) == sorted(pod.uid for pod in batch)
        assert {pod.outcome.category for pod in batch} == {Category.SUCCEEDED}
        assert runner.health().active == 0


async def test_a_right_that_was_there_before_is_waited_for_and_one_that_never_was_is_not(cluster: Cluster):
    """A server that has just started refuses until it has read the bindings."""
    words = b'User \\"me\\" cannot create resource \\"pods\\" in API group \\"\\"'
    refusal = {"status": 403, "body": b'{"kind": "Status", "reason": "Forbidden", "message": "%s"}' % words}
    async with running(cluster) as runner:
        cluster.fail("POST", times=1, **refusal)
        with pytest.raises(ForbiddenError):
            await runner.launch(workload(0))
        await runner.launch(workload(1))
        cluster.fail("POST", times=2, **refusal)
        await runner.launch(workload(2))
        assert cluster.count("POST", "/pods") == 5


async def test_the_events_of_a_pod_that_is_given_up_are_read_once_and_the_telling_one_is_the_message(
    cluster: Cluster,
):
    """P14: a volume that never comes, after an unrelated event; one request."""
    told = 'MountVolume.SetUp failed for volume "v" : secret "nope" not found'
    cluster.events = [{"reason": "FailedMount", "message": told, "type": "Warning"}]
    async with running(cluster, pending={"startup_timeout_s": 1}) as runner:
        pod = await runner.launch(workload())
        bound = {"type": "PodScheduled", "status": "True"}
        waiting = {"name": "base", "state": {"waiting": {"reason": "ContainerCreating"}}}
        cluster.change(
            pod.name,
            spec={**cluster.pods["default", pod.name]["spec"], "nodeName": "n"},
            status={"phase": "Pending", "conditions": [bound], "containerStatuses": [waiting]},
        )
        outcome = await pod.wait(30)
        assert outcome.category is Category.STARTUP_TIMEOUT
        assert outcome.message.endswith(f"FailedMount: {told}")
        assert cluster.count("GET", "/events") == 1


async def test_a_container_that_its_liveness_probe_killed_says_so(cluster: Cluster):
    """P15: exit 137, and the kubelet's event; an ordinary failure costs no request."""
    path = {"fieldPath": "spec.containers{base}"}
    killing = {"reason": "Killing", "message": "Container base failed liveness probe", "involvedObject": path}
    cluster.events = [killing]
    async with running(cluster) as runner:
        killed, failed = [await runner.launch(workload(number)) for number in range(2)]
        cluster.play(failed.name, 3)
        await failed.wait(30)
        assert cluster.count("GET", "/events") == 0
        cluster.play(killed.name, 137)
        outcome = await killed.wait(30)
        assert (outcome.category, outcome.signal) == (Category.FAILED, 9)
        assert outcome.message.endswith("exit code 137: Container base failed liveness probe")
        assert cluster.count("GET", "/events") == 1
