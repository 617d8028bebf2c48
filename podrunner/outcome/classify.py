"""From a pod's records to its :class:`~podrunner.outcome.result.Outcome`. Pure: no clock, no I/O.

The decision itself is the table in ``podrunner.outcome.rules``; here its diagnosis becomes the public record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.outcome.category import USUAL_FAULT, Category, Fault
from podrunner.outcome.containers import UNSTARTED_REASONS, all_statuses
from podrunner.outcome.facts import Facts, condition, deletion_asked_at, gather, is_over
from podrunner.outcome.history import NO_HISTORY
from podrunner.outcome.messages import UNREADABLE_CODE, shorten, signal_of
from podrunner.outcome.result import Evidence, Outcome, Timings
from podrunner.outcome.rules import Diagnosis, conclude
from podrunner.outcome.telling import explain, is_explained_by_events, of_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from podrunner.outcome.history import History
    from podrunner.outcome.record import ContainerStateTerminated, ContainerStatus, Event, Pod

__all__ = ["classify", "events_may_tell", "timings_of"]

_UNCERTAIN = frozenset({Category.DELETED_BY_OTHERS, Category.NODE_LOST, Category.UNKNOWN})

_EVENTS_KEPT = 5
"""Events that an outcome keeps: the last ones describe the end."""


def classify(
    pod: Pod,
    *,
    events: Iterable[Event] = (),
    main_container: str | None = None,
    vanished: bool = False,
    cancelled: bool = False,
    by_deadline: bool = False,
    history: History = NO_HISTORY,
    ended_first: bool = False,
) -> Outcome | None:
    """Say what became of a pod.

    Args:
        pod: Its last record: from a list, a watch event (a DELETED event's status counts), or what was last known.
        events: Events about it, as far as they were fetched; they refine the cause of a deletion.
        main_container: Name of the container whose end is the pod's end; None, or a name that the pod does not
            have: its first.
        vanished: True if the pod is provably no longer there (DELETED, or missing in a complete list).
        cancelled: True if its owner asked for its end, for whatever reason. What had ended before the deletion was
            asked for keeps its own outcome.
        by_deadline: True if its owner ended it by lowering its deadline, so that the pod stays.
        ended_first: True if it is certain that it had ended before its deletion, whatever the times say
            (:func:`~podrunner.outcome.facts.ended_before_deletion`).
        history: What its records showed so far (:func:`~podrunner.outcome.history.remember`): the last one may not show
            it any more.

    Returns:
        The outcome, or None while the pod is not over: phase not final, main container not ended for good, and not
        vanished.
    """
    if not is_over(pod, main_container=main_container, vanished=vanished):
        return None
    facts = gather(
        pod,
        events=events,
        main_container=main_container,
        vanished=vanished,
        by_owner=cancelled,
        by_deadline=by_deadline,
        history=history,
        ended_first=ended_first,
    )
    rule, diagnosis = conclude(facts)
    return explain(_outcome(facts, diagnosis, rule), facts.events, pod=pod, is_given_up=False)


def events_may_tell(pod: Pod, outcome: Outcome, *, history: History = NO_HISTORY) -> bool:
    """Whether the pod's events are worth fetching: they may say why it ended.

    Args:
        pod: Its last record.
        outcome: What was made of it without them.
        history: As for :func:`classify`.
    """
    if outcome.category in _UNCERTAIN or is_explained_by_events(outcome, is_given_up=False):
        return True
    deleted = pod.metadata.deletion_timestamp is not None
    order_is_unknown = deleted and history.deletion_asked_at is None and deletion_asked_at(pod) is None
    return order_is_unknown and not outcome.succeeded


def _outcome(facts: Facts, diagnosis: Diagnosis, rule: str) -> Outcome:
    fault = diagnosis.fault or USUAL_FAULT[diagnosis.category]
    return Outcome(
        category=diagnosis.category,
        fault=fault,
        started=facts.started or diagnosis.category is Category.SUCCEEDED,
        retryable=fault is Fault.INFRASTRUCTURE,
        exit_code=diagnosis.end.exit_code if diagnosis.end is not None else None,
        signal=signal_of(diagnosis.end),
        container=diagnosis.container,
        reason=diagnosis.reason,
        message=diagnosis.message,
        evidence=tuple(_evidence(facts, rule)),
        timings=timings_of(facts.pod, facts.main),
        termination_message=_left_behind(facts.end),
    )


def _left_behind(end: ContainerStateTerminated | None) -> str | None:
    """A container's own last message. Of one that never ran, the runtime's message stands in its place."""
    return end.message or None if end is not None and end.reason not in UNSTARTED_REASONS else None


def timings_of(pod: Pod, main: ContainerStatus | None) -> Timings:
    """Read the stages of a pod's life: creation, binding, the main container's last start and end."""
    scheduled = condition(pod, "PodScheduled")
    started, finished = _span(main)
    return Timings(
        created=pod.metadata.creation_timestamp,
        scheduled=scheduled.last_transition_time if scheduled and scheduled.status == "True" else None,
        started=started,
        finished=finished,
    )


def _span(main: ContainerStatus | None) -> tuple[str | None, str | None]:
    if main is None:
        return None, None
    if main.state.running is not None:
        return main.state.running.started_at, None
    end = main.state.terminated or main.last_state.terminated
    return (None, None) if end is None else (end.started_at, end.finished_at)


def _evidence(facts: Facts, rule: str) -> Iterator[Evidence]:
    yield Evidence(source="rule", name=rule)
    status = facts.pod.status
    yield Evidence(
        source="pod", name=status.phase, reason=status.reason or "", message=shorten(status.message)
    )
    if facts.disruption is not None:
        yield Evidence(
            source="condition",
            name=facts.disruption.type,
            reason=facts.disruption.reason or "",
            message=shorten(facts.disruption.message),
            at=facts.disruption.last_transition_time,
        )
    if facts.being_deleted:
        yield Evidence(source="pod", name="deletionTimestamp", at=facts.pod.metadata.deletion_timestamp)
    yield from _ended_containers(facts)
    yield from (of_event(event) for event in facts.events[-_EVENTS_KEPT:])


def _ended_containers(facts: Facts) -> Iterator[Evidence]:
    for container in all_statuses(facts.pod):
        end = container.state.terminated
        if end is not None and (end.exit_code != 0 or container.name == facts.main_name):
            yield Evidence(
                source="container",
                name=container.name,
                reason=end.reason or _code(end),
                message=shorten(end.message),
                at=end.finished_at,
            )


def _code(end: ContainerStateTerminated) -> str:
    return UNREADABLE_CODE if end.exit_code is None else f"exit code {end.exit_code}"
