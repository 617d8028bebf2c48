"""What else the cluster tells about a pod that ended: events, the last lines of its log, its result.

Events and lines are asked for once, for a short time; whatever goes wrong gives nothing, because evidence never
decides alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.errors import PodrunnerError
from podrunner.logs import read_lines
from podrunner.outcome import events_may_tell
from podrunner.runner.result import with_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.logs import LogStreamLimiter, PodAddress
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Event
    from podrunner.runner.tracked import TrackedPod

__all__ = ["Evidence"]

_logger = logging.getLogger(__name__)
_PATIENCE_S: Final = 5.0


class Evidence:
    """Gathers evidence for the outcomes of one runner's pods.

    Args:
        client: Is asked.
        config: Says how many lines of a failed pod's log are wanted.
        limiter: The connections that all who read logs share.
    """

    def __init__(self, client: KubeClient, config: RunnerConfig, *, limiter: LogStreamLimiter) -> None:
        self._client = client
        self._config = config
        self._limiter = limiter

    async def add(
        self, tracked: TrackedPod, outcome: Outcome, *, judge: Callable[[list[Event]], Outcome | None]
    ) -> Outcome:
        """The outcome with what else the cluster tells. Nothing here can fail it, or hold it up for ever.

        Args:
            tracked: The pod.
            outcome: What its status alone says.
            judge: Called with the pod's events where these may say more: gives the outcome anew.
        """
        assert tracked.pod is not None, "it was seen to end"
        if tracked.intent is None and events_may_tell(tracked.pod, outcome, asked_at=tracked.asked_at):
            outcome = judge(await _events(self._client, tracked.address)) or outcome
        if outcome.succeeded:
            return await with_result(self._client, tracked, outcome, retry=self._config.retry)
        lines = self._config.logs.tail_lines_on_failure
        if tracked.gone or not lines or outcome.exit_code is None:
            return outcome
        container = outcome.container or tracked.main_container
        return outcome.with_log_tail(
            await _log_tail(self._client, tracked.address, container, lines, limiter=self._limiter)
        )


async def _events(client: KubeClient, pod: PodAddress) -> list[Event]:
    """The events about a pod; none if they cannot be had."""
    with anyio.move_on_after(_PATIENCE_S):
        try:
            return await client.list_events(pod.namespace, field_selector=f"involvedObject.uid={pod.uid}")
        except PodrunnerError as error:
            _logger.info("no events of pod %s/%s: %s", pod.namespace, pod.name, error)
    return []


async def _log_tail(
    client: KubeClient, pod: PodAddress, container: str, lines: int, *, limiter: LogStreamLimiter
) -> tuple[str, ...]:
    """The last lines of a container's log; none if they cannot be had."""
    with anyio.move_on_after(_PATIENCE_S):
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
