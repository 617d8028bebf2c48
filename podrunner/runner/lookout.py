"""The lookout: pods that no news is news of. Time alone may end them, or the watch does not show them.

How long the runner is patient is decided in :mod:`podrunner.runner.patience`; what is found out is told to
supervision.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from podrunner.errors import NotFoundError, PodrunnerError
from podrunner.outcome import verdict_outcome
from podrunner.runner.patience import needs_attention, next_verdict

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod
    from podrunner.runner.background import Background
    from podrunner.runner.tracked import Intent, TrackedPod

__all__ = ["UNSEEN_S", "Findings", "Lookout"]

_logger = logging.getLogger(__name__)

# How often pods that wait for something or may run too long are looked at. Graces are whole seconds and more.
_TICK_S: Final = 1.0
UNSEEN_S: Final = 10.0
"""A pod that was created and that the watch has not shown for so long is asked for by name: it may have been deleted
while the watch was broken, and then no list will ever tell."""


class Findings(Protocol):
    """Who hears of what was found out."""

    def learn(self, tracked: TrackedPod, pod: Pod) -> None:
        """The pod was read: this is its record."""

    def miss(self, tracked: TrackedPod) -> None:
        """The pod is not there any more."""

    async def evict(self, tracked: TrackedPod, intent: Intent, verdict: Outcome | None = None) -> None:
        """Patience with the pod is over."""


class Lookout:
    """Watches over the pods of one runner for which an observation may never come.

    Args:
        client: Is asked for pods by name.
        config: Says how long is too long.
        group: Where pods are asked for and given up.
        findings: Hears of what was found out.
    """

    def __init__(
        self, client: KubeClient, config: RunnerConfig, *, group: Background, findings: Findings
    ) -> None:
        self._client = client
        self._config = config
        self._group = group
        self._findings = findings
        self._attention: dict[str, TrackedPod] = {}
        self._unseen: dict[str, tuple[TrackedPod, float]] = {}

    def expect(self, tracked: TrackedPod) -> None:
        """The pod exists: the watch is to show it."""
        self._unseen[tracked.uid] = tracked, anyio.current_time()

    def seen(self, tracked: TrackedPod) -> None:
        """The watch has shown the pod."""
        self._unseen.pop(tracked.uid, None)

    def attend(self, tracked: TrackedPod) -> None:
        """The pod is not over: it is looked at again if time alone may end it."""
        if needs_attention(tracked, self._config):
            self._attention[tracked.uid] = tracked

    def dismiss(self, tracked: TrackedPod) -> None:
        """The pod has ended: time does nothing to it any more."""
        self._attention.pop(tracked.uid, None)

    def forget(self, tracked: TrackedPod) -> None:
        """The pod is gone, or no longer this runner's."""
        self.dismiss(tracked)
        self.seen(tracked)

    async def patrol(self) -> None:
        """Looks each second after the pods that wait for something, may run too long or are not seen."""
        while True:
            await anyio.sleep(_TICK_S)
            now = anyio.current_time()
            for tracked in tuple(self._attention.values()):
                try:
                    self._look_after(tracked, now)
                except Exception:
                    _logger.exception("pod %s/%s could not be judged", tracked.namespace, tracked.name)
            for tracked, since in tuple(self._unseen.values()):
                if now - since >= UNSEEN_S:
                    self._unseen[tracked.uid] = tracked, now
                    self._group.start_soon(self._look_for, tracked, name=f"look for {tracked.name}")

    def _look_after(self, tracked: TrackedPod, now: float) -> None:
        if tracked.ending or tracked.intent is not None or tracked.pod is None:
            self.dismiss(tracked)
            return
        found = next_verdict(tracked, self._config, now_s=now)
        if found is not None:
            intent, verdict = found
            outcome = verdict_outcome(tracked.pod, verdict, main_container=tracked.main_container)
            self._group.start_soon(
                self._findings.evict, tracked, intent, outcome, name=f"give up {tracked.name}"
            )
        elif not needs_attention(tracked, self._config):
            self.dismiss(tracked)

    async def _look_for(self, tracked: TrackedPod) -> None:
        """Asks for a pod that the watch does not show. Only a clear answer counts."""
        try:
            found = await self._client.read_pod(tracked.namespace, tracked.name)
        except NotFoundError:
            found = None
        except PodrunnerError as error:
            _logger.info("pod %s/%s could not be looked for: %s", tracked.namespace, tracked.name, error)
            return
        if tracked.uid not in self._unseen:
            return
        if found is None or found.metadata.uid != tracked.uid:
            self.seen(tracked)
            self._findings.miss(tracked)
        else:
            self._findings.learn(tracked, found)

    async def read_again(self, tracked: TrackedPod) -> bool:
        """Reads a pod of which the watch has no more to say: it may be interrupted. Whether there was an answer.

        Of a pod that is gone the watch will tell, with its last status.
        """
        try:
            found = await self._client.read_pod(tracked.namespace, tracked.name)
        except PodrunnerError as error:
            _logger.info("pod %s/%s could not be read: %s", tracked.namespace, tracked.name, error)
            return False
        if found.metadata.uid != tracked.uid:
            return False
        self._findings.learn(tracked, found)
        return True
