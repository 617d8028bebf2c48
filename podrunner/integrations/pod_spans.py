"""Spans of OpenTelemetry: one for each run, with children for its attempts and for their stages.

The stages that this process carries out have its clock's times; those in the cluster have the cluster's stamps, of
whole seconds and by other clocks. What is measured in numbers belongs to :mod:`podrunner.integrations.opentelemetry`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from podrunner import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from podrunner.outcome import Outcome, Timings
    from podrunner.runner import PodMove, RunEnd, RunnerEvent
    from podrunner.workload import WorkloadKey

__all__ = ["PodSpans", "outcome_attributes"]

_DONE: Final = frozenset({"Finished", "Relinquished"})
_STAGES: Final = {"Queued": "podrunner.queue", "Creating": "podrunner.create", "Removing": "podrunner.delete"}
"""The stages that this process carries out, by the state of the pod meanwhile."""
_LONGEST_MESSAGE: Final = 512

_Place = tuple[str, str]
"""Namespace and name, or namespace and identity."""


@dataclass(slots=True)
class _Run:
    """A run, or a single pod that is none of a run.

    Attributes:
        span: Its span.
        open: How many of its attempts have no outcome.
        is_over: Whether there is no further attempt.
    """

    span: Span
    open: int = 0
    is_over: bool = False


@dataclass(slots=True)
class _Attempt:
    """One pod.

    Attributes:
        span: Its span.
        run: Its run.
        run_place: That run's place.
        since_ns: When its present state began.
        is_ended: Whether its span is ended: the pod may still be deleted.
    """

    span: Span
    run: _Run
    run_place: _Place
    since_ns: int
    is_ended: bool = False

    @property
    def context(self) -> Context:
        return trace.set_span_in_context(self.span)


class PodSpans:
    """Makes the spans.

    Args:
        tracer: Makes each of them.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()
        self._runs: dict[_Place, _Run] = {}
        self._attempts: dict[_Place, _Attempt] = {}

    def env(self, namespace: str, name: str) -> Mapping[str, str]:
        """Returns the trace context of a pod's attempt, as environment variables."""
        attempt = self._attempts.get((namespace, name))
        carrier: dict[str, str] = {}
        if attempt is not None:
            self._propagator.inject(carrier, attempt.context)
        return {field.upper(): value for field, value in carrier.items()}

    def move(self, move: PodMove) -> None:
        """A pod came to its next state."""
        place, now_ns = (move.namespace, move.name), time.time_ns()
        attempt = self._attempts.get(place)
        if attempt is not None and move.before == "New":
            self._give_up(attempt)  # of the same name, and gone
            attempt = None
        if attempt is None and move.state not in _DONE:
            attempt = self._attempts[place] = self._begin(move, now_ns)
        elif attempt is not None:
            self._leave(attempt, move, now_ns)
            if move.state in _DONE:
                del self._attempts[place]
                self._done(attempt, move)

    def _leave(self, attempt: _Attempt, move: PodMove, now_ns: int) -> None:
        stage = _STAGES.get(move.before)
        if stage is not None:
            self._stage(attempt, stage, attempt.since_ns, now_ns)
        attempt.since_ns = now_ns
        if move.uid and not attempt.is_ended:
            attempt.span.set_attribute("k8s.pod.uid", move.uid)

    def _done(self, attempt: _Attempt, move: PodMove) -> None:
        if attempt.is_ended:
            return
        if move.outcome is None:
            self._give_up(attempt)
        else:  # it is reported by the exception of a call, not by an event
            self._end(attempt, move.outcome, will_retry=False)

    def _give_up(self, attempt: _Attempt) -> None:
        """No outcome comes from here."""
        if not attempt.is_ended:
            attempt.span.set_attribute("podrunner.relinquished", value=True)
            self._end(attempt, None, will_retry=False)

    def _begin(self, move: PodMove, now_ns: int) -> _Attempt:
        run_place = (move.namespace, move.key.identity)
        run = self._runs.get(run_place)
        if run is None:
            run = self._runs[run_place] = _Run(self._run_span(move, now_ns))
        run.open += 1
        span = self._tracer.start_span(
            "podrunner.attempt",
            trace.set_span_in_context(run.span),
            attributes={
                **_place_attributes(move.namespace, move.key),
                "k8s.pod.name": move.name,
                "podrunner.attempt": move.key.attempt,
                "podrunner.relaunch": move.key.relaunch,
                "podrunner.adopted": bool(move.uid),
                **({"k8s.pod.uid": move.uid} if move.uid else {}),
            },
            start_time=now_ns,
        )
        return _Attempt(span, run, run_place, now_ns)

    def _run_span(self, move: PodMove, now_ns: int) -> Span:
        """Begins a run, as a child of the caller's span, or of the attempt that an earlier runner began."""
        before = self._propagator.extract({"traceparent": move.traceparent}) if move.traceparent else None
        attributes = _place_attributes(move.namespace, move.key)
        return self._tracer.start_span("podrunner.run", before, attributes=attributes, start_time=now_ns)

    def event(self, event: RunnerEvent) -> None:
        """An event about a pod."""
        attempt = self._attempts.get((event.namespace, event.name))
        if attempt is None or attempt.is_ended:
            return
        if event.kind is EventKind.LOST:
            self._give_up(attempt)
        elif event.kind is EventKind.LOG_GAP:
            attempt.span.add_event("podrunner.log_gap", {"podrunner.message": event.message})
        elif event.kind is EventKind.FINISHED and event.outcome is not None:
            attempt.span.set_attribute("podrunner.replayed", event.replayed)
            self._end(attempt, event.outcome, will_retry=event.will_retry)

    def run_end(self, end: RunEnd) -> None:
        """A run is over: with the outcome of its last attempt, whose event follows, or between two."""
        place = (end.namespace, end.key.identity)
        run = self._runs.get(place)
        if run is not None:
            run.is_over = True
            if not run.open:
                self._end_run(place, run, end.outcome)

    def _end(self, attempt: _Attempt, outcome: Outcome | None, *, will_retry: bool) -> None:
        attempt.is_ended = True
        attempt.run.open -= 1
        if outcome is not None:
            for name, start, end in _cluster_stages(outcome.timings):
                self._stage(attempt, name, _ns(start), _ns(end))
            _conclude(attempt.span, outcome)
        attempt.span.end()
        goes_on = will_retry and not attempt.run.is_over
        if not goes_on and not attempt.run.open:
            self._end_run(attempt.run_place, attempt.run, outcome)

    def _end_run(self, place: _Place, run: _Run, outcome: Outcome | None) -> None:
        if self._runs.get(place) is run:
            del self._runs[place]
            if outcome is not None:
                _conclude(run.span, outcome)
            run.span.end()

    def _stage(self, attempt: _Attempt, name: str, start_ns: int, end_ns: int) -> None:
        span = self._tracer.start_span(name, attempt.context, start_time=start_ns)
        span.end(max(start_ns, end_ns))


def outcome_attributes(outcome: Outcome) -> dict[str, Any]:
    """Returns the attributes that spans and metrics have of an outcome. All have few values."""
    category = str(outcome.category)
    attributes = {"podrunner.category": category}
    if not outcome.succeeded:
        attributes |= {"error.type": category, "podrunner.fault": str(outcome.fault or "none")}
    return attributes


def _conclude(span: Span, outcome: Outcome) -> None:
    span.set_attributes(outcome_attributes(outcome))
    if outcome.exit_code is not None:
        span.set_attribute("process.exit.code", outcome.exit_code)
    if outcome.container is not None:
        span.set_attribute("k8s.container.name", outcome.container)
    if not outcome.succeeded:
        span.set_status(Status(StatusCode.ERROR, outcome.message[:_LONGEST_MESSAGE]))


def _place_attributes(namespace: str, key: WorkloadKey) -> dict[str, Any]:
    return {"k8s.namespace.name": namespace, "podrunner.key": key.identity}


def _cluster_stages(timings: Timings) -> Iterator[tuple[str, datetime, datetime]]:
    """Returns the stages that the cluster has stamped: both ends are known, and in order."""
    created, scheduled = timings.created_at, timings.scheduled_at
    started, finished = timings.started_at, timings.finished_at
    if created is not None and scheduled is not None:
        yield "podrunner.schedule", created, scheduled
    if scheduled is not None and started is not None:
        yield "podrunner.start", scheduled, started
    if started is not None and finished is not None:
        yield "podrunner.execute", started, finished


def _ns(time_: datetime) -> int:
    return round(time_.timestamp() * 1_000_000) * 1000
