"""Log files of finished pods, and reading them back."""

from __future__ import annotations

import pytest
from tests.support.event_loops import asyncio_only
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio


anyio_backend = asyncio_only  # files are written in threads, for which virtual time does not wait


async def test_the_log_is_in_its_file_when_the_pod_is_gone(cluster: Cluster, tmp_path):
    """G4, and no cursor is left over."""
    async with running(cluster, logs={"folder": tmp_path}) as runner:
        pod = await runner.launch(workload(log_path="dag/task/1.log"))
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z hello"]
        cluster.play(pod.name)
        await pod.wait(5)
        await until(lambda: not runner.pods())
        path = tmp_path / "dag" / "task" / "1.log"
        await until(lambda: [it.name for it in path.parent.iterdir()] == ["1.log"])
        assert path.read_text() == "hello\n"
        document = await pod.read_log()
        assert str(document) == f"*** Reading local file: {path}\nhello\n"
        assert [line async for line in pod.logs()] == ["hello"]
        assert pod.log_path == "dag/task/1.log"


async def test_a_log_that_cannot_be_written_does_not_fail_the_pod(cluster: Cluster, tmp_path):
    """G8."""
    (tmp_path / "dag").write_text("in the way")
    async with running(cluster, logs={"folder": tmp_path}) as runner:
        pod = await runner.launch(workload(log_path="dag/1.log"))
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        await until(lambda: not cluster.pods)
        assert pod.log_status is not None
        assert pod.log_status.errors


async def test_without_a_file_the_pod_is_read(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z a", "2024-05-01T10:20:30.000000002Z b"]
        assert (await pod.read_log(tail_lines=1)).lines == ("b",)
