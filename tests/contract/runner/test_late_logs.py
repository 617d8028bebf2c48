"""Logs that are read when the node has them no more: what the kubelet says instead is no line of the container."""

from __future__ import annotations

import uuid

import anyio
import httpx
import pytest
from podrunner import AsyncPodRunner, ClosePolicy, RunnerConfig, Workload
from tests.support.event_loops import asyncio_only
from tests.support.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.processes]
anyio_backend = asyncio_only  # what reads the log is tested on both

WORDS = ("unable to retrieve container logs for ", "failed to try resolving symlinks in path ")
"""What kubelets say: without the container, and without its file."""


GAP = "*** Log gap in container base (unavailable)"


def kept_in(config: RunnerConfig, folder, follow: str) -> RunnerConfig:
    logs = {"folder": folder, "drain_timeout_s": 2, "follow": follow}
    return config.with_changes(outcome_finalizer=True, logs=logs)


def log_of(http: httpx.Client, path: str) -> str:
    return http.get(f"{path}/log", params={"container": "base"}).text


@pytest.mark.parametrize("is_followed", [True, False])
async def test_the_log_of_a_removed_container_is_a_gap(
    cluster, config: RunnerConfig, namespace: str, tmp_path, *, is_followed: bool
):
    """G11: another client deletes a pod that its finalizer holds; a successor comes when the log is gone."""
    here = kept_in(config, tmp_path / "logs", "all" if is_followed else "end")
    work = Workload(
        key={"test": uuid.uuid4().hex},
        command=["sh", "-c", "echo up; exec sleep 60"],
        log_path="late.log",
        termination_grace_period_s=1,
    )
    async with AsyncPodRunner(here, on_exit=ClosePolicy.DETACH) as first:
        left = await first.launch(work)
        async for line in left.logs():
            assert line == "up"
            break
        file = tmp_path / "logs" / "late.log"
        if is_followed:
            await until(
                lambda: any('"stamp"' in path.read_text() for path in (file.parent / ".cursors").glob("*"))
            )
    path = f"/api/v1/namespaces/{namespace}/pods/{left.name}"
    with cluster.http() as http:
        http.delete(path).raise_for_status()
        with anyio.fail_after(30):
            while not (text := log_of(http, path)).startswith(WORDS):
                assert text in {"up\n", ""}
                await anyio.sleep(0.1)
    async with AsyncPodRunner(here) as second:
        (pod,) = await second.adopt()
        await pod.wait(30)
        await until(lambda: file.exists() and file.read_text().endswith("\n") and GAP in file.read_text())
    *lines, gap = file.read_text().splitlines()
    assert lines == (["up"] if is_followed else [])
    assert gap.startswith(GAP)
    # A busy machine may come to ask for the log only when the pod is gone.
    assert any(words in gap for words in (*WORDS, "404 NotFound"))
