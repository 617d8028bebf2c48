"""Records, states and inputs of a pod's life, for the tests of its state machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from podrunner.builder import labels
from podrunner.config import RunnerConfig
from podrunner.errors import TransportError
from podrunner.outcome import NO_HISTORY, Outcome, classify, remember, why
from podrunner.outcome.record import Pod
from podrunner.outcome.stored import encode_outcome
from podrunner.runner import effects, inputs
from podrunner.runner.deadlines import Clocks
from podrunner.runner.effects import Emit
from podrunner.runner.events import EventKind
from podrunner.runner.states import (
    Active,
    AwaitingFinalStatus,
    Creating,
    Delivery,
    Disposal,
    Draining,
    Enriching,
    Finished,
    New,
    Queued,
    Recording,
    Relinquished,
    Removing,
    Reporting,
    Rules,
    Snapshot,
    State,
    Terminating,
    Termination,
    Undelivered,
)
from tests.support.pods import ended, pod, runs, waits

KEEP, DELETE = {"delete_pods": False}, {"delete_pods": True}
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

PENDING = pod("Pending", waits("base", "ContainerCreating"))
NO_IMAGE = pod("Pending", waits("base", "ImagePullBackOff"))
RUNNING = pod("Running", runs("base"), version="2")
EXITED = pod("Running", ended("base", 3), version="3")  # the kubelet's reason is still to come
FAILED = pod("Failed", ended("base", 3), version="4")
SUCCEEDED = pod("Succeeded", ended("base"), version="4")
DELETED = pod("Running", runs("base"), deleted_at=20, grace_s=40, version="5")
NODE_LOST = pod("Running", runs("base"), reason="NodeLost", version="3")
BY_DEADLINE = pod("Failed", ended("base", 143, end=22), reason="DeadlineExceeded", version="6")
SIDECAR_GOES_ON = pod("Running", ended("base"), runs("sidecar"), version="4")
# Deleted and unscheduled: only a finalizer keeps it.
HELD = pod("Pending", node=None, deleted_at=20, version="5")


def classified(record: Pod, **knowledge: Any) -> Outcome:
    """The outcome of a record of a pod that is over."""
    outcome = classify(record, main_container="base", **knowledge)
    assert outcome is not None
    return outcome


OUTCOME = classified(SUCCEEDED)
FAILURE = classified(FAILED)
CANCELLATION = classified(RUNNING, vanished=True, cancelled=True)


def rules(**settings: Any) -> Rules:
    """The rules of a pod of a runner with these settings."""
    return Rules("base", RunnerConfig(image="i", cluster="kubeconfig", **settings))


RULES = rules()


# Records


def with_grace(record: Pod, grace_s: int | None) -> Pod:
    """A record of a pod with a grace period of its own."""
    return replace(record, spec=replace(record.spec, termination_grace_period_seconds=grace_s))


def held(record: Pod, *finalizers: str) -> Pod:
    """A record of a pod that finalizers hold."""
    return replace(record, metadata=replace(record.metadata, finalizers=list(finalizers)))


def written(record: Pod, *, outcome: Outcome | None = None, verdict: Outcome | None = None) -> Pod:
    """A record of a pod that bears an outcome, a verdict, or both."""
    annotations = dict(record.metadata.annotations or {})
    for name, each in ((labels.OUTCOME, outcome), (labels.VERDICT, verdict)):
        if each is not None:
            annotations[name] = encode_outcome(each, uid=record.metadata.uid)
    return replace(record, metadata=replace(record.metadata, annotations=annotations))


# States


def snapshot(record: Pod = RUNNING, *, first_seen_s: float = 0.0) -> Snapshot:
    history = remember(NO_HISTORY, record, main_container=RULES.main_container)
    said = why(record, history=history, main_container=RULES.main_container)
    return Snapshot(pod=record, status="Running", first_seen_s=first_seen_s, history=history, said=said)


def active(record: Pod = RUNNING, *, by: Rules = RULES, has_deadline: bool = False) -> Active:
    return Active(rules=by, snapshot=snapshot(record), clocks=Clocks(), has_deadline=has_deadline)


def terminating(record: Pod = RUNNING, *, by: Rules = RULES, **termination: Any) -> Terminating:
    return Terminating(
        rules=by, snapshot=snapshot(record), clocks=Clocks(), termination=Termination(**termination)
    )


def awaiting(record: Pod = EXITED, *, termination: Termination | None = None) -> AwaitingFinalStatus:
    return AwaitingFinalStatus(
        rules=RULES, snapshot=snapshot(record), clocks=Clocks(), termination=termination
    )


def enriching(
    record: Pod = SUCCEEDED,
    *,
    by: Rules = RULES,
    termination: Termination | None = None,
    gone: bool = False,
    provisional: Outcome = OUTCOME,
) -> Enriching:
    return Enriching(
        rules=by, snapshot=snapshot(record), provisional=provisional, termination=termination, gone=gone
    )


def recording(
    record: Pod = SUCCEEDED,
    *,
    outcome: Outcome = OUTCOME,
    termination: Termination | None = None,
    gone: bool = False,
) -> Recording:
    return Recording(
        rules=RULES, snapshot=snapshot(record), outcome=outcome, termination=termination, gone=gone
    )


UNTAKEN = Delivery()
TAKEN = Delivery(is_taken=True)


def settled(
    kind: Callable[..., Any],
    record: Pod = SUCCEEDED,
    *,
    by: Rules = RULES,
    gone: bool = False,
    disposal: Disposal = Disposal.RETAIN,
    delivery: Delivery = UNTAKEN,
) -> Any:
    return kind(
        rules=by,
        snapshot=snapshot(record),
        outcome=OUTCOME,
        gone=gone,
        disposal=disposal,
        delivery=delivery,
    )


def finished(record: Pod = SUCCEEDED, *, gone: bool = False) -> Finished:
    return Finished(rules=RULES, snapshot=snapshot(record), outcome=OUTCOME, gone=gone)


STATES: dict[type[State], State] = {
    New: New(rules=RULES),
    Queued: Queued(rules=RULES),
    Creating: Creating(rules=RULES),
    Active: active(),
    Terminating: terminating(),
    AwaitingFinalStatus: awaiting(),
    Enriching: enriching(),
    Recording: recording(),
    Draining: settled(Draining),
    Undelivered: settled(Undelivered),
    Reporting: settled(Reporting),
    Removing: settled(Removing),
    Finished: finished(),
    Relinquished: Relinquished(rules=RULES),
}
"""A state of each kind."""

INPUTS: dict[type[inputs.Input], inputs.Input] = {
    type(one): one
    for one in (
        inputs.Submitted(),
        inputs.LaunchStarted(),
        inputs.LaunchRefused(TransportError("no route"), is_reported=True),
        inputs.LaunchCancelled(is_reported=True),
        inputs.LaunchDeferred(),
        inputs.AttemptLost(TransportError("another's"), is_reported=True),
        inputs.AttemptReplayed(FAILED, 1.0, FAILURE),
        inputs.PodCreated(PENDING, 1.0),
        inputs.PodAdopted(PENDING, 1.0, NOW),
        inputs.PodObserved(RUNNING),
        inputs.PodGone(),
        inputs.DeadlinesChecked(1.0),
        inputs.TerminationRequested(),
        inputs.RemovalRequested(),
        inputs.DeletionAnswered(),
        inputs.DeletionDeclined(RUNNING),
        inputs.DeletionOverdue(),
        inputs.FinalStatusOverdue(),
        inputs.OutcomeEnriched(OUTCOME),
        inputs.OutcomeRecorded(),
        inputs.LogDrained(),
        inputs.OutcomeTaken(),
        inputs.RetryPlanned(),
        inputs.RetryCreated(),
        inputs.RetryDropped(),
        inputs.ReportMarked(),
        inputs.PodRemoved(),
        inputs.TakenOver(),
        inputs.LeaseLost("silence"),
        inputs.RunnerClosed(),
    )
}
"""An input of each kind."""


def kinds(effects: tuple[effects.Effect, ...]) -> list[EventKind]:
    """The kinds of the events that are emitted."""
    return [effect.kind for effect in effects if isinstance(effect, Emit)]


# Random lives

RECORDS = [
    PENDING,
    NO_IMAGE,
    RUNNING,
    EXITED,
    FAILED,
    SUCCEEDED,
    DELETED,
    NODE_LOST,
    BY_DEADLINE,
    SIDECAR_GOES_ON,
    HELD,
    written(RUNNING, verdict=CANCELLATION),
]
"""Records of one pod, in no order."""

POLICIES = [
    rules(**KEEP),
    rules(**DELETE),
    rules(run_timeout_s=60, node_lost_grace_s=10),
    rules(
        delete_grace_period_s=5,
        failure_policy=[{"name": "again", "action": "retry", "on_categories": ["failed"]}],
    ),
]
