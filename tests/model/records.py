"""The pod as the model's server holds it, and the record that the code reads of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from podrunner.builder.labels import OWNER
from podrunner.builder.names import name_of
from podrunner.outcome.record import (
    ContainerSpec,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStatus,
    ObjectMeta,
    Pod,
    PodSpec,
    PodStatus,
)
from podrunner.workload import Workload
from tests.support.pods import T0, at

__all__ = [
    "ENDED",
    "NAME",
    "NAMESPACE",
    "NOW",
    "WORKLOAD",
    "PodObject",
    "metadata_id",
    "metadata_of",
    "owner_of",
    "record_of",
    "to_record",
]

WORKLOAD = Workload(key={"task": "t"}, command=["true"])
"""The attempt."""
NAME, NAMESPACE = name_of(WORKLOAD.key), "default"
NOW = dt.datetime(2026, 1, 1, 0, 1, tzinfo=dt.UTC)
ENDED = frozenset({"succeeded", "failed", "killed", "expired"})
"""Lives that are over: by itself with 0 or 1; killed after a deletion; killed after a lowered deadline."""

STARTED_S, ENDED_S, ENDING_S, KILLED_S, GRACE_S = 5, 10, 20, 25, 30
"""Seconds of the model's day. Only their order counts: a pod ends by itself before it is ended, or after."""


class PodObject(NamedTuple):
    """A pod on the server. Hashable: labels and annotations are interned.

    Attributes:
        uid: 1 for the first pod of the attempt, and so on.
        version: Counts the writes; of a later pod it is higher.
        life: ``pending``, ``running`` or one of :data:`ENDED`.
        deletion: "", ``graceful`` (its processes have time) or ``now``.
        metadata: Its labels and annotations, by :func:`metadata_of`.
        finalizer: Whether the outcome's finalizer holds it.
        deadline: Whether its ``activeDeadlineSeconds`` was lowered to end it.
    """

    uid: int
    version: int
    life: str
    deletion: str
    metadata: int
    finalizer: bool = False
    deadline: bool = False

    def __str__(self) -> str:
        marks = [
            mark
            for mark, is_set in (("held by finalizer", self.finalizer), ("deadline", self.deadline))
            if is_set
        ]
        said = [name.rpartition("/")[2] for name in metadata_of(self.metadata).annotations if name in _SHOWN]
        more = [f"deletion {self.deletion}"] if self.deletion else []
        return " ".join([f"pod {self.uid} of {owner_of(self)}: {self.life}", *more, *marks, *said])


class Metadata(NamedTuple):
    """Labels and annotations."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


_SHOWN = {"podrunner.io/told", "podrunner.io/outcome", "podrunner.io/verdict"}
_metadata: list[Metadata] = []
_metadata_ids: dict[tuple[frozenset[Any], frozenset[Any]], int] = {}
_objects: dict[int, PodObject] = {}


def metadata_id(labels: Mapping[str, str], annotations: Mapping[str, str]) -> int:
    """Interns labels and annotations."""
    key = frozenset(labels.items()), frozenset(annotations.items())
    if key not in _metadata_ids:
        _metadata_ids[key] = len(_metadata)
        _metadata.append(Metadata(dict(labels), dict(annotations)))
    return _metadata_ids[key]


def metadata_of(number: int) -> Metadata:
    """Returns what was interned."""
    return _metadata[number]


def owner_of(pod: PodObject) -> str:
    """Returns the owner that the pod names."""
    return metadata_of(pod.metadata).annotations[OWNER]


@cache
def to_record(pod: PodObject) -> Pod:
    """Returns the record that the code reads; the same object each time."""
    labels, annotations = metadata_of(pod.metadata)
    record = Pod(
        metadata=ObjectMeta(
            name=NAME,
            namespace=NAMESPACE,
            uid=f"u{pod.uid}",
            resource_version=str(pod.version),
            labels=dict(labels),
            annotations=dict(annotations),
            creation_timestamp=T0,
            **_deletion(pod),
            finalizers=["podrunner.io/outcome"] if pod.finalizer else None,
        ),
        spec=PodSpec(
            node_name=None if pod.life == "pending" else "n",
            restart_policy="Never",
            active_deadline_seconds=1 if pod.deadline else None,
            containers=[ContainerSpec(name="base")],
        ),
        status=_status(pod),
    )
    _objects[id(record)] = pod
    return record


def record_of(record: Pod) -> PodObject:
    """Returns the pod of a record that :func:`to_record` made."""
    return _objects[id(record)]


def _deletion(pod: PodObject) -> dict[str, Any]:
    if not pod.deletion:
        return {}
    grace_s = GRACE_S if pod.deletion == "graceful" else 0
    return {"deletion_timestamp": at(ENDING_S + grace_s), "deletion_grace_period_seconds": grace_s}


def _status(pod: PodObject) -> PodStatus:
    phase, state = _STATES[pod.life]
    reason = "DeadlineExceeded" if pod.life == "expired" else None
    statuses = [ContainerStatus(name="base", state=state)]
    return PodStatus(phase=phase, reason=reason, start_time=at(STARTED_S), container_statuses=statuses)


def _terminated(exit_code: int, end_s: int) -> ContainerState:
    reason = "Error" if exit_code else "Completed"
    terminated = ContainerStateTerminated(
        exit_code=exit_code, reason=reason, started_at=at(STARTED_S), finished_at=at(end_s)
    )
    return ContainerState(terminated=terminated)


_STATES: dict[str, tuple[str, ContainerState]] = {
    "pending": ("Pending", ContainerState()),
    "running": ("Running", ContainerState(running=ContainerStateRunning(started_at=at(STARTED_S)))),
    "succeeded": ("Succeeded", _terminated(0, ENDED_S)),
    "failed": ("Failed", _terminated(1, ENDED_S)),
    "killed": ("Failed", _terminated(143, KILLED_S)),
    "expired": ("Failed", _terminated(143, KILLED_S)),
}
