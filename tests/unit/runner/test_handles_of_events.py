"""A pod is found by its key or UID, and each event carries the handle of its pod."""

from __future__ import annotations

import msgspec
import pytest
from podrunner.errors import RunnerClosedError, UnknownPodError, UsageError
from podrunner.runner import AsyncPodRunner, EventKind, RunnerEvent
from podrunner.workload import WorkloadKey
from tests.unit.runner.harness import Cluster, configured, running, until, workload

pytestmark = pytest.mark.anyio


async def test_a_pod_is_found_from_its_submission_on(cluster: Cluster):
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        assert runner.pod(workload().key) == pod
        await until(lambda: pod.uid)
        assert runner.pod(workload().key) == runner.pod(pod.uid) == pod
        cluster.play(pod.name)
        await pod.wait(5)
        await until(lambda: not runner.pods())
        for which in (pod.key, pod.uid):
            with pytest.raises(UnknownPodError, match="done with"):
                runner.pod(which)


async def test_of_an_attempt_the_pod_that_was_launched_last_is_found(cluster: Cluster):
    async with running(cluster) as runner:
        first = await runner.launch(workload())
        cluster.remove(first.name)
        await first.wait(30)
        await until(lambda: not runner.pods(), within_s=30)
        second = await runner.launch(workload())
        assert runner.pod(workload().key) == second != first


async def test_what_was_never_launched_is_said_to_be_unknown(cluster: Cluster):
    async with running(cluster) as runner:
        with pytest.raises(UnknownPodError, match=r"key n=7.*not launched or adopted here"):
            runner.pod(WorkloadKey({"n": "7"}))
        with pytest.raises(LookupError, match="UID 'some-uid'") as raised:
            runner.pod("some-uid")
        assert raised.value.which == "some-uid"
    with pytest.raises(RunnerClosedError):
        AsyncPodRunner(configured()).pod("some-uid")


async def test_a_launch_that_failed_is_forgotten(cluster: Cluster):
    cluster.fail("POST", status=422, body=b'{"kind":"Status","reason":"Invalid","message":"bad"}')
    async with running(cluster) as runner:
        pod = runner.submit(workload())
        await pod.wait(5)
        with pytest.raises(UnknownPodError):
            runner.pod(pod.key)
        (event,) = runner.poll_events()
        assert event.pod == pod


async def test_each_event_carries_the_handle(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        await until(lambda: len(cluster.pods) == 0 or not runner.health().active)
        async with runner.events() as events:
            (undelivered,) = events.poll()
            assert (undelivered.kind, undelivered.pod) == (EventKind.FINISHED, pod)
        await until(lambda: not runner.pods())
        events_of_pod = runner.poll_events()
        assert {str(event.kind) for event in events_of_pod} >= {"created", "finished", "deleted"}
        assert [event.pod for event in events_of_pod] == [pod] * len(events_of_pod)


async def test_adopted_events_carry_it_too(cluster: Cluster):
    async with running(cluster) as first:
        await first.launch(workload())
    async with running(cluster) as runner:
        (pod,) = await runner.adopt()
        (event,) = [event for event in runner.poll_events() if event.kind == "adopted"]
        assert event.pod == pod == runner.pod(workload().key)
        await event.pod.cancel()
        assert (await pod.wait(5)).category == "cancelled"


async def test_a_copy_has_none_and_the_fields_stay_plain_data(cluster: Cluster):
    async with running(cluster) as runner:
        await runner.launch(workload())
        event = runner.poll_events()[0]
        assert set(msgspec.to_builtins(event, enc_hook=str)) == set(event.__struct_fields__)
        copied = RunnerEvent(*(getattr(event, name) for name in event.__struct_fields__))
        assert copied == event
        with pytest.raises(UsageError, match="no handle"):
            _ = copied.pod
