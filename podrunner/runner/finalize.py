"""What takes time at the end of a pod: gathering evidence, draining the log, marking it as reported, deleting it.

That it is done, and in which order, is decided in :mod:`podrunner.runner.lifecycle`; the file that a workload returns
is read in :mod:`podrunner.runner.results`. Trouble here never changes what became of a pod.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.errors import OwnershipError, PodrunnerError
from podrunner.kube import RequestRetry
from podrunner.logs import read_lines
from podrunner.ownership import mark_reported
from podrunner.runner.lifecycle import wants_events, with_events
from podrunner.runner.results import with_result
from podrunner.runner.states import DeletionAnswered, Enriching
from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.launcher import Launcher
    from podrunner.logs import LogStreamLimiter, PodAddress
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Event, Pod
    from podrunner.runner.tracked import TrackedPod

__all__ = ["Finalizer", "OutcomeEnricher", "PodDeleter"]

_logger = logging.getLogger(__name__)

# Between two requests to delete a pod that the server keeps refusing.
_DELETE_AGAIN_S: Final = 10.0
# For the pod's events, and for the last lines of its log: they never decide alone.
_EVIDENCE_S: Final = 5.0


class Finalizer:
    """The ends of one runner's pods.

    Args:
        client: The API server.
        config: Its ``logs`` and ``retry`` are read.
        limiter: The connections that all readers of logs share.
    """

    def __init__(self, client: KubeClient, config: RunnerConfig, *, limiter: LogStreamLimiter) -> None:
        self._client = client
        self._config = config
        self._enricher = OutcomeEnricher(client, config, limiter=limiter)
        self._closing = anyio.Event()

    def close(self) -> None:
        """Keeps pods no longer for a reader that may still come: the runner takes no more calls."""
        self._closing.set()

    async def enrich(self, pod: TrackedPod) -> Outcome | None:
        """Returns the provisional outcome with what else the cluster knows; None: none is wanted any more."""
        state = pod.state
        if not isinstance(state, Enriching):
            return None
        try:
            return await self._enricher.enrich(pod, state)
        except Exception:
            _logger.exception("no evidence of pod %s/%s", pod.namespace, pod.name)
            return state.provisional

    async def mark_reported(self, pod: TrackedPod) -> None:
        """Marks a pod that is retained, so that no successor reports its outcome again."""
        record, outcome = pod.pod, pod.outcome
        if record is not None and outcome is not None and not pod.is_gone:
            policy = RequestRetry.of(self._config.retry)
            await mark_reported(self._client, record, outcome.category, policy=policy)

    async def drain(self, pod: TrackedPod, *, keep_until_s: float | None = None) -> None:
        """Returns when every reader of the log has read it to its end, or the time for it is over.

        Args:
            pod: The pod.
            keep_until_s: How long a pod whose log is not collected is kept for a reader that may still come.
        """
        if keep_until_s is not None:
            await self._keep(pod, keep_until_s)
        with anyio.move_on_after(self._config.logs.drain_timeout_s):
            if pod.collector is not None:
                await pod.collector.drained(pod.main_container)
            while pod.readers:
                await pod.changed()

    async def _keep(self, pod: TrackedPod, until_s: float) -> None:
        if pod.collector is None and self._config.logs.follow != "off" and not pod.is_gone:
            with anyio.move_on_after(until_s - anyio.current_time()):
                await self._closing.wait()


class PodDeleter:
    """Deletes the pods of one runner, and knows which are on their way out.

    Args:
        launcher: Sends the requests.
        config: Its ``delete_grace_period_s`` is read.
        may_act: Returns whether the runner may still act.

    Attributes:
        failing: Pods whose deletion the server keeps refusing.
        is_frozen: Whether nothing is deleted any more: the pods are left to a successor.
    """

    def __init__(self, launcher: Launcher, config: RunnerConfig, *, may_act: Callable[[], bool]) -> None:
        self.failing: int = 0
        self.is_frozen: bool = False
        self._launcher = launcher
        self._config = config
        self._may_act = may_act
        self._leaving: set[str] = set()  # pods whose deletion was accepted, and that are not gone
        self._left = Notify()

    async def delete(self, pod: TrackedPod, *, grace_period_s: int | None = None) -> DeletionAnswered:
        """Deletes until the server has accepted it, or the pod is gone, or no longer this runner's to delete.

        Args:
            pod: The pod.
            grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
        """
        grace = self._config.delete_grace_period_s if grace_period_s is None else grace_period_s
        failed = False
        answer = DeletionAnswered()
        while self._may_act() and not (pod.is_gone or self.is_frozen):
            try:
                accepted = await self._launcher.delete(
                    pod.namespace, pod.name, uid=pod.uid, grace_period_s=grace
                )
                answer = self._accepted(pod, accepted.pod, is_first=not (failed or accepted.repeated))
                break
            except OwnershipError as error:
                _logger.info("pod %s/%s is not deleted: %s", pod.namespace, pod.name, error)
                break
            except PodrunnerError as error:
                _logger.warning("pod %s/%s was not deleted: %s", pod.namespace, pod.name, error)
                self.failing += not failed
                failed = True
            await anyio.sleep(_DELETE_AGAIN_S)
        self.failing -= failed
        return answer

    def _accepted(self, pod: TrackedPod, answered: Pod | None, *, is_first: bool) -> DeletionAnswered:
        if pod.is_gone or self.is_frozen:
            return DeletionAnswered()
        self._leaving.add(pod.uid)
        return DeletionAnswered(answered, is_first=is_first)

    async def delete_unwanted(self, pod: Pod) -> None:
        """Deletes a pod that was created after its launch was cancelled."""
        meta = pod.metadata
        try:
            await self._launcher.delete(meta.namespace, meta.name, uid=meta.uid)
        except PodrunnerError as error:
            _logger.warning("unwanted pod %s/%s was not deleted: %s", meta.namespace, meta.name, error)

    def confirm(self, pod: TrackedPod) -> None:
        """Takes note that a pod is gone, or no longer this runner's."""
        self._leaving.discard(pod.uid)
        self._left.notify_all()

    def freeze(self) -> None:
        """Deletes nothing any more, and waits for nothing."""
        self.is_frozen = True
        self._leaving.clear()
        self._left.notify_all()

    async def wait_gone(self) -> None:
        """Returns when every pod whose deletion was accepted is gone."""
        while self._leaving:
            await self._left.wait()


class OutcomeEnricher:
    """Gathers what else the cluster knows of a pod that ended: events, the last lines of its log, its result.

    Events and lines are asked for once, for a short time; whatever goes wrong gives nothing.

    Args:
        client: Is asked.
        config: Says how many lines of a failed pod's log are wanted.
        limiter: The connections that all readers of logs share.
    """

    def __init__(self, client: KubeClient, config: RunnerConfig, *, limiter: LogStreamLimiter) -> None:
        self._client = client
        self._config = config
        self._limiter = limiter

    async def enrich(self, pod: TrackedPod, state: Enriching) -> Outcome:
        """Returns the outcome of a pod whose end was seen, with what else the cluster knows.

        Args:
            pod: The pod.
            state: Its state now; records that come meanwhile count.
        """
        outcome = state.provisional
        if wants_events(state):
            events = await _events(self._client, pod.address)
            newest = pod.state
            outcome = with_events(newest if isinstance(newest, Enriching) else state, events)
        if outcome.succeeded:
            return await with_result(self._client, pod, outcome, retry=self._config.retry)
        lines = self._config.logs.tail_lines_on_failure
        if pod.is_gone or not lines or outcome.exit_code is None:
            return outcome
        container = outcome.container or pod.main_container
        tail = await _log_tail(self._client, pod.address, container, lines, limiter=self._limiter)
        return outcome.with_log_tail(tail)


async def _events(client: KubeClient, pod: PodAddress) -> list[Event]:
    """Returns the events about a pod; none if they cannot be had."""
    with anyio.move_on_after(_EVIDENCE_S):
        try:
            return await client.list_events(pod.namespace, field_selector=f"involvedObject.uid={pod.uid}")
        except PodrunnerError as error:
            _logger.info("no events of pod %s/%s: %s", pod.namespace, pod.name, error)
    return []


async def _log_tail(
    client: KubeClient, pod: PodAddress, container: str, lines: int, *, limiter: LogStreamLimiter
) -> tuple[str, ...]:
    """Returns the last lines of a container's log; none if they cannot be had."""
    with anyio.move_on_after(_EVIDENCE_S):
        try:
            async with limiter.drain():
                tail = await read_lines(
                    client, pod.namespace, pod.name, container=container, tail_lines=lines
                )
        except PodrunnerError as error:
            _logger.info("no log of pod %s/%s: %s", pod.namespace, pod.name, error)
        else:
            return tuple(tail)
    return ()
