"""Metrics for Prometheus, as its own library and its own parser read them."""

from __future__ import annotations

import pytest
from podrunner import CallableSink
from podrunner.integrations import prometheus
from podrunner.integrations.prometheus import PrometheusHooks
from podrunner.outcome import USUAL_FAULT, Category
from podrunner.runner import RetryPolicy
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.fake_server import Fault
from tests.unit.runner.harness import Cluster, read_events, until, workload

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def hooks(registry: CollectorRegistry) -> PrometheusHooks:
    return PrometheusHooks(registry)


async def test_an_outcome_is_counted_by_category_and_fault(cluster, hooks, registry, hooked, play):
    async with hooked(cluster, hooks) as runner:
        await play(runner, cluster, 1)
        await play(runner, cluster, 2, exit_code=1)
    finished = {
        (category, fault): registry.get_sample_value(
            "podrunner_pods_finished_total", {"category": category, "fault": fault}
        )
        for category, fault in [
            ("succeeded", "none"),
            ("failed", "workload"),
            ("node-lost", "infrastructure"),
        ]
    }
    assert finished == {
        ("succeeded", "none"): 1,
        ("failed", "workload"): 1,
        ("node-lost", "infrastructure"): 0,
    }


async def test_stages_requests_and_resources(cluster, hooks, registry, hooked, play):
    limits = {"limits": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "1"}}
    async with hooked(cluster, hooks) as runner:
        pod = await play(runner, cluster, resources=limits)
        run_s = pod.outcome.timings.run_s
    for stage in ("queue", "create", "start", "run"):
        assert registry.get_sample_value(f"podrunner_pod_{stage}_seconds_count") == 1, stage
    created = {"verb": "create", "resource": "pods", "code": "201"}
    assert registry.get_sample_value("podrunner_api_requests_total", created) == 1
    assert registry.get_sample_value("podrunner_api_request_seconds_count", {"verb": "create"}) == 1
    of_success = {"category": "succeeded"}
    cpu = registry.get_sample_value("podrunner_requested_cpu_core_seconds_total", of_success)
    assert cpu == pytest.approx(0.5 * run_s)


async def test_gauges_are_read_when_they_are_asked_for(cluster, hooks, registry, hooked):
    assert registry.get_sample_value("podrunner_runners_open") == 0
    async with hooked(cluster, hooks) as runner:
        pod = runner.submit(workload())
        await until(lambda: pod.uid)
        cluster.play(pod.name)
        await until(lambda: runner.health().undelivered)
        await until(lambda: registry.get_sample_value("podrunner_pods", {"status": "undelivered"}) == 1)
        assert registry.get_sample_value("podrunner_outcomes_undelivered") == 1
        assert registry.get_sample_value("podrunner_watch_staleness_seconds", {"namespace": "default"}) == 0
        await until(lambda: read_events(runner) and not cluster.pods)
        assert registry.get_sample_value("podrunner_outcomes_undelivered") == 0
    assert registry.get_sample_value("podrunner_runners_open") == 0
    assert registry.get_sample_value("podrunner_pods", {"status": "undelivered"}) == 0


async def test_retries_by_cause_and_runs(cluster, hooks, registry, hooked):
    policy = RetryPolicy(attempts=2, wait=0.01, retry_if=lambda _: True)
    async with hooked(cluster, hooks) as runner:
        cluster.faults.append(Fault(lambda request: request.method == "POST", status=503))
        run = runner.run(workload(), retry=policy)
        for number in range(2):
            await until(lambda number=number: len(run.pods) > number and run.pods[number].uid)
            cluster.play(run.pods[number].name, exit_code=1)
        assert (await run.wait(5)).category is Category.FAILED
    assert registry.get_sample_value("podrunner_api_retries_total", {"cause": "server"}) == 1
    assert registry.get_sample_value("podrunner_run_retries_total", {"category": "failed"}) == 1
    assert registry.get_sample_value("podrunner_runs_finished_total", {"category": "failed"}) == 1


async def test_lines_of_logs_and_gaps(cluster, hooks, registry, hooked):
    async def ignore(_):
        """Virtual time does not wait for threads."""

    sink = CallableSink(ignore)
    async with hooked(cluster, hooks, log_sinks=lambda _: [lambda _: sink], logs={}) as runner:
        pod = runner.submit(workload())
        await until(lambda: pod.uid)
        cluster.logs[pod.name] = [f"2026-01-01T00:00:0{n}.000000000Z line {n}" for n in range(3)]
        cluster.play(pod.name)
        await pod.wait(5)
        await until(lambda: read_events(runner) and not cluster.pods)
    assert registry.get_sample_value("podrunner_log_lines_total") == 3
    assert registry.get_sample_value("podrunner_log_bytes_total") > 3 * len("line 1")
    assert registry.get_sample_value("podrunner_log_gaps_total") == 0


async def test_totals_of_a_closed_runner_stay(cluster, hooks, registry, hooked):
    """A counter that goes back would be taken for a restart of the process."""
    seen = []
    for _ in range(2):
        async with hooked(cluster, hooks):
            cluster.end_watches()
            await until(lambda: registry.get_sample_value("podrunner_watch_reconnects_total") > len(seen))
        seen.append(registry.get_sample_value("podrunner_watch_reconnects_total"))
    assert seen[0] < seen[1]


async def test_no_label_has_a_value_of_a_pod(cluster, hooks, registry, hooked, play):
    """Bounded cardinality: many pods make no more time series than one."""
    async with hooked(cluster, hooks) as runner:
        await play(runner, cluster, 1)
        await until(lambda: not cluster.pods)
        first = _series(registry)
        for number in range(2, 8):
            await play(runner, cluster, number)
        assert _series(registry) == first


def _series(registry: CollectorRegistry) -> set[tuple[object, ...]]:
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples}


def test_outcomes_are_counted_from_0_on_by_their_usual_fault():
    usual = {
        (str(category), "none" if fault is None else str(fault)) for category, fault in USUAL_FAULT.items()
    }
    assert {*prometheus._usual_faults()} == usual


def test_one_registry_takes_one_of_them(registry, hooks):
    with pytest.raises(ValueError, match="Duplicated"):
        PrometheusHooks(registry)


async def test_one_object_serves_many_runners(hooks, registry, hooked, play):
    first, second = Cluster(), Cluster()
    async with hooked(first, hooks) as one, hooked(second, hooks, owner="second") as two:
        assert registry.get_sample_value("podrunner_runners_open") == 2
        await play(one, first)
        await play(two, second)
    succeeded = {"category": "succeeded", "fault": "none"}
    assert registry.get_sample_value("podrunner_pods_finished_total", succeeded) == 2
