"""Dispatches: each time the scheduler hands one task instance, callback or connection test to the executor.

A try of a task may be dispatched several times: after a reschedule, a deferral, or a time-out in the queue. So pods are
known by their dispatch, and by Airflow's key only through it.

What belongs here: the index of dispatches, and the decision what is reported of an ended one. Pure: Airflow's database
and podrunner's runner do not belong here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from podrunner import Fault
from podrunner.integrations.airflow.launch import AGAIN

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from podrunner import Outcome, WorkloadKey

__all__ = [
    "Dispatch",
    "Dispatches",
    "Report",
    "TaskRow",
    "is_current",
    "is_launchable",
    "is_unheard",
    "next_launch",
    "report_of",
    "report_of_other",
]


@dataclass(slots=True, eq=False)
class Dispatch:
    """One dispatch and its pods.

    Attributes:
        id: Airflow's ``external_executor_id``.
        key: Airflow's key: a ``TaskInstanceKey``, or that of a callback or connection test.
        pod_key: podrunner's key, of which the id is a part.
        handle: What podrunner gave: a run, or an adopted pod.
        is_adopted: Whether it is an adopted pod, which nothing launches again by itself.
        is_revoked: Whether the scheduler wants to hear nothing more of it.
        is_cancelled: Whether its pod is being ended because it is stale.
        replaced: The end of the pod before, which is delivered once its successor exists; None: there is none.
        stale_since: Since when it has not been wanted; None: it is.
        item: Airflow's workload of a callback or connection test, which Airflow hands over once only; None: it is a
            task's, or was adopted.
        had_pod: Whether its pod is known to have been there.
    """

    id: str
    key: Any
    pod_key: WorkloadKey
    handle: Any = None
    is_adopted: bool = False
    is_revoked: bool = False
    is_cancelled: bool = False
    replaced: Any = None
    stale_since: float | None = None
    item: Any = None
    had_pod: bool = False

    @property
    def again(self) -> int:
        """How often it was launched before, although its container may have started."""
        return int(self.pod_key.parts.get(AGAIN, "0"))

    def why_it_waits(self) -> str:
        """Return why its work has not begun, in the cluster's words; "": it has.

        Raises:
            PodrunnerError: It is not known, such as because the watch is interrupted.
        """
        pod = getattr(self.handle, "pod", self.handle)
        if pod is None or not pod.uid:
            return "it has no pod yet"
        waiting = pod.waiting
        return "" if waiting is None else f"pod {pod.name}: {waiting}"

    def is_stale(self, now: float, *, is_wanted: bool, for_s: float) -> bool:
        """Note whether the dispatch is still wanted; return whether it has not been for some time.

        Args:
            now: The present, in seconds.
            is_wanted: Whether it is wanted now.
            for_s: For how many seconds it must not have been wanted.
        """
        if is_wanted:
            self.stale_since = None
            return False
        if self.stale_since is None:
            self.stale_since = now
        return now - self.stale_since >= for_s


class Dispatches:
    """The dispatches whose end is not reported yet, by podrunner's key and by Airflow's."""

    def __init__(self) -> None:
        self._by_identity: dict[str, Dispatch] = {}
        self._by_key: dict[Hashable, list[Dispatch]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._by_identity)

    def __iter__(self) -> Iterator[Dispatch]:
        return iter(tuple(self._by_identity.values()))

    def add(self, dispatch: Dispatch) -> None:
        """Remember a dispatch. One whose pod is found while it waits for its launch is known already, and is one."""
        if (known := self.of_pod(dispatch.pod_key)) is not None:
            self.remove(known)
        self._by_identity[dispatch.pod_key.identity] = dispatch
        self._by_key[dispatch.key].append(dispatch)

    def of_pod(self, key: WorkloadKey) -> Dispatch | None:
        """Return the dispatch to which a pod belongs, whichever of its launches it is."""
        return self._by_identity.get(key.identity)

    def of_key(self, key: Hashable) -> tuple[Dispatch, ...]:
        """Return the dispatches of a task instance's try, the earliest first."""
        return tuple(self._by_key.get(key, ()))

    def remove(self, dispatch: Dispatch) -> bool:
        """Forget a dispatch; return whether it was the last one of its key."""
        self._by_identity.pop(dispatch.pod_key.identity, None)
        others = self._by_key.get(dispatch.key, [])
        if dispatch in others:
            others.remove(dispatch)
        if others:
            return False
        self._by_key.pop(dispatch.key, None)
        return True


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What Airflow's database says of a task instance.

    Attributes:
        state: Its state, such as ``running``; None: none.
        try_number: Its present try.
        external_executor_id: Its present dispatch; None: none.
        queued_by_job_id: The scheduler job that has queued it; None: none.
    """

    state: str | None
    try_number: int
    external_executor_id: str | None
    queued_by_job_id: int | None = None


class Report(Enum):
    """What is reported to the scheduler of an ended dispatch."""

    NOTHING = "nothing"
    """The task instance has gone on without it: rescheduled, deferred, cleared, or dispatched anew."""
    SUCCESS = "success"
    FAILURE = "failure"


_GONE_ON = frozenset({"scheduled", "deferred", "up_for_reschedule", None})
"""States in which a task instance waits for another dispatch: the ended one left it so, or the scheduler did."""


def report_of(dispatch: Dispatch, outcome: Outcome, *, try_number: int, row: TaskRow | None) -> Report:
    """Decide what is reported of an ended dispatch of a task instance.

    A worker that reschedules or defers its task ends well, and so the pod's success says nothing of the task's state.
    A success where the database still says ``running`` is reported: the scheduler finds the contradiction.

    Args:
        dispatch: The dispatch.
        outcome: The outcome of its last pod.
        try_number: The try that was dispatched.
        row: What the database says now; None: the task instance is no longer there.
    """
    if dispatch.is_revoked or row is None or row.try_number != try_number:
        return Report.NOTHING
    if row.external_executor_id not in {None, dispatch.id}:
        return Report.NOTHING
    if not outcome.succeeded:
        return Report.NOTHING if row.state in _GONE_ON else Report.FAILURE
    return Report.NOTHING if row.state in _GONE_ON else Report.SUCCESS


def is_unheard(dispatch: str, *, try_number: int, row: TaskRow | None, job: int) -> bool:
    """Return whether the scheduler has not acted on the reported end of a dispatch, though it is to.

    It passes over a task instance whose row is locked by another transaction, such as that of a worker's heartbeat, and
    keeps nothing of the event.

    Args:
        dispatch: The dispatch's id.
        try_number: The try that was dispatched.
        row: What the database says now; None: the task instance is no longer there.
        job: This scheduler's job: it acts on its own task instances only.
    """
    return (
        row is not None
        and row.try_number == try_number
        and row.external_executor_id in {None, dispatch}
        and row.queued_by_job_id == job
        and row.state in _UNDER_WAY
    )


def report_of_other(dispatch: Dispatch, outcome: Outcome) -> Report:
    """Decide what is reported of an ended callback or connection test: nothing of one that was revoked."""
    if dispatch.is_revoked:
        return Report.NOTHING
    return Report.SUCCESS if outcome.succeeded else Report.FAILURE


def is_current(dispatch: Dispatch, *, try_number: int, row: TaskRow | None) -> bool:
    """Return whether a task instance still wants a dispatch: its pod works for nothing if not.

    One that was cleared while it ran (``restarting``) waits for the end of its pod only.
    """
    return (
        row is not None
        and row.try_number == try_number
        and row.external_executor_id in {None, dispatch.id}
        and row.state in _WANTED
    )


def is_launchable(dispatch: Dispatch, *, try_number: int, row: TaskRow | None, job: int) -> bool:
    """Return whether a dispatch may be launched: its task has not begun, and is still this scheduler's.

    A scheduler that was stopped for some time may have lost it to another one.
    """
    if row is None or not is_current(dispatch, try_number=try_number, row=row):
        return False
    return row.state == "queued" and row.queued_by_job_id in {None, job}


def next_launch(
    dispatch: Dispatch, outcome: Outcome, *, try_number: int, row: TaskRow | None, most: int
) -> int | None:
    """Decide whether another pod follows one that was lost while its task was still waiting for it.

    Airflow's API server lets each task instance begin once: as long as its row says ``queued``, no work has begun,
    although the container may have. podrunner launches a pod that has not started again by itself, with a pause, but
    for an adopted one of which it does not know the workload.

    Args:
        dispatch: The dispatch.
        outcome: The outcome of its last pod.
        try_number: The try that was dispatched.
        row: What the database says now.
        most: How often it may be launched again although its container may have started.

    Returns:
        The number of the launch, of which the present one continues the pods of an adopted dispatch; None: there is
        none, and the outcome is reported.
    """
    is_waited_for = row is not None and row.state == "queued" and not dispatch.is_revoked
    if outcome.fault is not Fault.INFRASTRUCTURE or not is_waited_for:
        return None
    if not is_current(dispatch, try_number=try_number, row=row):
        return None
    if not outcome.started:
        return dispatch.again if dispatch.is_adopted else None
    return dispatch.again + 1 if dispatch.again < most else None


_WANTED = frozenset({"queued", "running"})
_UNDER_WAY = _WANTED | {"restarting"}
