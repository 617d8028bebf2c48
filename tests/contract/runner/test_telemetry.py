"""Telemetry of both faces: real pods that are given their trace, and a real scrape."""

from __future__ import annotations

import urllib.request

import anyio
import podrunner
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from podrunner.integrations.opentelemetry import OpenTelemetryHooks
from podrunner.integrations.prometheus import PrometheusHooks
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

pytestmark = [pytest.mark.processes]

SAYS = podrunner.Workload(key={"job": "says"}, command=["sh", "-c", 'echo "$TRACEPARENT"'])


class Traced:
    """The SDK, with an exporter in memory, and a span of the caller."""

    def __init__(self) -> None:
        self.exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.hooks = OpenTelemetryHooks(tracer_provider=provider)
        self.tracer = provider.get_tracer("caller")

    def check(self, said: str, caller_span_id: int) -> None:
        """The pod was given its attempt's context, below the caller's span."""
        spans = {span.name: span for span in self.exporter.get_finished_spans()}
        attempt = spans["podrunner.attempt"].context
        assert said.split("-")[1:3] == [f"{attempt.trace_id:032x}", f"{attempt.span_id:016x}"]
        assert spans["podrunner.run"].parent.span_id == caller_span_id
        assert {"podrunner.queue", "podrunner.create", "podrunner.execute"} <= spans.keys()


def test_the_blocking_face_has_the_span_of_its_caller(config):
    traced = Traced()
    with podrunner.PodRunner(config, hooks=[traced.hooks]) as runner:
        with traced.tracer.start_as_current_span("request") as caller:
            pod = runner.submit(SAYS)
        assert pod.wait(timeout_s=20).succeeded
        said = "".join(pod.logs())
    traced.check(said, caller.get_span_context().span_id)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_asynchronous_face_has_it_too(config, backend):
    traced = Traced()

    async def main() -> tuple[str, int]:
        async with podrunner.AsyncPodRunner(config, hooks=[traced.hooks]) as runner:
            with traced.tracer.start_as_current_span("request") as caller:
                pod = runner.submit(SAYS)
            assert (await pod.wait(20)).succeeded
            async with pod.logs() as lines:
                said = "".join([line async for line in lines])
        return said, caller.get_span_context().span_id

    traced.check(*anyio.run(main, backend=backend))


def test_a_scrape_reads_a_runner_in_another_thread(config):
    registry = CollectorRegistry()
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        with podrunner.PodRunner(config, hooks=[PrometheusHooks(registry)]) as runner:
            assert runner.submit(SAYS).wait(timeout_s=20).succeeded
            url = f"http://127.0.0.1:{server.server_port}/metrics"
            with urllib.request.urlopen(url, timeout=10) as answer:
                text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["podrunner_runners_open",] == 1
    assert samples["podrunner_pods_finished_total", "succeeded", "none"] == 1
    assert samples["podrunner_watch_staleness_seconds", config.namespace] == 0
