"""Traces and metrics for OpenTelemetry, as its SDK exports them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import k8s_attributes, process_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes
from opentelemetry.trace import StatusCode
from podrunner.errors import ApiError
from podrunner.integrations.opentelemetry import OpenTelemetryHooks
from podrunner.runner import RetryPolicy
from tests.support.fake_server import Fault
from tests.unit.runner.harness import read_events, until, workload

pytestmark = pytest.mark.anyio

ANY_END = RetryPolicy(attempts=2, wait=0.01, retry_if=lambda _: True)


class Telemetry:
    """The SDK, with exporters in memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider(metric_readers=[self.reader])

    def hooks(self, **options: Any) -> OpenTelemetryHooks:
        return OpenTelemetryHooks(tracer_provider=self.tracers, meter_provider=self.meters, **options)

    def spans(self, name: str = "") -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name.endswith(name)]

    def span(self, name: str) -> ReadableSpan:
        (found,) = self.spans(name)
        return found

    def children(self, parent: ReadableSpan) -> list[str]:
        found = [
            span for span in self.spans() if span.parent and span.parent.span_id == parent.context.span_id
        ]
        return [span.name.removeprefix("podrunner.") for span in sorted(found, key=lambda it: it.start_time)]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return [
            point
            for scope in scopes
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


async def test_a_pod_is_a_run_an_attempt_and_its_stages(cluster, telemetry, hooked, play):
    async with hooked(cluster, telemetry.hooks()) as runner:
        pod = await play(runner, cluster)
        await until(lambda: read_events(runner) and not cluster.pods)
        await until(lambda: telemetry.spans("delete"))
    run, attempt = telemetry.span("podrunner.run"), telemetry.span("attempt")
    assert run.parent is None
    assert telemetry.children(run) == ["attempt"]
    assert set(telemetry.children(attempt)) == {"queue", "create", "execute", "delete"}
    assert attempt.attributes == {
        "k8s.namespace.name": "default",
        "k8s.pod.name": pod.name,
        "k8s.pod.uid": pod.uid,
        "k8s.container.name": "base",
        "podrunner.key": pod.key.identity,
        "podrunner.attempt": 1,
        "podrunner.relaunch": 0,
        "podrunner.adopted": False,
        "podrunner.replayed": False,
        "podrunner.category": "succeeded",
        "process.exit.code": 0,
    }
    assert attempt.status.status_code is StatusCode.UNSET


async def test_the_stages_in_the_cluster_have_its_stamps(cluster, telemetry, hooked, play):
    async with hooked(cluster, telemetry.hooks()) as runner:
        pod = await play(runner, cluster)
        timings = pod.outcome.timings
    execute = telemetry.span("execute")
    assert execute.start_time == timings.started_at.timestamp() * 1e9
    assert execute.end_time == timings.finished_at.timestamp() * 1e9


async def test_a_run_with_retries_is_one_span_with_an_attempt_for_each_pod(cluster, telemetry, hooked):
    async with hooked(cluster, telemetry.hooks()) as runner:
        run = runner.run(workload(), retry=ANY_END)
        for number, exit_code in enumerate((7, 0)):
            await until(lambda number=number: len(run.pods) > number and run.pods[number].uid)
            cluster.play(run.pods[number].name, exit_code=exit_code)
        assert (await run.wait(5)).succeeded
    span = telemetry.span("podrunner.run")
    assert telemetry.children(span) == ["attempt", "attempt"]
    first, second = sorted(telemetry.spans("attempt"), key=lambda it: it.attributes["podrunner.attempt"])
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert (first.attributes["error.type"], first.attributes["process.exit.code"]) == ("failed", 7)
    assert first.attributes["podrunner.fault"] == "workload"
    assert span.status.status_code is StatusCode.UNSET, "as its last attempt"


async def test_a_run_that_is_cancelled_between_two_tries_ends(cluster, telemetry, hooked):
    hooks = telemetry.hooks()
    async with hooked(cluster, hooks) as runner:
        run = runner.run(workload(), retry=RetryPolicy(attempts=2, wait=3600, retry_if=lambda _: True))
        await until(lambda: run.pods and run.pods[0].uid)
        cluster.play(run.pods[0].name, exit_code=1)
        await until(lambda: telemetry.spans("attempt"))
        assert not telemetry.spans("podrunner.run")
        await run.cancel()
        assert telemetry.span("podrunner.run").status.status_code is StatusCode.ERROR
    assert (hooks._spans._runs, hooks._spans._attempts) == ({}, {}), "nothing is kept of it"


async def test_the_span_of_the_caller_is_the_parent(cluster, telemetry, hooked, play):
    tracer = telemetry.tracers.get_tracer("mine")
    async with hooked(cluster, telemetry.hooks()) as runner:
        with tracer.start_as_current_span("request") as request:
            pod = runner.submit(workload())
        with tracer.start_as_current_span("other") as other:
            launched = await runner.launch(workload(2))
        await until(lambda: pod.uid)
        for each in (pod, launched):
            cluster.play(each.name)
            await each.wait(5)
    parents = {span.parent.span_id for span in telemetry.spans("podrunner.run")}
    assert parents == {request.get_span_context().span_id, other.get_span_context().span_id}


async def test_the_pod_has_the_context_of_its_attempt(cluster, telemetry, hooked):
    """W3C: version, trace, span, flags."""
    async with hooked(cluster, telemetry.hooks()) as runner:
        pod = await runner.launch(workload())
        container = cluster.pods["default", pod.name]["spec"]["containers"][0]
        given = {each["name"]: each["value"] for each in container["env"]}
        cluster.play(pod.name)
        await pod.wait(5)
    context = telemetry.span("attempt").context
    ids = f"{context.trace_id:032x}-{context.span_id:016x}"
    assert given == {"TRACEPARENT": f"00-{ids}-{context.trace_flags:02x}"}


async def test_the_context_is_not_passed_where_that_is_not_wanted(cluster, telemetry, hooked):
    async with hooked(cluster, telemetry.hooks(pass_context=False)) as runner:
        pod = await runner.launch(workload())
        assert "env" not in cluster.pods["default", pod.name]["spec"]["containers"][0]


async def test_a_successor_goes_on_with_the_trace(cluster, telemetry, hooked):
    async with hooked(cluster, telemetry.hooks()) as runner:
        name = (await runner.launch(workload())).name
    first = telemetry.span("attempt")
    assert first.attributes["podrunner.relinquished"] is True
    telemetry.exporter.clear()
    async with hooked(cluster, telemetry.hooks()) as runner:
        (pod,) = await runner.adopt()
        cluster.play(name)
        await pod.wait(5)
    run = telemetry.span("podrunner.run")
    assert run.parent.span_id == first.context.span_id
    assert telemetry.span("attempt").attributes["podrunner.adopted"] is True


async def test_a_refused_launch_is_an_error_and_leaves_no_span_open(cluster, telemetry, hooked):
    hooks = telemetry.hooks()
    async with hooked(cluster, hooks) as runner:
        cluster.faults.append(Fault(lambda request: request.method == "POST", status=422))
        with pytest.raises(ApiError):
            await runner.launch(workload())
    assert telemetry.span("podrunner.run").attributes["error.type"] == "rejected-by-api"
    assert (hooks._spans._runs, hooks._spans._attempts) == ({}, {})


async def test_without_an_sdk_nothing_is_passed_and_nothing_fails(cluster, hooked, play):
    async with hooked(cluster, OpenTelemetryHooks()) as runner:
        await play(runner, cluster)
        pod = await runner.launch(workload(2))
        assert "env" not in cluster.pods["default", pod.name]["spec"]["containers"][0]


async def test_metrics(cluster, telemetry, hooked, play):
    async with hooked(cluster, telemetry.hooks()) as runner:
        await play(runner, cluster, 1)
        await play(runner, cluster, 2, exit_code=1)
        finished = {
            point.attributes["podrunner.category"]: point.value
            for point in telemetry.points("podrunner.pods.finished")
        }
        assert finished == {"succeeded": 1, "failed": 1}
        counted = telemetry.points("podrunner.pods")
        assert sum(point.value for point in counted) <= 2
        (stale,) = telemetry.points("podrunner.watch.staleness")
        assert (stale.value, dict(stale.attributes)) == (0.0, {"k8s.namespace.name": "default"})
    for stage in ("queue", "create", "start", "run"):
        (point,) = telemetry.points(f"podrunner.pod.{stage}.duration")
        assert point.count == 2, stage
    asked = {
        (point.attributes["podrunner.api.verb"], point.attributes.get("http.response.status_code"))
        for point in telemetry.points("podrunner.api.request.duration")
    }
    assert ("create", 201) in asked


async def test_no_attribute_of_a_metric_has_a_value_of_a_pod(cluster, telemetry, hooked, play):
    async with hooked(cluster, telemetry.hooks()) as runner:
        pod = await play(runner, cluster)
        await until(lambda: not cluster.pods)
    data = telemetry.reader.get_metrics_data().to_json()
    assert pod.name not in data
    assert pod.uid not in data


def test_the_names_are_those_of_the_conventions():
    """Of attributes: what is not podrunner's own is a current name of OpenTelemetry's semantic conventions."""
    from pathlib import Path

    from podrunner.integrations import opentelemetry, pod_spans

    known = {
        value
        for module in (k8s_attributes, process_attributes, error_attributes, http_attributes)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }
    text = "".join(Path(module.__file__).read_text() for module in (opentelemetry, pod_spans))
    used = set(re.findall(r'"((?:k8s|process|error|http)\.[a-z_.]+)"', text))
    assert len(used) > 5
    assert used <= known
