"""Deleting pods: again and again until the server has accepted it, and knowing which are on their way out.

Which pods are deleted, and how long their end is waited for, is decided in :mod:`podrunner.runner.removal`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.errors import OwnershipError, PodrunnerError
from podrunner.outcome import ended_before_deletion
from podrunner.runner.notify import Notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.config import RunnerConfig
    from podrunner.launcher import Launcher
    from podrunner.outcome.record import Pod
    from podrunner.runner.tracked import TrackedPod

__all__ = ["Deletions"]

_logger = logging.getLogger(__name__)

_RETRY_S: Final = 10.0


class Deletions:
    """All deletions of one runner.

    Args:
        launcher: Sends the requests.
        config: Its ``delete_grace_period_s`` is read.
        may_act: Tells whether the runner still holds its Lease.
        learn: Called with a pod and the record that its deletion was answered: the newest there is.

    Attributes:
        failing: Pods whose deletion the server keeps refusing.
        frozen: Whether nothing may be deleted any more: the pods are somebody else's business now.
    """

    def __init__(
        self,
        launcher: Launcher,
        config: RunnerConfig,
        *,
        may_act: Callable[[], bool],
        learn: Callable[[TrackedPod, Pod], None],
    ) -> None:
        self.failing: int = 0
        self.frozen: bool = False
        self._launcher = launcher
        self._config = config
        self._may_act = may_act
        self._learn = learn
        self._leaving: set[str] = set()  # pods whose deletion was accepted, and that are not gone
        self._left = Notify()

    async def delete(self, tracked: TrackedPod) -> None:
        """Deletes until the server has accepted it, or the pod is gone, or no longer this runner's to delete."""
        grace = tracked.grace_period_s
        if grace is None:
            grace = self._config.delete_grace_period_s
        failed = False
        while self._may_act() and not (tracked.gone or self.frozen):
            try:
                answer = await self._launcher.delete(
                    tracked.namespace, tracked.name, uid=tracked.uid, grace_period_s=grace
                )
                self._note(tracked, answer.pod, repeated=failed or answer.repeated)
                break
            except OwnershipError as error:
                _logger.info("pod %s/%s is not deleted: %s", tracked.namespace, tracked.name, error)
                break
            except PodrunnerError as error:
                _logger.warning("pod %s/%s was not deleted: %s", tracked.namespace, tracked.name, error)
                self.failing += not failed
                failed = True
            await anyio.sleep(_RETRY_S)
        self.failing -= failed

    def _note(self, tracked: TrackedPod, answered: Pod | None, *, repeated: bool) -> None:
        """Takes note of the answer: it shows an end that came before the deletion, though no watch may ever do."""
        if tracked.gone or self.frozen:
            return
        self._leaving.add(tracked.uid)
        if answered is not None and answered.metadata.uid == tracked.uid:
            tracked.ended_first = not repeated and ended_before_deletion(
                answered, main_container=tracked.main_container
            )
            self._learn(tracked, answered)

    async def sweep(self, pod: Pod) -> None:
        """Deletes a pod that is nobody's: it appeared after its launch was cancelled."""
        meta = pod.metadata
        try:
            await self._launcher.delete(meta.namespace, meta.name, uid=meta.uid)
        except PodrunnerError as error:
            _logger.warning("unwanted pod %s/%s was not deleted: %s", meta.namespace, meta.name, error)

    def left(self, tracked: TrackedPod) -> None:
        """The pod is gone, or no longer this runner's."""
        self._leaving.discard(tracked.uid)
        self._left.notify_all()

    def freeze(self) -> None:
        """Nothing is deleted any more, and nothing waited for."""
        self.frozen = True
        self._leaving.clear()
        self._left.notify_all()

    async def over(self) -> None:
        """Returns when every pod whose deletion was accepted is gone."""
        while self._leaving:
            await self._left.wait()
