"""Garbage collection of retained pods: those that are over and reported, and kept for inspection.

A pod counts as retained once it is over and its outcome was reported: it carries the mark, or its runner says so. A
pod that was not reported is never collected: it is adopted, reported, and then deleted or retained. Of the scope's
retained pods a runner deletes its own, and those of an owner that is gone; another living runner deletes its own by
its own limits.
"""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, Protocol

from podrunner.builder import read_ownership
from podrunner.errors import OwnershipError, PodrunnerError
from podrunner.log_fields import pod_fields
from podrunner.outcome import main_status, timings_of
from podrunner.outcome.result import parse_time
from podrunner.ownership.outcome_records import is_reported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from podrunner.kube import Deletion
    from podrunner.outcome.record import Pod
    from podrunner.ownership.scope import ScopeReader

__all__ = ["RetainedPod", "RetainedPods", "beyond_limits"]

_logger = logging.getLogger(__name__)

_OVER = frozenset({"Succeeded", "Failed"})
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)
_NOT_RUNNING = "status.phase!=Running,status.phase!=Pending"


class Deleter(Protocol):
    """Deletes a pod, trying again after transient errors."""

    async def __call__(self, namespace: str, name: str, *, uid: str) -> Deletion:
        """Not ``found``: it was not there, or another pod has its name."""
        ...


class RetainedPod(NamedTuple):
    """What is needed of a retained pod to choose and to delete it.

    Attributes:
        ended_at: When its main container ended; if it never ran, when it was created.
        namespace: Its namespace.
        name: Its name.
        uid: Its UID.
        owner: The runner that owns it.
    """

    ended_at: dt.datetime
    namespace: str
    name: str
    uid: str
    owner: str


def beyond_limits(
    pods: Iterable[RetainedPod], *, now: dt.datetime, max_age_s: float | None, max_count: int | None
) -> list[RetainedPod]:
    """Chooses the pods to be collected, the oldest first.

    Args:
        pods: All retained pods.
        now: The present time.
        max_age_s: Seconds since its end that one may be retained; None: for ever.
        max_count: How many may be retained; None: any number.
    """
    by_age = sorted(pods)
    beyond = 0 if max_count is None else max(0, len(by_age) - max_count)
    if max_age_s is None:
        return by_age[:beyond]
    limit = now - dt.timedelta(seconds=max_age_s)
    return [pod for number, pod in enumerate(by_age) if number < beyond or pod.ended_at < limit]


class RetainedPods:
    """The retained pods of one scope.

    Args:
        reader: Reads what there is in the scope.
        delete: How one is deleted.
        owner: Our name.
        is_settled: Whether we are done with the pod of a UID (True) or not yet (False); None: we do not track it.
    """

    def __init__(
        self, reader: ScopeReader, delete: Deleter, *, owner: str, is_settled: Callable[[str], bool | None]
    ) -> None:
        self._reader = reader
        self._delete = delete
        self._owner = owner
        self._is_settled = is_settled

    async def collect_garbage(
        self, namespaces: Sequence[str | None], *, max_age_s: float | None, max_count: int | None
    ) -> int:
        """Deletes the retained pods that are beyond the limits; returns how many.

        Args:
            namespaces: Where to look; None: everywhere.
            max_age_s: As for :func:`beyond_limits`.
            max_count: As for :func:`beyond_limits`: of the scope, in these namespaces together.

        Raises:
            ApiError: The pods, or a Lease, cannot be read. Without an answer nothing is deleted.
            OwnershipError: We are no owner any more.
        """
        found = await self._retained(namespaces)
        gone = {self._owner: True}
        deleted = 0
        for pod in beyond_limits(found, now=self._reader.now(), max_age_s=max_age_s, max_count=max_count):
            if pod.owner not in gone:
                gone[pod.owner] = await self._reader.is_gone(pod.owner)
            deleted += gone[pod.owner] and await self._collect(pod)
        return deleted

    async def _collect(self, pod: RetainedPod) -> bool:
        try:
            return (await self._delete(pod.namespace, pod.name, uid=pod.uid)).found
        except OwnershipError:
            raise
        except PodrunnerError as error:
            _logger.warning(
                "kept pod %s/%s was not swept: %s", pod.namespace, pod.name, error, extra=pod_fields(pod)
            )
            return False

    async def _retained(self, namespaces: Sequence[str | None]) -> list[RetainedPod]:
        async with aclosing(self._reader.pods(namespaces, field_selector=_NOT_RUNNING)) as pods:
            return [retained async for pod in pods if (retained := self._as_retained(pod)) is not None]

    def _as_retained(self, pod: Pod) -> RetainedPod | None:
        meta = pod.metadata
        stamp = read_ownership(meta.labels, meta.annotations)
        if stamp is None or stamp.scope != self._reader.scope or pod.status.phase not in _OVER:
            return None
        settled = self._is_settled(meta.uid)
        if meta.deletion_timestamp is not None or not (is_reported(pod) if settled is None else settled):
            return None
        return RetainedPod(
            _ended_at(pod, stamp.main_container), meta.namespace, meta.name, meta.uid, stamp.owner
        )


def _ended_at(pod: Pod, main_container: str | None) -> dt.datetime:
    timings = timings_of(pod, main_status(pod, main_container))
    ended = parse_time(timings.finished) or parse_time(timings.created)
    return ended if ended is not None and ended.tzinfo is not None else _LONG_AGO
