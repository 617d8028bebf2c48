"""Traces and metrics for OpenTelemetry, by its API alone: which SDK exports them where is the embedder's choice.

Needs ``podrunner[opentelemetry]``. Names of attributes are those of the semantic conventions where there are some
(``k8s.*``, ``error.type``, ``http.response.status_code``, ``process.exit.code``); all others begin with ``podrunner.``.
No attribute of a metric has a value of a pod, a key or a user.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace
from opentelemetry.metrics import Observation

from podrunner import EventKind, RunnerHooks
from podrunner.integrations.pod_spans import PodSpans, outcome_attributes
from podrunner.integrations.stage_clock import StageClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.metrics import CallbackOptions, MeterProvider
    from opentelemetry.trace import TracerProvider

    from podrunner.kube import ApiRequest
    from podrunner.outcome import Outcome
    from podrunner.runner import (
        LogRead,
        OpenRunner,
        PodMove,
        RequestRetried,
        RunEnd,
        RunnerEvent,
        RunnerHealth,
    )
    from podrunner.workload import WorkloadKey

__all__ = ["OpenTelemetryHooks"]

_SCOPE: Final = "podrunner"
_SHORT_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LONG_S: Final = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600)


class OpenTelemetryHooks(RunnerHooks):
    """Makes spans and metrics of what runners do. Give one object to all runners of a process.

    A run is a span, and a child of the span that was current when it was submitted; its attempts are children, and
    their stages children of those. Each pod has its attempt's context as ``TRACEPARENT`` (and ``TRACESTATE``) in the
    environment of its main container.

    Args:
        tracer_provider: Makes the spans; None: the global one.
        meter_provider: Makes the metrics; None: the global one.
        pass_context: Whether pods are given the context.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        pass_context: bool = True,
    ) -> None:
        made_by = version("podrunner")
        self._spans = PodSpans(trace.get_tracer(_SCOPE, made_by, tracer_provider))
        self._meter = metrics.get_meter(_SCOPE, made_by, meter_provider)
        self._pass_context = pass_context
        self._clock = StageClock()
        self._runners: dict[int, OpenRunner] = {}
        self._make_counters()
        self._make_histograms()
        self._make_observed()

    def _make_counters(self) -> None:
        count = self._meter.create_counter
        self._finished = count("podrunner.pods.finished", "{pod}", "Outcomes of pods")
        self._replayed = count("podrunner.outcomes.replayed", "{pod}", "Outcomes that were given again")
        self._lost = count("podrunner.pods.lost", "{pod}", "Pods that are another runner's by now")
        self._runs = count("podrunner.runs.finished", "{run}", "Runs that are over")
        self._tries = count("podrunner.run.retries", "{pod}", "Outcomes after which a run tries again")
        self._retries = count("podrunner.api.retries", "{request}", "Requests that are sent again")
        self._log_lines = count("podrunner.log.lines", "{line}", "Lines of log that were read for sinks")
        self._log_bytes = count("podrunner.log.size", "By", "Bytes of log that were read for sinks")
        self._log_gaps = count("podrunner.log.gaps", "{gap}", "Gaps in logs")
        self._log_troubles = count("podrunner.log.troubles", "{log}", "Logs that could not be collected")
        self._cpu = count("podrunner.requested.cpu.time", "s", "CPU requests times the seconds of the run")
        self._memory = count("podrunner.requested.memory.time", "By.s", "Memory requests times the seconds")
        self._gpu = count("podrunner.requested.gpu.time", "s", "GPU requests times the seconds of the run")

    def _make_histograms(self) -> None:
        def measure(name: str, text: str, buckets: tuple[float, ...]) -> Any:
            return self._meter.create_histogram(name, "s", text, explicit_bucket_boundaries_advisory=buckets)

        self._stages = {
            "queue": measure("podrunner.pod.queue.duration", "Waiting in the queue", _LONG_S),
            "create": measure("podrunner.pod.create.duration", "Being created", _SHORT_S),
            "start": measure("podrunner.pod.start.duration", "From creation to start", _LONG_S),
            "run": measure("podrunner.pod.run.duration", "Running of the main container", _LONG_S),
        }
        self._request_s = measure("podrunner.api.request.duration", "Requests to the API server", _SHORT_S)

    def _make_observed(self) -> None:
        observe, add = self._meter.create_observable_gauge, self._meter.create_observable_up_down_counter
        add("podrunner.pods", [self._observe_pods], "{pod}", "Pods by status")
        add("podrunner.outcomes.undelivered", [self._observe_undelivered], "{pod}", "Outcomes not delivered")
        observe("podrunner.watch.staleness", [self._observe_staleness], "s", "Seconds since a watch broke")

    # What runners call

    def on_open(self, runner: OpenRunner, /) -> None:
        """The observed metrics count this runner too."""
        self._runners[id(runner)] = runner

    def on_close(self, runner: OpenRunner, /) -> None:
        """They count it no more."""
        self._runners.pop(id(runner), None)

    def on_move(self, move: PodMove, /) -> None:
        """Begins and ends spans, and measures the stages."""
        self._spans.move(move)
        self._record(self._clock.move(move))

    def on_event(self, event: RunnerEvent, /) -> None:
        """Ends an attempt's span, and counts."""
        self._spans.event(event)
        self._record(self._clock.event(event))
        match event.kind:
            case EventKind.FINISHED if event.outcome is not None and event.replayed:
                self._replayed.add(1)
            case EventKind.FINISHED if event.outcome is not None:
                self._count(event.outcome, will_retry=event.will_retry)
            case EventKind.LOST:
                self._lost.add(1)
            case EventKind.LOG_GAP:
                self._log_gaps.add(1)
            case EventKind.LOG_TROUBLE:
                self._log_troubles.add(1)
            case _:
                pass

    def _record(self, ended: Iterable[tuple[str, float]]) -> None:
        for stage, seconds in ended:
            self._stages[stage].record(seconds)

    def _count(self, outcome: Outcome, *, will_retry: bool) -> None:
        attributes, timings = outcome_attributes(outcome), outcome.timings
        self._finished.add(1, attributes)
        if will_retry:
            self._tries.add(1, attributes)
        self._cpu.add(timings.cpu_core_s or 0, attributes)
        self._memory.add(timings.memory_byte_s or 0, attributes)
        self._gpu.add(timings.gpu_s or 0, attributes)

    def on_run_end(self, end: RunEnd, /) -> None:
        """Ends a run's span, and counts."""
        self._spans.run_end(end)
        if end.outcome is not None:
            self._runs.add(1, outcome_attributes(end.outcome))

    def on_request(self, request: ApiRequest, /) -> None:
        """Measures requests."""
        attributes: dict[str, Any] = {
            "podrunner.api.verb": request.verb,
            "podrunner.api.resource": request.resource,
        }
        if request.code:
            attributes["http.response.status_code"] = request.code
        if not request.code or request.code >= 400:
            attributes["error.type"] = str(request.code) if request.code else "no-answer"
        self._request_s.record(request.seconds, attributes)

    def on_retry(self, retried: RequestRetried, /) -> None:
        """Counts requests that are sent again."""
        self._retries.add(1, {"podrunner.cause": retried.cause})

    def on_log(self, read: LogRead, /) -> None:
        """Counts the lines of logs."""
        self._log_lines.add(read.lines)
        self._log_bytes.add(read.size_bytes)

    def pod_env(self, key: WorkloadKey, namespace: str, name: str, /) -> Mapping[str, str]:
        """Returns the context of the pod's attempt."""
        del key
        return self._spans.env(namespace, name) if self._pass_context else {}

    # What an export asks

    def _healths(self) -> list[RunnerHealth]:
        return [runner.health() for runner in tuple(self._runners.values())]

    def _observe_pods(self, _: CallbackOptions) -> Iterator[Observation]:
        for status, count in self._clock.counts.items():
            yield Observation(count, {"podrunner.status": status})

    def _observe_undelivered(self, _: CallbackOptions) -> Iterator[Observation]:
        yield Observation(sum(health.undelivered for health in self._healths()))

    def _observe_staleness(self, _: CallbackOptions) -> Iterator[Observation]:
        longest: dict[str, float] = {}
        for watch in (watch for health in self._healths() for watch in health.watches):
            name = watch.namespace or "*"
            longest[name] = max(longest.get(name, 0.0), watch.interrupted_s)
        for namespace, seconds in longest.items():
            yield Observation(seconds, {"k8s.namespace.name": namespace})
