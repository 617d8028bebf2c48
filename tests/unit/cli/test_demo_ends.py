"""The demo ends also where its pod never runs, where a watch ends early, and where a namespace gets no account."""

from __future__ import annotations

import anyio
import pytest
from podrunner.cli.stage import Stage
from podrunner.cli.story import Narrator, tell
from podrunner.config import RunnerConfig
from podrunner.errors import NotFoundError, SpecError
from podrunner.outcome import Category
from podrunner.workload import Workload
from tests.support.event_loops import both_in_virtual_time
from tests.unit.runner.harness import Cluster

pytestmark = pytest.mark.anyio
anyio_backend = both_in_virtual_time


class _NoAccounts:
    async def call(self, method, path):
        raise NotFoundError(status=404)


async def test_a_namespace_without_a_service_account_is_waited_for_no_longer_than_a_minute(tmp_path) -> None:
    stage = Stage(_NoAccounts(), RunnerConfig(), tmp_path, volumes=tmp_path, real=True)
    with (
        anyio.fail_after(100),
        pytest.raises(SpecError, match="no service account in the new namespace in 60 s"),
    ):
        await stage._until_exists("/api/v1/namespaces/n/serviceaccounts/default")


async def test_a_pod_that_never_runs_ends_the_demo(tmp_path) -> None:
    config = RunnerConfig(
        image="i",
        delete_pods=True,
        delete_pods_on_failure=True,
        logs={"folder": tmp_path},
        pending={"startup_timeout_s": 30},
    )
    workload = Workload(key={"dag_id": "sample_k8s"}, labels={"dag_id": "sample_k8s"}, command=("x",))
    cluster = Cluster()
    with anyio.fail_after(500):
        story = await tell(cluster.client(), config, workload, Narrator(silent=True))
    assert story.outcome.category is Category.STARTUP_TIMEOUT
    assert story.looks == []
    assert not story.succeeded
