"""Verifies by a read whether pods that left the selection are deleted, merely no longer selected, or not even that.

A watch with a label selector says DELETED in both cases (API concepts, "watch"), and a list lacks the pod in both. A
pod that was seen in the last write before its deletion is deleted; any other is asked for by name, until there is an
answer: a deletion is never assumed. What follows on the answer does not belong here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import anyio

from podrunner.errors import ApiError, NotFoundError, TransportError
from podrunner.event_loop import make_event
from podrunner.log_fields import pod_fields
from podrunner.watch.backoff import WatchBackoff
from podrunner.watch.store import Kind, Observation

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from podrunner.config.policies import WatchSettings
    from podrunner.outcome.record import Pod

__all__ = ["DeletionVerifier", "PodReader", "is_conclusive"]

_log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Reads in flight at the same time: enough to catch up quickly, few beside the other requests on the connections."""


class PodReader(Protocol):
    """Reads one pod."""

    async def read_pod(self, namespace: str, name: str) -> Pod:
        """Return a pod as it is now, or raise NotFoundError."""
        ...


def is_conclusive(observation: Observation) -> bool:
    """Whether an observation can be reported without verification.

    The API server removes a pod in two writes: first its grace period becomes 0, then it is deleted (``BeforeDelete``
    in apiserver's registry/rest). So a deletion is certain if that first write was seen, and no finalizer kept the
    pod after it.
    """
    if observation.kind not in {Kind.DELETED, Kind.VANISHED}:
        return True
    records = (observation.pod, observation.previous)
    return any(pod is not None and _in_last_write(pod) for pod in records)


def _in_last_write(pod: Pod) -> bool:
    meta = pod.metadata
    return (
        meta.deletion_timestamp is not None and not meta.deletion_grace_period_seconds and not meta.finalizers
    )


class DeletionVerifier:
    """Verifies pods that may be gone, and those whose record cannot be true (MODIFIED), a few at a time.

    Args:
        client: Reads pods.
        settings: The waits between reads that fail.
        random: The source of jitter.
        report: Called with the result: DELETED or VANISHED as it was, LEFT with the pod as it is, or MODIFIED with a
            pod that is still ours: what said that it was gone was wrong.
        is_ours: Whether a pod as it is now is still ours.

    Attributes:
        waiting: What waits for an answer, by UID.
    """

    def __init__(
        self,
        client: PodReader,
        settings: WatchSettings,
        *,
        random: Random,
        report: Callable[[Observation], None],
        is_ours: Callable[[Pod], bool],
    ) -> None:
        self._client = client
        self._settings = settings
        self._random = random
        self._report = report
        self._is_ours = is_ours
        self.waiting: dict[str, Observation] = {}
        self._wake = make_event()

    def __len__(self) -> int:
        return len(self.waiting)

    def ask(self, observation: Observation) -> None:
        """Queue a pod for verification."""
        self.waiting[observation.pod.metadata.uid] = observation
        self._wake.set()

    def forget(self, uid: str) -> None:
        """Drop a pod: it is back in the selection."""
        self.waiting.pop(uid, None)

    async def run(self) -> None:
        """Verify queued pods, for ever."""
        backoff = WatchBackoff(self._settings, self._random)
        while True:
            if not self.waiting:
                self._wake = make_event()
                await self._wake.wait()
            asked = list(self.waiting.values())[:_AT_ONCE]
            if await self._verify_all(asked):
                backoff.recovered()
            else:
                await anyio.sleep(backoff.wait_s())

    async def _verify_all(self, asked: list[Observation]) -> bool:
        """Verify some; return whether any read was answered."""
        answers: list[bool] = []
        async with anyio.create_task_group() as tasks:
            for observation in asked:
                tasks.start_soon(self._verify, observation, answers, name="podrunner-watch-verify-pod")
        return any(answers)

    async def _verify(self, asked: Observation, answers: list[bool]) -> None:
        meta = asked.pod.metadata
        try:
            answer = await self._read(asked)
        except NotFoundError:
            self._settle(asked, None if asked.kind is Kind.MODIFIED else asked)
        except Exception as error:  # noqa: BLE001  # an error about one pod does not stop the others; it is read again
            level = logging.WARNING if isinstance(error, ApiError) else logging.INFO
            said, extra = "pod %s/%s may be gone, asking again: %s", pod_fields(meta)
            _log.log(level, said, meta.namespace, meta.name, error, extra=extra)
            # To the end of the queue: a pod that cannot be read does not block the others.
            self._requeue(asked)
            return
        else:
            self._settle(asked, answer)
        answers.append(True)

    async def _read(self, asked: Observation) -> Observation | None:
        """Read a pod; what ends all news of it is believed when two answers agree: one may be changed on the way.

        Raises:
            NotFoundError: There is no pod of its name.
            TransportError: The two answers do not agree, or there is none.
            ApiError: The server refuses.
        """
        meta = asked.pod.metadata
        found = await self._client.read_pod(meta.namespace, meta.name)
        if found.metadata.uid == meta.uid and (asked.kind is Kind.MODIFIED or self._is_ours(found)):
            return Observation(Kind.MODIFIED, found, asked.pod)
        second = await self._client.read_pod(meta.namespace, meta.name)
        uid = second.metadata.uid
        if uid != found.metadata.uid or (uid == meta.uid and self._is_ours(second)):
            raise TransportError("two answers do not agree")
        if asked.kind is Kind.MODIFIED:
            return None  # the watch will show its deletion
        return Observation(Kind.LEFT, second, asked.pod) if uid == meta.uid else asked

    def _requeue(self, asked: Observation) -> None:
        uid = asked.pod.metadata.uid
        if self.waiting.get(uid) is asked:
            del self.waiting[uid]
            self.waiting[uid] = asked

    def _settle(self, asked: Observation, answer: Observation | None) -> None:
        uid = asked.pod.metadata.uid
        if self.waiting.get(uid) is asked:
            del self.waiting[uid]
            if answer is not None:
                self._report(answer)
