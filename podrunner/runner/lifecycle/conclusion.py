"""A settled pod: its log is drained beside the delivery of its outcome, then it is deleted or marked. Pure."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from podrunner.outcome import goes_on
from podrunner.runner.effects import EndPod, MarkReported, RemovePod
from podrunner.runner.inputs import (
    DeletionAnswered,
    DeliveryInput,
    LogDrained,
    OutcomeTaken,
    PodRemoved,
    RemovalRequested,
    ReportMarked,
    RetryCreated,
    RetryDropped,
    RetryPlanned,
)
from podrunner.runner.lifecycle.ended import answer_ended
from podrunner.runner.lifecycle.records import FORGET, holds_result
from podrunner.runner.lifecycle.steps import Step
from podrunner.runner.states import (
    Delivery,
    Disposal,
    Draining,
    Finished,
    Removing,
    Reporting,
    Settled,
    Undelivered,
)

__all__ = [
    "answer_removal",
    "conclude_drained",
    "deliver",
    "finish",
    "finish_removing",
    "finish_reported",
    "remove",
    "remove_settled",
]

_SettledAs = TypeVar("_SettledAs", Undelivered, Reporting, Removing)


def conclude_drained(state: Draining, _: LogDrained) -> Step:
    """The log is read. Until the outcome is delivered the pod stays, but nothing in it runs on."""
    if state.delivery.is_done:
        return _conclude(state)
    undelivered = _as(Undelivered, state)
    pod = state.snapshot.pod
    if state.gone or not goes_on(pod) or holds_result(pod, state.outcome):
        return Step(undelivered)
    if pod.metadata.deletion_timestamp is not None:
        return Step(undelivered)  # the kubelet is ending it
    # By its deadline, whatever grace period is configured: the object is needed until the outcome is delivered.
    end = EndPod(outcome=state.outcome, is_settled=True, grace_period_s=None, keeps_pod=True)
    return Step(undelivered, (end,))


def deliver(state: Draining | Undelivered, given: DeliveryInput) -> Step:
    """A reader took the outcome, or another try of the run delivers it."""
    delivery = _delivered(state.delivery, given)
    if delivery == state.delivery:
        return Step(state)
    following = replace(state, delivery=delivery)
    if isinstance(following, Undelivered) and delivery.is_done:
        return _conclude(following)
    return Step(following)


def _delivered(delivery: Delivery, given: DeliveryInput) -> Delivery:
    match given:
        case OutcomeTaken():
            return replace(delivery, is_taken=True)
        case RetryPlanned():
            return replace(delivery, has_next_try=True)
        case RetryCreated():
            return Delivery(is_taken=True)
        case RetryDropped():
            return replace(delivery, has_next_try=False)


def _conclude(state: Draining | Undelivered) -> Step:
    """The log is drained and the outcome is delivered: the pod is deleted, or marked as reported."""
    if state.gone:
        return finish(state)
    if state.disposal is Disposal.DELETE:
        return Step(_as(Removing, state), (RemovePod(),))
    return Step(_as(Reporting, state), (MarkReported(),))


def _as(kind: type[_SettledAs], state: Settled) -> _SettledAs:
    return kind(
        rules=state.rules,
        snapshot=state.snapshot,
        outcome=state.outcome,
        gone=state.gone,
        disposal=state.disposal,
        delivery=state.delivery,
    )


def finish_reported(state: Reporting, _: ReportMarked) -> Step:
    """The mark was written, or could not be: nothing more is done."""
    return finish(state)


def finish_removing(state: Removing, given: PodRemoved) -> Step:
    """The deletion needs no further request: nothing more is done."""
    answered = answer_ended(state, DeletionAnswered(given.pod))
    assert isinstance(answered.state, Removing), "a record changes no state"
    finished = finish(answered.state)
    return Step(finished.state, (*answered.effects, *finished.effects))


def answer_removal(state: Settled | Finished, given: PodRemoved) -> Step:
    """Takes the record that the answer to a removal showed."""
    return answer_ended(state, DeletionAnswered(given.pod))


def finish(state: Settled) -> Step:
    """Nothing more is done about the pod; one that is gone is forgotten."""
    finished = Finished(rules=state.rules, snapshot=state.snapshot, outcome=state.outcome, gone=state.gone)
    return Step(finished, FORGET if state.gone else ())


def remove_settled(state: Settled, given: RemovalRequested) -> Step:
    """The caller deletes a pod that is over: its outcome counts as delivered."""
    if state.gone:
        return deliver(state, RetryCreated()) if isinstance(state, Draining | Undelivered) else Step(state)
    known = replace(state, disposal=Disposal.DELETE, delivery=Delivery(is_taken=True))
    following = _as(Removing, known) if isinstance(known, Undelivered) else known
    return Step(following, (RemovePod(given.grace_period_s),))


def remove(state: Finished, given: RemovalRequested) -> Step:
    """The caller deletes a pod that was retained."""
    exists = state.snapshot is not None and not state.gone
    return Step(state, (RemovePod(given.grace_period_s),) if exists else ())
