"""What a timeline knows of one pod: its workload, when each stage of its life began, and how it ended. Pure.

The values of :class:`Phase` are written into journals and never renamed.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from podrunner.builder import read_ownership
from podrunner.outcome import classify, main_status, printer_status, restarts_of
from podrunner.outcome.facts import condition
from podrunner.outcome.result import parse_time
from podrunner.ownership import stored_outcome
from podrunner.redaction import redact
from podrunner.shown import key_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from podrunner.outcome import Outcome
    from podrunner.outcome.record import ContainerStatus, Pod
    from podrunner.workload import WorkloadKey

__all__ = ["Phase", "PodRecord", "Span", "in_calendar", "record_of", "spans_of"]

_LONGEST_KEY: Final = 300
_LONGEST_MESSAGE: Final = 400
_FIRST_S: Final = -62_135_596_800.0
_LAST_S: Final = 253_402_300_799.0
"""The first second of the year 1 and the last of 9999, from 1970 on: what a datetime can hold."""
_TIMES: Final = (
    *("submitted", "created", "scheduled", "initializing", "initialized", "started", "finished", "deleted"),
    *("gone", "seen"),
)


class Phase(StrEnum):
    """A part of a pod's life, in the order in which they come. The values are stable."""

    QUEUED = "queued"
    """The runner has the workload, and no pod exists yet."""
    SCHEDULING = "scheduling"
    """The pod exists and has no node: a scheduling gate, a full cluster, or the scheduler's own time."""
    CREATING = "creating"
    """The node prepares the pod: volumes, network, images."""
    INITIALIZING = "initializing"
    """Its init containers run."""
    RUNNING = "running"
    """Its main container runs."""
    DELETING = "deleting"
    """Its deletion was asked for, and it is still there."""


class Span(NamedTuple):
    """One stage of one pod.

    Attributes:
        phase: Which.
        begin_s: When it began, in seconds since 1970.
        end_s: When it ended; of a stage that lasts: the present.
        lasts: Whether it has not ended.
    """

    phase: Phase
    begin_s: float
    end_s: float
    lasts: bool = False


class PodRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One pod of a timeline. Times are seconds since 1970 (UTC); None where they are not known.

    Attributes:
        key: The workload's key as ``podrunner get`` shows it: ``dag_id=etl,task_id=load``, or the value of its only
            part; of a pod that is not podrunner's: its name.
        attempt: Which attempt, from 1.
        relaunch: Which launch of that attempt, from 0.
        namespace: The pod's namespace.
        pod: The pod's name.
        uid: The pod's UID; "" if there never was one.
        node: The node it is or was on.
        status: As ``kubectl get pod`` prints it.
        restarts: As ``kubectl get pod`` prints it.
        submitted: The runner took the workload, by the runner's clock.
        created: The API server took the pod.
        scheduled: It was bound to a node.
        initializing: Its first init container started.
        initialized: Its init containers were through.
        started: Its main container started.
        finished: Its main container ended.
        deleted: Its deletion was asked for.
        gone: The runner saw that it is no longer there, by the runner's clock.
        category: The outcome's category; "": it has none yet.
        fault: The outcome's fault; "": none.
        reason: Kubernetes' own reason, or "".
        message: The outcome's sentence, or why the pod waits.
        exit_code: The exit code that decided, or None.
        seen: When this record was made, by the clock of the process that made it.
    """

    key: str
    attempt: int = 1
    relaunch: int = 0
    namespace: str = ""
    pod: str = ""
    uid: str = ""
    node: str = ""
    status: str = ""
    restarts: int = 0
    submitted: float | None = None
    created: float | None = None
    scheduled: float | None = None
    initializing: float | None = None
    initialized: float | None = None
    started: float | None = None
    finished: float | None = None
    deleted: float | None = None
    gone: float | None = None
    category: str = ""
    fault: str = ""
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    seen: float = 0.0

    @property
    def identity(self) -> tuple[str, str, int, int, str]:
        """What identifies it among records: a later record of the same identity replaces an earlier one."""
        return self.namespace, self.key, self.attempt, self.relaunch, self.uid or self.pod

    @property
    def try_label(self) -> str:
        """The try as ``#2`` or ``#2.1``, as a key prints it."""
        return f"#{self.attempt}.{self.relaunch}" if self.relaunch else f"#{self.attempt}"


def record_of(  # noqa: PLR0913  # each is a fact that only the caller knows
    pod: Pod | None,
    *,
    seen_s: float,
    key: WorkloadKey | None = None,
    outcome: Outcome | None = None,
    main_container: str | None = None,
    submitted_s: float | None = None,
    gone_s: float | None = None,
    waits_for: str = "",
    name: str = "",
    namespace: str = "",
) -> PodRecord:
    """Return the record of a pod.

    Args:
        pod: Its last record; None: there never was one.
        seen_s: The present time, in seconds since 1970.
        key: The workload's key; None: the one that the pod bears.
        outcome: Its outcome; None: the one that it bears, or that its last record shows.
        main_container: Name of the container that decides; None: the one that the pod names.
        submitted_s: When the runner took the workload; None: not known.
        gone_s: When the runner saw that it is gone; None: it is not, or that is not known.
        waits_for: Why it waits, or "".
        name: The pod's name, where there is no pod.
        namespace: Its namespace, where there is no pod.
    """
    ownership = None if pod is None else read_ownership(pod.metadata.labels, pod.metadata.annotations)
    main = main_container or (None if ownership is None else ownership.main_container)
    if key is None and ownership is not None:
        key = ownership.key
    if pod is not None and outcome is None:
        outcome = stored_outcome(pod) or classify(pod, main_container=main)
    metadata = None if pod is None else pod.metadata
    return PodRecord(
        key=_shown_key(key, name if metadata is None else metadata.name),
        attempt=1 if key is None else key.attempt,
        relaunch=0 if key is None else key.relaunch,
        namespace=namespace if metadata is None else metadata.namespace,
        pod=name if metadata is None else metadata.name,
        uid="" if metadata is None else metadata.uid,
        node="" if pod is None else pod.spec.node_name or "",
        status="" if pod is None else printer_status(pod),
        restarts=0 if pod is None else restarts_of(pod),
        gone=gone_s,
        seen=seen_s,
        **_measured(_times(pod, main, submitted_s), outcome),
        **_end(outcome, waits_for),
    )


def _shown_key(key: WorkloadKey | None, name: str) -> str:
    if key is None:
        return name
    if len(key.parts) == 1:  # redacted with its name, which may be that of a credential
        ((part, value),) = key.parts.items()
        return redact(f"{part}={value}").removeprefix(f"{part}=")[:_LONGEST_KEY]
    return redact(key_text(key.parts))[:_LONGEST_KEY]


@lru_cache(maxsize=1_000)
def _said(text: str) -> str:
    """Return a message without credentials: thousands of pods have the same, and redacting takes half their time."""
    return redact(text)[:_LONGEST_MESSAGE]


def _end(outcome: Outcome | None, waits_for: str) -> dict[str, Any]:
    if outcome is None:
        return {"message": _said(waits_for)}
    return {
        "category": str(outcome.category),
        "fault": "" if outcome.fault is None else str(outcome.fault),
        "reason": _said(outcome.reason or ""),
        "message": _said(outcome.message),
        "exit_code": outcome.exit_code,
    }


def _times(pod: Pod | None, main: str | None, submitted_s: float | None) -> dict[str, Any]:
    if pod is None:
        return {"submitted": submitted_s}
    created = _seconds(parse_time(pod.metadata.creation_timestamp))
    status = main_status(pod, main)
    is_earlier = submitted_s is not None and created is not None and submitted_s < created
    return {
        "submitted": submitted_s if is_earlier else None,
        "created": created,
        "scheduled": _since(pod, "PodScheduled"),
        "initializing": min(_init_starts(pod), default=None),
        "initialized": _since(pod, "Initialized"),
        "started": _started(status),
        "finished": _finished(status),
        "deleted": _deletion_asked(pod),
    }


def _measured(times: dict[str, Any], outcome: Outcome | None) -> dict[str, Any]:
    """Return the times with how long the main container ran, if that was measured: stamps have whole seconds."""
    run_s = None if outcome is None else outcome.timings.measured_run_s
    started = times.get("started")
    return times if run_s is None or started is None else {**times, "finished": started + run_s}


def _deletion_asked(pod: Pod) -> float | None:
    marked = _seconds(parse_time(pod.metadata.deletion_timestamp))
    return None if marked is None else marked - (pod.metadata.deletion_grace_period_seconds or 0)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _since(pod: Pod, kind: str) -> float | None:
    found = condition(pod, kind)
    if found is None or found.status != "True":
        return None
    return _seconds(parse_time(found.last_transition_time))


def _init_starts(pod: Pod) -> Iterator[float]:
    for status in pod.status.init_container_statuses or ():
        began = _started(status)
        if began is not None:
            yield began


def _started(status: ContainerStatus | None) -> float | None:
    if status is None:
        return None
    state = status.state
    # A container that waits to be restarted has run: its last run stands for it.
    found = state.running or state.terminated or status.last_state.terminated
    return None if found is None else _seconds(parse_time(found.started_at))


def _finished(status: ContainerStatus | None) -> float | None:
    if status is None or status.state.running is not None:
        return None
    end = status.state.terminated
    return None if end is None else _seconds(parse_time(end.finished_at))


def in_calendar(record: PodRecord) -> PodRecord:
    """Return a record whose times are in the years from 1 to 9999: the next of them stands for another."""
    times = {name: time for name in _TIMES if (time := getattr(record, name)) is not None}
    odd = {name: time for name, time in times.items() if not _FIRST_S <= time <= _LAST_S}
    if not odd:
        return record
    return msgspec.structs.replace(
        record, **{name: min(_LAST_S, max(_FIRST_S, time)) for name, time in odd.items()}
    )


def spans_of(record: PodRecord, *, now_s: float) -> list[Span]:
    """Return the stages of a pod that are known, in order, none before the one before it.

    Args:
        record: The pod.
        now_s: The present: where a stage that has not ended is cut off.
    """
    first_init = record.initializing
    prepared = [time for time in (first_init, record.started) if time is not None]
    is_over = bool(record.category)
    end = record.finished or record.deleted or record.gone or (record.seen if is_over else None)
    steps: tuple[tuple[Phase, float | None, float | None], ...] = (
        (Phase.QUEUED, record.submitted, record.created or end),
        (Phase.SCHEDULING, record.created, record.scheduled or end),
        (Phase.CREATING, record.scheduled, min(prepared, default=end)),
        (Phase.INITIALIZING, first_init, record.initialized or record.started or end),
        (Phase.CREATING, record.initialized if first_init else None, record.started or end),
        (Phase.RUNNING, record.started, end),
        (Phase.DELETING, record.deleted, record.gone),
    )
    return [*_ordered(steps, now_s)]


def _ordered(steps: tuple[tuple[Phase, float | None, float | None], ...], now_s: float) -> Iterator[Span]:
    before_s = float("-inf")  # stamps are of several clocks, and have whole seconds
    for phase, begin, end in steps:
        if begin is None:
            continue
        lasts = end is None
        begin_s = max(begin, before_s)
        end_s = max(begin_s, now_s if end is None else end)
        if end_s > begin_s or lasts or phase is Phase.RUNNING:  # that it ran counts, however short
            yield Span(phase, begin_s, end_s, lasts)
            before_s = end_s
