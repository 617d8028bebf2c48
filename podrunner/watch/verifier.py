"""A second look at pods that went out of the selection: deleted, or merely no longer selected?

A watch with a label selector says DELETED in both cases (API concepts, "watch"), and a list lacks the pod in both. A
pod that was seen in the last write before its deletion is deleted; any other is asked for by name, until there is an
answer: an end is never made up. What follows on the answer does not belong here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import anyio

from podrunner.errors import ApiError, NotFoundError
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
"""Looks under way at the same time: enough to catch up quickly, few beside everything else on the connections."""


class PodReader(Protocol):
    """Reads one pod."""

    async def read_pod(self, namespace: str, name: str) -> Pod:
        """Return a pod as it is now, or raise NotFoundError."""
        ...


def is_conclusive(observation: Observation) -> bool:
    """Tell whether an observation can be told without a second look.

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
    """Looks after pods that may be gone, a few at a time.

    Args:
        client: Reads pods.
        settings: The waits between looks that fail.
        random: The source of jitter.
        tell: Called with what turned out: DELETED or VANISHED as it was, or LEFT with the pod as it is.
    """

    def __init__(
        self,
        client: PodReader,
        settings: WatchSettings,
        *,
        random: Random,
        tell: Callable[[Observation], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._random = random
        self._tell = tell
        self._waiting: dict[str, Observation] = {}
        self._wake = anyio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, observation: Observation) -> None:
        """Have a pod looked after."""
        self._waiting[observation.pod.metadata.uid] = observation
        self._wake.set()

    def forget(self, uid: str) -> None:
        """Drop the question: the pod is back in the selection."""
        self._waiting.pop(uid, None)

    async def run(self) -> None:
        """Look after pods, for ever."""
        backoff = WatchBackoff(self._settings, self._random)
        while True:
            if not self._waiting:
                self._wake = anyio.Event()
                await self._wake.wait()
            asked = list(self._waiting.values())[:_AT_ONCE]
            if await self._look_all(asked):
                backoff.recovered()
            else:
                await anyio.sleep(backoff.wait_s())

    async def _look_all(self, asked: list[Observation]) -> bool:
        """Look at some; return whether any look was answered."""
        answers: list[bool] = []
        async with anyio.create_task_group() as tasks:
            for observation in asked:
                tasks.start_soon(self._look, observation, answers, name="podrunner-watch-verify-pod")
        return any(answers)

    async def _look(self, asked: Observation, answers: list[bool]) -> None:
        meta = asked.pod.metadata
        try:
            found = await self._client.read_pod(meta.namespace, meta.name)
        except NotFoundError:
            self._settle(asked, asked)
        except Exception as error:  # noqa: BLE001  # one pod's trouble is no other's; it is asked for again
            level = logging.WARNING if isinstance(error, ApiError) else logging.INFO
            _log.log(level, "pod %s/%s may be gone, asking again: %s", meta.namespace, meta.name, error)
            # To the end of the line: others are not held up by one that cannot be read.
            self._requeue(asked)
            return
        else:
            still = found.metadata.uid == meta.uid
            self._settle(asked, Observation(Kind.LEFT, found, asked.pod) if still else asked)
        answers.append(True)

    def _requeue(self, asked: Observation) -> None:
        uid = asked.pod.metadata.uid
        if self._waiting.get(uid) is asked:
            del self._waiting[uid]
            self._waiting[uid] = asked

    def _settle(self, asked: Observation, answer: Observation) -> None:
        uid = asked.pod.metadata.uid
        if self._waiting.get(uid) is asked:
            del self._waiting[uid]
            self._tell(answer)
