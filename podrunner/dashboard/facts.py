"""What the board shows of a pod, as plain data. Pure: no environment, no annotations, no secrets.

A pod's record holds no variables of its containers at all. What the cluster or the workload said goes through
:func:`podrunner.redaction.redact`; a log is shown as it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from podrunner.gantt.legend import MARKS, PHASES, mark_of
from podrunner.gantt.records import spans_of
from podrunner.outcome import Category, printer_status, ready_column
from podrunner.redaction import redact
from podrunner.shown import Look, look_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from podrunner.gantt.records import PodRecord
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import ContainerStatus, Event, Pod

__all__ = ["details", "encoded", "event_rows", "legend", "row"]


def row(record: PodRecord, pod: Pod | None) -> dict[str, Any]:
    """Return a pod's line of the table: the words and the classes of colour are those of ``podrunner get``."""
    status, look = _status_and_look(record, pod)
    return {
        "uid": record.uid or f"name:{record.namespace}/{record.pod}",
        "key": record.key,
        "try": record.try_label,
        "ns": record.namespace,
        "pod": record.pod,
        "node": record.node,
        "status": status,
        "ready": "" if pod is None else ready_column(pod),
        "restarts": record.restarts,
        "category": record.category,
        "fault": record.fault,
        "look": look,
        "mark": mark_of(record) or ("!" if look is Look.TROUBLE else ""),
        "why": _why(record),
        "exit": record.exit_code,
        "created": record.created or record.submitted,
    }


def _status_and_look(record: PodRecord, pod: Pod | None) -> tuple[str, Look]:
    """Return STATUS and its class; the category stands for a status that does not say that the pod is over."""
    succeeded = None if not record.category else record.category == Category.SUCCEEDED
    status = "Pending" if pod is None else printer_status(pod, classic=True)
    is_stale = succeeded is False and look_of(status, succeeded=None) in {Look.RUNNING, Look.WAITS}
    shown = record.category if is_stale else "Queued" if pod is None else status
    return shown, look_of(status, succeeded=succeeded)


def _why(record: PodRecord) -> str:
    said = record.message or record.reason
    return "" if record.category == Category.SUCCEEDED or said == record.status else said


def details(record: PodRecord, pod: Pod | None, outcome: Outcome | None, *, now_s: float) -> dict[str, Any]:
    """Return what a pod's own page shows, without its events and log.

    Args:
        record: The pod.
        pod: Its last record; None: there is none.
        outcome: Its outcome, or None.
        now_s: The present, in seconds since 1970.
    """
    return {
        **row(record, pod),
        "spans": [
            [str(span.phase), PHASES[span.phase].label, PHASES[span.phase].pattern, *span[1:]]
            for span in spans_of(record, now_s=now_s)
        ],
        "containers": [] if pod is None else [*_containers(pod)],
        "outcome": None if outcome is None else _outcome(outcome),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "category": str(outcome.category),
        "fault": None if outcome.fault is None else str(outcome.fault),
        "started": outcome.started,
        "retryable": outcome.retryable,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "container": outcome.container,
        "reason": redact(outcome.reason or ""),
        "message": redact(outcome.message),
        "termination_message": redact(outcome.termination_message or ""),
        "evidence": [
            {
                "source": each.source,
                "name": each.name,
                "reason": redact(each.reason),
                "message": redact(each.message),
                "at": each.at,
            }
            for each in outcome.evidence
        ],
    }


def _containers(pod: Pod) -> Iterator[dict[str, Any]]:
    statuses = {
        each.name: each
        for each in (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    }
    for spec in pod.spec.containers or ():
        yield {"name": spec.name, "init": False, **_state(statuses.get(spec.name))}
    for spec in pod.spec.init_containers or ():
        yield {"name": spec.name, "init": True, **_state(statuses.get(spec.name))}


def _state(status: ContainerStatus | None) -> dict[str, Any]:
    if status is None:
        return {"state": "not started", "restarts": 0}
    state = status.state
    if state.running is not None:
        said = "running"
    elif state.terminated is not None:
        code = state.terminated.exit_code
        said = f"ended{'' if code is None else f', exit code {code}'}"
        said += f" ({state.terminated.reason})" if state.terminated.reason else ""
    else:
        said = (state.waiting.reason if state.waiting is not None else None) or "waiting"
    return {"state": redact(said), "restarts": status.restart_count}


def event_rows(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return a pod's events, the last one last."""
    rows = [
        {
            "type": each.type,
            "reason": redact(each.reason),
            "message": redact(each.message),
            "count": each.count,
            "at": each.last_timestamp or each.event_time or each.first_timestamp or "",
        }
        for each in events
    ]
    return sorted(rows, key=lambda each: str(each["at"]))


def legend() -> dict[str, str]:
    """Return the mark of each category."""
    return {str(category): mark for category, mark in MARKS.items()}


def encoded(document: Any) -> bytes:
    """Return plain data as JSON."""
    return msgspec.json.encode(document)
