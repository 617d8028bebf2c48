"""What a runner notes on a pod that is not over, for its successor: facts that only memory would have.

Each is written once, and only to a pod to which it happens; a pod that starts and ends as it should has none.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from podrunner.builder.labels import OPENED, STARTED, WAITING
from podrunner.outcome import Category
from podrunner.outcome.result import parse_time
from podrunner.ownership.pod_patch import WITHIN_S, PodPatch, PodWrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.kube import KubeClient, RequestRetry
    from podrunner.outcome.record import Pod

__all__ = [
    "NotedWait",
    "is_noted_as_started",
    "noted_wait",
    "opened_at",
    "write_opened",
    "write_started",
    "write_waiting",
]


class NotedWait(NamedTuple):
    """Since when a pod waits for what.

    Attributes:
        category: The category that giving it up would have.
        since: When that was first seen.
    """

    category: Category
    since: datetime


def is_noted_as_started(pod: Pod) -> bool:
    """Whether :func:`write_started` noted on the pod that its work may have begun."""
    meta = pod.metadata
    return bool(meta.uid) and (meta.annotations or {}).get(STARTED) == meta.uid


def opened_at(pod: Pod) -> datetime | None:
    """Return when a pod's last scheduling gate was seen to be open (:func:`write_opened`); None if it is not noted."""
    return _time_of(pod, (pod.metadata.annotations or {}).get(OPENED))


def noted_wait(pod: Pod) -> NotedWait | None:
    """Return what :func:`write_waiting` noted on the pod; None if nothing that can be read."""
    category, _, since = (pod.metadata.annotations or {}).get(WAITING, "").partition(" ")
    time = _time_of(pod, since)
    if time is None or category not in list(Category):
        return None
    return NotedWait(Category(category), time)


def _time_of(pod: Pod, text: str | None) -> datetime | None:
    """Read a time that was noted. One from before the pod is of the pod that this one is a copy of."""
    time, created = parse_time(text), parse_time(pod.metadata.creation_timestamp)
    if time is None or time.tzinfo is None or created is None or created.tzinfo is None:
        return None
    return None if time < created else time


async def write_started(
    client: KubeClient,
    pod: Pod,
    *,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
    within_s: float = WITHIN_S,
) -> PodWrite:
    """Note on a pod that its work may have begun, which its status no longer shows.

    The note is the pod's UID: in a copy of the pod it does not count.

    Args: as for :class:`~podrunner.ownership.pod_patch.PodPatch`.
    """
    write = PodPatch(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    return await write.patch("marked as started", annotations={STARTED: pod.metadata.uid})


async def write_opened(
    client: KubeClient,
    pod: Pod,
    now: datetime,
    *,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
) -> PodWrite:
    """Note on a pod that its last scheduling gate was seen to be open, and it has no node yet.

    The server notes that nowhere: ``PodScheduled`` stays False, and so its ``lastTransitionTime`` stays.

    Args: as for :func:`write_started`.
    """
    write = PodPatch(client, pod, policy=policy, before_send=before_send, within_s=WITHIN_S)
    return await write.patch("marked as opened", annotations={OPENED: _text(now)})


async def write_waiting(
    client: KubeClient,
    pod: Pod,
    wait: NotedWait,
    *,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
) -> PodWrite:
    """Note on a pod since when it waits for what a container's state shows: that has no time.

    Args: as for :func:`write_started`.
    """
    write = PodPatch(client, pod, policy=policy, before_send=before_send, within_s=WITHIN_S)
    return await write.patch(
        "marked with what it waits for", annotations={WAITING: f"{wait.category} {_text(wait.since)}"}
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
