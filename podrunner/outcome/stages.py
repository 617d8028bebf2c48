"""How far a pod that does not run has come, and since when on the caller's clock. Pure.

Each patience begins with its stage: the time for a start when the last scheduling gate has opened, the time for
volumes, network and images when the pod has a node. How long each may last is ``podrunner.outcome.pending``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from podrunner.outcome.containers import (
    all_statuses,
    ended_for_good,
    main_name,
    main_status,
    native_sidecars,
)
from podrunner.outcome.facts import condition
from podrunner.outcome.result import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from podrunner.outcome.category import Category
    from podrunner.outcome.history import History
    from podrunner.outcome.record import ContainerStatus, Pod, PodCondition

__all__ = ["PendingClock", "Place", "Stage", "advance", "began_at", "place_of", "was_never_gated"]

_PASSED_S: Final = 300.0
"""A cause that was not shown for longer is another one when it comes back: the kubelet's longest back-off
(``MaxContainerBackOff``, and the image puller's)."""


class Stage(StrEnum):
    """What a pod whose main container does not run waits for. The values are stable."""

    GATED = "gated"
    """A scheduling gate, which a queue such as Kueue opens."""
    SCHEDULING = "scheduling"
    """A node."""
    CREATING = "creating"
    """A container to be created: its volumes, the network, its image, its configuration."""
    INITIALIZING = "initializing"
    """An init container, or a native sidecar, that has begun and is not done."""
    RESTARTING = "restarting"
    """Another run of the main container, by the pod's restart policy."""


class Place(NamedTuple):
    """Where a pod stands.

    Attributes:
        stage: The stage.
        container: The container whose turn it is; None before there is a node.
    """

    stage: Stage
    container: str | None = None


class PendingClock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Since when a pod waits, in seconds on the caller's clock.

    Attributes:
        stage: What for.
        container: The container whose turn it is, or None.
        stage_since_s: When that was first seen.
        open_since_s: When it was created, or when its last scheduling gate was seen to be open.
        category: The category of the last cause that was shown; None: none was.
        category_since_s: When that was first shown; errors that alternate with a back-off count as one.
        absent_since_s: Since when no cause is shown; None: one is, or none ever was.
    """

    stage: Stage
    container: str | None = None
    stage_since_s: float
    open_since_s: float
    category: Category | None = None
    category_since_s: float
    absent_since_s: float | None = None


def place_of(pod: Pod, *, history: History, main_container: str | None = None) -> Place | None:
    """Return where a pod stands; None if its main container runs, or if it is over or on its way out.

    Args:
        pod: Its last record.
        history: What its records showed so far.
        main_container: Name of the container that decides, or None for the first.
    """
    main = main_status(pod, main_container)
    if _does_not_wait(pod, main):
        return None
    if history.started:
        return Place(Stage.RESTARTING, main_name(pod, main_container))
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.reason == "SchedulingGated":
        return Place(Stage.GATED)
    if _is_unbound(pod, scheduled):
        return Place(Stage.SCHEDULING)
    return _on_node(pod, main_name(pod, main_container))


def _is_unbound(pod: Pod, scheduled: PodCondition | None) -> bool:
    """Whether it has no node; only a node's kubelet writes statuses of containers."""
    if scheduled is not None:
        return scheduled.status != "True"
    return pod.spec.node_name is None and not all_statuses(pod)


def _does_not_wait(pod: Pod, main: ContainerStatus | None) -> bool:
    if pod.status.phase not in {"Pending", "Running"} or pod.metadata.deletion_timestamp is not None:
        return True
    if main is None:
        return pod.status.phase == "Running"
    return main.state.running is not None or ended_for_good(pod, main) is not None


def _on_node(pod: Pod, main: str | None) -> Place:
    if not pod.status.init_container_statuses:
        return Place(Stage.CREATING, main)
    beside = native_sidecars(pod)
    for status in pod.status.init_container_statuses:
        end = status.state.terminated
        is_done = (end is not None and end.exit_code == 0) or (status.name in beside and bool(status.started))
        if not is_done:
            has_begun = status.state.running is not None or (end or status.last_state.terminated) is not None
            return Place(Stage.INITIALIZING if has_begun else Stage.CREATING, status.name)
    return Place(Stage.CREATING, main)


def began_at(pod: Pod, place: Place) -> datetime | None:
    """Return when a pod's present stage began, by the cluster's clocks; None if its record does not show it.

    Args:
        pod: Its last record.
        place: Where it stands.
    """
    times = (parse_time(text) for text in _beginnings(pod, place))
    return max((time for time in times if time is not None and time.tzinfo is not None), default=None)


def _beginnings(pod: Pod, place: Place) -> Iterator[str | None]:
    """Return the times after the last of which a stage begins."""
    match place.stage:
        case Stage.SCHEDULING:
            yield pod.metadata.creation_timestamp if was_never_gated(pod) else None
        case Stage.RESTARTING:
            yield _end_of(next((s for s in all_statuses(pod) if s.name == place.container), None))
        case Stage.CREATING | Stage.INITIALIZING:
            yield _since(pod, "PodScheduled")
            yield from _before_turn(pod, place.container)
        case Stage.GATED:
            pass


def was_never_gated(pod: Pod) -> bool:
    """Whether it is known that no scheduling gate held a pod: its spec was never changed (KEP-5067)."""
    return pod.metadata.generation == 1


def _since(pod: Pod, kind: str) -> str | None:
    found = condition(pod, kind)
    return found.last_transition_time if found is not None and found.status == "True" else None


def _before_turn(pod: Pod, container: str | None) -> Iterator[str | None]:
    """Return when the containers were ready that start before the one whose turn it is."""
    names = [status.name for status in pod.status.init_container_statuses or ()]
    if container not in names:
        yield _since(pod, "Initialized")
        return
    for status in pod.status.init_container_statuses or ():
        if status.name == container:
            return
        running = status.state.running
        yield _end_of(status) if running is None else running.started_at


def _end_of(status: ContainerStatus | None) -> str | None:
    if status is None:
        return None
    end = status.state.terminated or status.last_state.terminated
    return None if end is None else end.finished_at


def advance(
    before: PendingClock | None, place: Place, category: Category | None, *, now_s: float, first_seen_s: float
) -> PendingClock:
    """Return the clock at a time.

    Args:
        before: As it was; None: the pod was not seen to wait.
        place: Where the pod stands now.
        category: The category of the cause that is shown now, or None.
        now_s: The time.
        first_seen_s: When the pod was created.
    """
    is_gated = place.stage is Stage.GATED
    if before is None:
        return PendingClock(
            stage=place.stage,
            container=place.container,
            stage_since_s=now_s,
            open_since_s=now_s if is_gated else first_seen_s,
            category=category,
            category_since_s=now_s,
        )
    is_same = (place.stage, place.container) == (before.stage, before.container)
    known, since_s, absent_since_s = _cause_clock(before, category, now_s)
    return PendingClock(
        stage=place.stage,
        container=place.container,
        stage_since_s=before.stage_since_s if is_same else now_s,
        open_since_s=now_s if before.stage is Stage.GATED and not is_gated else before.open_since_s,
        category=known,
        category_since_s=since_s,
        absent_since_s=absent_since_s,
    )


def _cause_clock(
    before: PendingClock, category: Category | None, now_s: float
) -> tuple[Category | None, float, float | None]:
    absent_since_s = before.absent_since_s
    if category is None:
        has_gone = before.category is not None and absent_since_s is None
        return before.category, before.category_since_s, now_s if has_gone else absent_since_s
    is_another = category is not before.category
    if is_another or (absent_since_s is not None and now_s - absent_since_s > _PASSED_S):
        return category, now_s, None
    return category, before.category_since_s, None
