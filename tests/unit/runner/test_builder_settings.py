"""What a runner hands to the builder of its pods, and what it tells of the builder's doubts."""

from __future__ import annotations

import logging

import pytest
from podrunner.builder import safe_label
from podrunner.errors import SpecError
from podrunner.outcome import Category
from tests.unit.runner.harness import Cluster, running, until, workload

AIRFLOW = {"airflow": {"dags": {"kind": "image"}}}


@pytest.mark.anyio
async def test_airflow_workers_bear_the_runners_name(cluster: Cluster):
    """Airflow's label ``airflow-worker`` is its scheduler's uuid: here the runner's name."""
    async with running(cluster, owner="scheduler a", **AIRFLOW) as runner:
        pod = await runner.launch(workload())
        labels = (await pod.manifest())["metadata"]["labels"]
        assert labels["airflow-worker"] == safe_label("scheduler a")


@pytest.mark.anyio
async def test_a_hook_has_the_last_word_on_each_pod(cluster: Cluster):
    def mutate(pod: dict) -> None:
        pod["spec"]["nodeSelector"] = {"disk": "ssd"}

    async with running(cluster, pod_hook=mutate) as runner:
        launched, submitted = await runner.launch(workload(1)), runner.submit(workload(2))
        await until(lambda: submitted.uid)
        for pod in (launched, submitted):
            assert (await pod.manifest())["spec"]["nodeSelector"] == {"disk": "ssd"}


@pytest.mark.anyio
async def test_a_hook_that_fails_costs_its_own_pod_only(cluster: Cluster):
    """L7: an error belongs to the one pod."""

    def mutate(pod: dict) -> None:
        if pod["metadata"]["annotations"]["n"] == "1":
            raise KeyError("team")

    orders = [workload(number, annotations={"n": str(number)}) for number in (1, 2)]
    async with running(cluster, pod_hook=mutate) as runner:
        batch = await runner.launch_many(orders)
        assert [(failure.index, str(failure.error)) for failure in batch.errors] == [
            (0, "the pod hook failed: KeyError: 'team'")
        ]
        assert batch[0].outcome.category is Category.REJECTED_BY_API
        assert batch[1].uid


@pytest.mark.anyio
async def test_a_hook_must_give_a_pod(cluster: Cluster):
    async with running(cluster, pod_hook=lambda _: "pod") as runner:
        with pytest.raises(SpecError, match="the pod hook returned str, not a pod"):
            await runner.launch(workload())


@pytest.mark.anyio
async def test_what_has_no_effect_is_logged_once(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    idle = {"metadata": {"name": "mine"}}
    with caplog.at_level(logging.WARNING, logger="podrunner"):
        async with running(cluster) as runner:
            await runner.launch_many([workload(number, overrides=idle) for number in range(3)])
    assert caplog.messages == ["overrides.metadata.name has no effect: podrunner names pods"]


@pytest.mark.anyio
async def test_a_mistake_is_refused_before_any_request(cluster: Cluster):
    """F2."""
    async with running(cluster) as runner:
        asked = len(cluster.requests)
        for overrides in ({"spec": {"restartPolcy": "Never"}}, {"spec": {"hostNetwork": "true"}}):
            with pytest.raises(SpecError):
                await runner.launch(workload(overrides=overrides))
            with pytest.raises(SpecError):
                runner.submit(workload(overrides=overrides))
        assert [method for _, method, _ in cluster.requests[asked:] if method == "POST"] == []
