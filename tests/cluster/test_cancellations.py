"""Programs that are cancelled anywhere on a real cluster, once or twice: nothing that they started runs on.

The programs are those of ``tests/processes/closing``. ``ROUNDS=20`` plays more rounds, ``SEED=17`` that one alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time

import pytest
from podrunner import AsyncPodRunner
from podrunner.runner import closing
from tests.processes.closing.left import in_cluster
from tests.processes.closing.programs import Plan, play_and_judge
from tests.processes.delivery.campaign import Place

ROUNDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("ROUNDS", "10")))
HELD = "example.com/another-party"
GONE_WITHIN_S = 300.0
"""For so long a close waits here for pods that are to be gone: longer than all else that it does."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def place(cluster, kubeconfig, namespace) -> Place:
    return Place(kubeconfig=kubeconfig, namespace=namespace, image=cluster.image, open_http=cluster.http)


@pytest.fixture(autouse=True)
def _interruptible():
    """Ctrl-C works here, even where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("seed", ROUNDS)
def test_wherever_a_program_is_cancelled_nothing_is_left(place, tmp_path, monkeypatch, seed):
    """H3: opening, launching, waiting, cancelling, closing, in both faces."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    play_and_judge(Plan(seed, place, tmp_path), place, temporary=temporary)


def test_eight_pods_are_ended_though_the_close_is_cancelled_twice(config, workload, place):
    """H3: ``task.cancel()`` 10 ms into the close, and again."""

    async def main() -> None:
        over = asyncio.Event()

        async def use() -> None:
            async with AsyncPodRunner(config, on_exit="cancel") as runner:
                listed = [workload("sleep 300", termination_grace_period_s=2) for _ in range(8)]
                pods = await runner.launch_many(listed)
                while any(pod.phase != "Running" for pod in pods):
                    await asyncio.sleep(0.2)
                over.set()

        task = asyncio.create_task(use())
        await over.wait()
        for _ in range(2):
            await asyncio.sleep(0.01)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert in_cluster(place) == []


@pytest.mark.anyio
async def test_a_finalizer_of_another_party_does_not_hold_the_close(
    config, workload, admin, namespace, place, monkeypatch
):
    """H3: the pod has ended, and stays for the finalizer alone."""
    monkeypatch.setattr(closing, "_GONE_WITHIN_S", GONE_WITHIN_S)
    names: list[str] = []
    try:
        async with AsyncPodRunner(config, on_exit="drain") as runner:
            pod = await runner.launch(workload("sleep 1"))
            names.append(f"/api/v1/namespaces/{namespace}/pods/{pod.name}")
            patch = {"metadata": {"finalizers": [HELD]}}
            headers = {"Content-Type": "application/merge-patch+json"}
            admin.patch(names[0], json=patch, headers=headers).raise_for_status()
            assert (await pod.wait(150)).succeeded
            began = time.monotonic()
        assert time.monotonic() - began < GONE_WITHIN_S  # it did not wait for the pod to be gone
        assert "deletionTimestamp" in admin.get(names[0]).raise_for_status().json()["metadata"]
        assert in_cluster(place) == []
    finally:
        for name in names:
            headers = {"Content-Type": "application/merge-patch+json"}
            admin.patch(name, json={"metadata": {"finalizers": None}}, headers=headers)
