"""The API server is killed while podrunner works, and comes back."""

from __future__ import annotations

import anyio
import pytest
from anyio import to_thread
from podrunner import AsyncPodRunner, Category

pytestmark = [pytest.mark.anyio, pytest.mark.disturbing, pytest.mark.timeout(600)]

HASTY = {"backoff_initial_s": 0.1, "backoff_max_s": 1.0}


async def test_killed_while_pods_are_launched(config, workload, node, pods):
    """L1: every workload gets one pod and one outcome, whatever happened to the requests in flight."""
    patient = config.with_changes(
        create_retry={"attempts": 0, "max_s": 2.0}, watch=HASTY, logs={"follow": "off"}
    )
    async with AsyncPodRunner(patient) as runner:
        launched = [runner.submit(workload("true")) for _ in range(25)]
        await anyio.sleep(0.15)
        await to_thread.run_sync(node.restart_api)
        outcomes = [await pod.wait(240) for pod in launched]
    assert [str(outcome) for outcome in outcomes if outcome.category is not Category.SUCCEEDED] == []
    assert len({pod.uid for pod in launched}) == 25
    assert pods() == []


async def test_killed_while_pods_are_watched(config, workload, node):
    """W2: pods that end meanwhile are reported as soon as the server is back; ``health()`` shows the outage."""
    async with AsyncPodRunner(config.with_changes(watch={**HASTY, "stale_after_s": 2.0})) as runner:
        quick, slow = (
            await runner.launch(workload("sleep 4; exit 3")),
            await runner.launch(workload("sleep 12")),
        )
        with anyio.fail_after(120):
            while not quick.timeline.started or not slow.timeline.started:
                await anyio.sleep(0.05)
        await to_thread.run_sync(node.kill, "kube-apiserver")
        with anyio.fail_after(90):
            while not runner.health().stale:
                await anyio.sleep(0.1)
        await anyio.sleep(2)
        await to_thread.run_sync(node.start, "kube-apiserver")
        outcomes = [await pod.wait(200) for pod in (quick, slow)]
        with anyio.fail_after(60):
            while runner.health().stale:
                await anyio.sleep(0.1)
        assert runner.health().reconnects > 0
    assert [outcome.exit_code for outcome in outcomes] == [3, 0]


async def test_compacted_history(config, workload, node, admin, namespace):
    """W1: etcd has compacted the version of the watch (410): the watch lists again, and the runner continues."""
    # With its watch cache, the server would answer from memory.
    await to_thread.run_sync(node.restart_api, "--watch-cache=false")
    try:
        async with AsyncPodRunner(config.with_changes(watch={**HASTY, "server_timeout_s": 8.0})) as runner:
            pod = await runner.launch(workload("sleep 25; exit 4"))
            await runner.wait_synced()
            before = runner.health().relists
            with anyio.fail_after(150):
                while runner.health().relists == before:
                    for number in range(3):
                        made = {"metadata": {"generateName": f"change-{number}-"}}
                        admin.post(f"/api/v1/namespaces/{namespace}/configmaps", json=made).raise_for_status()
                    await to_thread.run_sync(node.compact)
                    await anyio.sleep(1)
            assert (await pod.wait(150)).exit_code == 4
    finally:
        await to_thread.run_sync(node.restart_api)


async def test_a_list_whose_pages_expired(config, workload, node):
    """W1: after a compaction between two pages of a list, the list begins again."""
    small = {**HASTY, "page_size": 2, "streaming_lists": "off"}
    async with AsyncPodRunner(config.with_changes(watch=small, logs={"follow": "off"})) as runner:
        launched = await runner.launch_many([workload("sleep 15") for _ in range(7)])
        for _ in range(2):
            await to_thread.run_sync(node.restart_api)
            await to_thread.run_sync(node.compact)
        outcomes = [await pod.wait(200) for pod in launched]
    assert all(outcome.succeeded for outcome in outcomes)
