"""The tests of log_service.py, on a LocalCluster: a job that succeeds, and ends that a script plays.

Run them: ``pytest examples/test_log_service.py``. Needs podrunner[local] and pytest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import podrunner
import pytest
from aiohttp.test_utils import TestClient, TestServer
from log_service import make_app

pytestmark = pytest.mark.anyio  # anyio's own plugin: it comes with podrunner

FATES = {
    "oom-killed": podrunner.Lifecycle(running_s=0.2, exit_code=137, reason="OOMKilled", log=["reading"]),
    "image": podrunner.Lifecycle(waiting_reason="ImagePullBackOff", waiting_message="not found"),
    "node-lost": podrunner.Lifecycle(running_s=0.2, pod_reason="NodeLost", log=["reading"]),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def config() -> Iterator[podrunner.RunnerConfig]:
    with podrunner.LocalCluster.blocking() as cluster:
        for name, life in FATES.items():
            cluster.script({"job": name}, life)
        yield podrunner.RunnerConfig(kubeconfig=cluster.kubeconfig, image="any", pending={"image_grace_s": 0})


async def test_the_log_comes_line_by_line_and_then_the_outcome(config: podrunner.RunnerConfig) -> None:
    async with TestClient(TestServer(make_app(config))) as client:
        answer = await client.post("/jobs/mine", data="echo one; echo two")
        lines = (await answer.text()).split("\n\n")
    assert lines[:2] == ["data: one", "data: two"]
    assert json.loads(lines[2].partition("data: ")[2])["category"] == "succeeded"


@pytest.mark.parametrize("fate", FATES)
async def test_a_job_that_ends_badly_says_why(config: podrunner.RunnerConfig, fate: str) -> None:
    async with TestClient(TestServer(make_app(config))) as client:
        stream = await (await client.post(f"/jobs/{fate}", data="true")).text()
    outcome = json.loads(stream.rpartition("data: ")[2])
    assert (outcome["category"], outcome["fault"] == "workload") == (fate, fate == "oom-killed")
