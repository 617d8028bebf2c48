"""Metrics for Prometheus: hooks that count, and a collector that reads ``health()`` when it is scraped.

Needs ``podrunner[prometheus]``. No label has a pod's, a key's or a user's value: the number of time series is bounded
by podrunner's own lists, and by the number of namespaces that are watched. Serving the metrics is the embedder's
(``prometheus_client.start_http_server``, or an existing endpoint).
"""

from __future__ import annotations

import threading
from collections import Counter as Tally
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from podrunner import Category, EventKind, Fault, RunnerHooks
from podrunner.integrations.stage_clock import StageClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

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

__all__ = ["PrometheusHooks"]

_SHORT_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""For one request: a create takes about 10 ms at a server that is well, and up to ``request_timeout_s``."""
_WAIT_S: Final = (0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600)
"""For what waits: from a pod on a node that has its image, to one that waits for a node to be bought."""
_RUN_S: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 24 * 3600)
"""For the work itself: from a second to a day."""

_USUALLY: Final = {
    Fault.WORKLOAD: (Category.FAILED, Category.OOM_KILLED, Category.DEADLINE, Category.INIT_FAILED),
    Fault.INFRASTRUCTURE: (
        Category.EVICTED,
        Category.PREEMPTED,
        Category.NODE_LOST,
        Category.REJECTED_BY_NODE,
        Category.UNSCHEDULABLE,
        Category.STARTUP_TIMEOUT,
        Category.DELETED_BY_OTHERS,
    ),
    Fault.CONFIGURATION: (Category.REJECTED_BY_API,),
    Fault.CALLER: (Category.CANCELLED,),
    Fault.UNKNOWN: (Category.IMAGE, Category.CONTAINER_CONFIG, Category.UNKNOWN),
    None: (Category.SUCCEEDED,),
}
"""The faults of categories that are counted from 0 on: of a series that begins with 1, no rate shows the first one."""

_TOTALS: Final = ("relists", "reconnects", "skipped", "events_coalesced")
"""Fields of ``RunnerHealth`` that only grow: what runners that are closed had, counts on."""


class PrometheusHooks(RunnerHooks):
    """Counts what runners do. Give one object to all runners of a process: ``PodRunner(config, hooks=[hooks])``.

    Args:
        registry: Where the metrics are registered; None: prometheus_client's own.

    Raises:
        ValueError: The registry has podrunner's metrics already.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = REGISTRY if registry is None else registry
        self._clock = StageClock()
        self._runners: dict[int, OpenRunner] = {}
        self._before = Tally[str]()
        self._closing = threading.Lock()  # a scrape counts a runner that is being closed once
        self._make_pod_metrics()
        self._make_request_metrics()
        self._registry.register(_Collector(self))

    def _make_pod_metrics(self) -> None:
        self._finished = self._counter(
            "podrunner_pods_finished", "Outcomes of pods", "category", "fault", known=_usual_faults()
        )
        self._replayed = self._counter(
            "podrunner_outcomes_replayed", "Outcomes of earlier launches that were given again"
        )
        self._lost = self._counter("podrunner_pods_lost", "Pods that are another runner's by now")
        self._runs = self._counter("podrunner_runs_finished", "Runs that are over", "category")
        self._tries = self._counter(
            "podrunner_run_retries", "Outcomes after which a run tries again", "category"
        )
        self._stages = {
            "queue": self._histogram("podrunner_pod_queue_seconds", "Waiting in the queue", _WAIT_S),
            "create": self._histogram("podrunner_pod_create_seconds", "Being created", _SHORT_S),
            "start": self._histogram("podrunner_pod_start_seconds", "From creation to start", _WAIT_S),
            "run": self._histogram("podrunner_pod_run_seconds", "Running of the main container", _RUN_S),
        }
        self._cpu = self._counter(
            "podrunner_requested_cpu_core_seconds", "CPU requests times the seconds of the run", "category"
        )
        self._memory = self._counter(
            "podrunner_requested_memory_byte_seconds",
            "Memory requests times the seconds of the run",
            "category",
        )
        self._gpu = self._counter(
            "podrunner_requested_gpu_seconds", "GPU requests times the seconds of the run", "category"
        )

    def _make_request_metrics(self) -> None:
        self._requests = self._counter(
            "podrunner_api_requests",
            "Requests to the API server; code 0: no answer",
            "verb",
            "resource",
            "code",
        )
        self._request_s = Histogram(
            "podrunner_api_request_seconds",
            "Seconds of a request to the API server; of a stream, until it begins",
            ["verb"],
            buckets=_SHORT_S,
            registry=self._registry,
        )
        self._retries = self._counter(
            "podrunner_api_retries", "Requests of launches and deletions that are sent again", "cause"
        )
        self._log_lines = self._counter("podrunner_log_lines", "Lines of log that were read for sinks")
        self._log_bytes = self._counter("podrunner_log_bytes", "Bytes of log that were read for sinks")
        self._log_gaps = self._counter("podrunner_log_gaps", "Gaps in logs")
        self._log_troubles = self._counter("podrunner_log_troubles", "Logs that could not be collected")

    def _counter(self, name: str, text: str, *labels: str, known: Iterable[tuple[str, ...]] = ()) -> Counter:
        counter = Counter(name, text, labels, registry=self._registry)
        for values in known:
            counter.labels(*values)  # from 0 on: else the first one is no increase
        return counter

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, f"{text}, in seconds", buckets=buckets, registry=self._registry)

    # What runners call

    def on_open(self, runner: OpenRunner, /) -> None:
        """The gauges count this runner too."""
        with self._closing:
            self._runners[id(runner)] = runner

    def on_close(self, runner: OpenRunner, /) -> None:
        """The gauges count it no more; its totals stay."""
        with self._closing:
            self._before.update(_totals(runner.health()))
            self._runners.pop(id(runner), None)

    def on_event(self, event: RunnerEvent, /) -> None:
        """Counts outcomes, gaps and losses."""
        match event.kind:
            case EventKind.FINISHED if event.outcome is not None and event.replayed:
                self._replayed.inc()
            case EventKind.FINISHED if event.outcome is not None:
                self._count(event.outcome, will_retry=event.will_retry)
            case EventKind.LOST:
                self._lost.inc()
            case EventKind.LOG_GAP:
                self._log_gaps.inc()
            case EventKind.LOG_TROUBLE:
                self._log_troubles.inc()
            case _:
                pass
        for stage, seconds in self._clock.event(event):
            self._stages[stage].observe(seconds)

    def _count(self, outcome: Outcome, *, will_retry: bool) -> None:
        category, timings = str(outcome.category), outcome.timings
        self._finished.labels(category, _name(outcome.fault)).inc()
        if will_retry:
            self._tries.labels(category).inc()
        self._cpu.labels(category).inc(timings.cpu_core_s or 0)
        self._memory.labels(category).inc(timings.memory_byte_s or 0)
        self._gpu.labels(category).inc(timings.gpu_s or 0)

    def on_move(self, move: PodMove, /) -> None:
        """Measures the stages."""
        for stage, seconds in self._clock.move(move):
            self._stages[stage].observe(seconds)

    def on_run_end(self, end: RunEnd, /) -> None:
        """Counts runs."""
        if end.outcome is not None:
            self._runs.labels(str(end.outcome.category)).inc()

    def on_request(self, request: ApiRequest, /) -> None:
        """Counts requests."""
        self._requests.labels(request.verb, request.resource, str(request.code)).inc()
        self._request_s.labels(request.verb).observe(request.seconds)

    def on_retry(self, retried: RequestRetried, /) -> None:
        """Counts requests that are sent again."""
        self._retries.labels(retried.cause).inc()

    def on_log(self, read: LogRead, /) -> None:
        """Counts the lines of logs."""
        self._log_lines.inc(read.lines)
        self._log_bytes.inc(read.size_bytes)

    # What a scrape asks

    def collect(self) -> Iterator[Metric]:
        """Returns the metrics that are read when they are asked for. For all threads."""
        with self._closing:
            healths, totals = [runner.health() for runner in self._runners.values()], Tally(self._before)
        yield from _gauges(healths)
        yield from _watches(healths)
        pods = GaugeMetricFamily("podrunner_pods", "Pods by status", labels=["status"])
        for status, count in self._clock.counts.items():
            pods.add_metric([status], count)
        yield pods
        for health in healths:
            totals.update(_totals(health))
        for name, text in _TOTAL_TEXTS.items():
            yield CounterMetricFamily(f"podrunner_{_TOTAL_NAMES.get(name, name)}", text, value=totals[name])


_TOTAL_TEXTS: Final = {
    "relists": "Complete lists of pods after a watch's first",
    "reconnects": "Watch connections after a watch's first",
    "skipped": "Objects that could not be read, or are not the runner's",
    "events_coalesced": "Events that gave way to newer ones, as the reader was slow",
}
_TOTAL_NAMES: Final = {name: f"watch_{name}" for name in ("relists", "reconnects", "skipped")}
_GAUGE_TEXTS: Final = {
    "active": ("pods_active", "Pods without an outcome"),
    "undelivered": ("outcomes_undelivered", "Outcomes that no reader took; each pod stays until then"),
    "submitted": ("submissions_waiting", "Submissions that wait or are being created"),
    "runs": ("runs_active", "Runs that are not over"),
    "events_waiting": ("events_waiting", "Events that wait for poll_events"),
    "logs_waiting": ("logs_waiting", "Logs that wait for a connection"),
    "deletes_failing": ("deletes_failing", "Pods whose deletion keeps failing"),
}


class _Collector:
    """Registered in the hooks' place: prometheus_client asks one that does not describe itself at once."""

    def __init__(self, hooks: PrometheusHooks) -> None:
        self._hooks = hooks

    def collect(self) -> Iterator[Metric]:
        return self._hooks.collect()

    def describe(self) -> Iterator[Metric]:
        return self._hooks.collect()


def _usual_faults() -> Iterator[tuple[str, str]]:
    for fault, categories in _USUALLY.items():
        for category in categories:
            yield str(category), _name(fault)


def _name(fault: object) -> str:
    return "none" if fault is None else str(fault)


def _totals(health: RunnerHealth) -> dict[str, int]:
    return {name: getattr(health, name) for name in _TOTALS}


def _gauges(healths: list[RunnerHealth]) -> Iterator[Metric]:
    yield GaugeMetricFamily("podrunner_runners_open", "Runners that are open", value=len(healths))
    without = sum(health.lease not in {"held", "off"} for health in healths)
    yield GaugeMetricFamily("podrunner_leases_lost", "Open runners that lost their Lease", value=without)
    for field, (name, text) in _GAUGE_TEXTS.items():
        total = sum(getattr(health, field) for health in healths)
        yield GaugeMetricFamily(f"podrunner_{name}", text, value=total)


def _watches(healths: list[RunnerHealth]) -> Iterator[Metric]:
    labels = ["namespace"]
    stale = GaugeMetricFamily(
        "podrunner_watch_staleness_seconds", "Seconds since a watch broke", labels=labels
    )
    silent = GaugeMetricFamily(
        "podrunner_watch_last_event_age_seconds", "Seconds since a watch's last sign of life", labels=labels
    )
    by_namespace: dict[str, tuple[float, float]] = {}
    for watch in (watch for health in healths for watch in health.watches):
        name = watch.namespace or "*"
        known = by_namespace.get(name, (0.0, 0.0))
        by_namespace[name] = max(known[0], watch.interrupted_s), max(known[1], watch.last_event_age_s or 0.0)
    for namespace, (stale_s, silent_s) in by_namespace.items():
        stale.add_metric([namespace], stale_s)
        silent.add_metric([namespace], silent_s)
    yield from (stale, silent)
