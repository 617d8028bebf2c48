"""What else the cluster tells about a pod that ended: events and the last lines of its log.

Each is asked for once, for a short time; whatever goes wrong gives nothing, because evidence never decides
alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.errors import PodrunnerError
from podrunner.logs import read_lines

if TYPE_CHECKING:
    from podrunner.kube import KubeClient
    from podrunner.logs import LogTurns, PodAddress
    from podrunner.outcome.record import Event

__all__ = ["log_tail", "pod_events"]

_logger = logging.getLogger(__name__)
_PATIENCE_S: Final = 5.0


async def pod_events(client: KubeClient, pod: PodAddress) -> list[Event]:
    """The events about a pod; none if they cannot be had."""
    with anyio.move_on_after(_PATIENCE_S):
        try:
            return await client.list_events(pod.namespace, field_selector=f"involvedObject.uid={pod.uid}")
        except PodrunnerError as error:
            _logger.info("no events of pod %s/%s: %s", pod.namespace, pod.name, error)
    return []


async def log_tail(
    client: KubeClient, pod: PodAddress, container: str, lines: int, *, turns: LogTurns
) -> tuple[str, ...]:
    """The last lines of a container's log; none if they cannot be had."""
    with anyio.move_on_after(_PATIENCE_S):
        try:
            async with turns.drain():
                tail = await read_lines(
                    client, pod.namespace, pod.name, container=container, tail_lines=lines
                )
        except PodrunnerError as error:
            _logger.info("no log of pod %s/%s: %s", pod.namespace, pod.name, error)
        else:
            return tuple(tail)
    return ()
