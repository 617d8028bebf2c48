"""One key, two workloads: an error where this runner launched the first, a warning where it found its pod."""

from __future__ import annotations

import pytest
from podrunner.errors import KeyReusedError, UsageError
from podrunner.outcome import Category
from podrunner.workload import Workload
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio

OTHER = Workload(key=workload().key, command=["false"])
SAME = Workload(key=workload().key, command=["true"], labels={"seen": "twice"}, priority_class_name="low")


async def test_launching_a_key_with_another_command_is_an_error(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        with pytest.raises(
            KeyReusedError, match=r"n=1 #1 was launched here already .* next attempt"
        ) as raised:
            await runner.launch(OTHER)
        assert (raised.value.key, raised.value.pod) == ("n=1 #1", f"default/{pod.name}")
        assert isinstance(raised.value, UsageError)
        with pytest.raises(KeyReusedError):
            runner.submit(OTHER)
        assert pod.outcome is None
        assert cluster.count("POST", "/pods") == 1


async def test_a_submission_that_still_waits_counts_too(cluster: Cluster):
    async with running(cluster, max_active_pods=1, on_exit="cancel") as runner:
        await runner.launch(workload(2))
        runner.submit(workload())
        with pytest.raises(KeyReusedError):
            runner.submit(OTHER)


async def test_of_a_batch_it_is_visible_in_its_place(cluster: Cluster):
    async with running(cluster, on_exit="cancel") as runner:
        batch = await runner.launch_many([workload(), OTHER, workload(2)], concurrency=1)
        assert [failure.index for failure in batch.errors] == [1]
        assert isinstance(batch.errors[0].error, KeyReusedError)
        assert batch[1].result().category is Category.REJECTED_BY_API


async def test_so_is_a_run(cluster: Cluster):
    async with running(cluster, on_exit="cancel") as runner:
        run = runner.run(workload())
        with pytest.raises(KeyReusedError):
            runner.run(OTHER)
        assert runner.run(SAME) == run


async def test_what_does_not_say_what_is_run_may_differ(cluster: Cluster):
    """Labels and placement are no other workload: a scheduler that restarts with new ones goes on."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        assert await runner.launch(SAME) == pod


async def test_the_next_attempt_may_be_another_workload(cluster: Cluster):
    async with running(cluster, on_exit="cancel") as runner:
        await runner.launch(workload())
        following = Workload(key=workload().key.next_attempt(), command=["false"])
        assert await runner.launch(following) != runner.pods()[0]


@pytest.mark.parametrize("adopts", [True, False])
async def test_a_pod_that_was_found_goes_on_with_a_warning(cluster: Cluster, caplog, adopts: bool):  # noqa: FBT001
    """A restarted scheduler must not lose its pods because its tasks have changed; but it is told so."""
    async with running(cluster, owner="me") as runner:
        name = (await runner.launch(workload())).name
    async with running(cluster, owner="me") as runner:
        if adopts:
            await runner.adopt()
        assert (await runner.launch(workload())).name == name
        assert "another workload" not in caplog.text
    async with running(cluster, owner="me") as runner:
        if adopts:
            await runner.adopt()
        pod = await runner.launch(OTHER)
        assert pod.name == name
        assert f"goes on as pod default/{name}, which was made of another workload" in caplog.text
        cluster.play(name)
        await until(lambda: pod.done)
        assert (await pod).succeeded
