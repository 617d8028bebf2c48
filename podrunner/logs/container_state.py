"""The state of a container, as following its log needs it. It comes from the watch; no request is made for it.

:func:`container_view` is the pure reading of a pod's status; :class:`PodState` is what the runner provides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from podrunner.outcome import ever_started, may_restart_all

if TYPE_CHECKING:
    from podrunner.outcome.record import ContainerStatus, Pod

__all__ = ["ContainerView", "PodState", "container_view"]


class ContainerView(msgspec.Struct, frozen=True, gc=False):
    """One container, as its log's reader sees it.

    Attributes:
        restart: Which run this is about: 0 for the first.
        started: Whether that run has begun, so that there is a log.
        ended: Whether that run is over.
        final: Whether no later run will come.
        gone: Whether the pod is no longer there at all.
        began_at: When that run began, by its node's clock, in whole seconds; "" if that is not known.
        only_ended: Whether the status shows an end, and nothing that tells of a start: the kubelet gave up a container
            that it never started.
    """

    restart: int = 0
    started: bool = False
    ended: bool = False
    final: bool = False
    gone: bool = False
    began_at: str = ""
    only_ended: bool = False


class PodState(Protocol):
    """The pod's state, kept up to date by the watch."""

    def container(self, name: str) -> ContainerView:
        """The container as it is now known."""
        ...

    async def changed(self) -> None:
        """Returns when the pod's state has changed after the call."""
        ...


def container_view(pod: Pod, name: str, *, gone: bool = False) -> ContainerView:
    """Reads a container's state from the pod's status.

    Args:
        pod: The pod as last known.
        name: The container's name; init containers count too.
        gone: Whether the pod is no longer there.
    """
    over = gone or pod.status.phase in {"Succeeded", "Failed"}
    status = _status(pod, name)
    if status is None:
        return ContainerView(final=over, gone=gone)
    terminated = status.state.terminated is not None
    # In a crash loop the container waits, and its log is still that of the run which ended.
    ended = over or terminated or (status.state.running is None and status.last_state.terminated is not None)
    started = terminated or status.state.running is not None or status.last_state.terminated is not None
    final = over or (terminated and not _comes_back(pod, name))
    began_at = _began_at(status)
    return ContainerView(
        status.restart_count,
        started,
        started and ended,
        final,
        gone,
        began_at=began_at,
        only_ended=terminated and not began_at and not ever_started(status),
    )


def _began_at(status: ContainerStatus) -> str:
    present = status.state.running or status.state.terminated or status.last_state.terminated
    return (present.started_at or "") if present is not None else ""


def _status(pod: Pod, name: str) -> ContainerStatus | None:
    every = (*(pod.status.container_statuses or ()), *(pod.status.init_container_statuses or ()))
    return next((status for status in every if status.name == name), None)


def _comes_back(pod: Pod, name: str) -> bool:
    """Whether a container that has ended may be started again: what it follows is its own policy before the pod's."""
    if pod.metadata.deletion_timestamp:
        return False
    every = (*(pod.spec.containers or ()), *(pod.spec.init_containers or ()))
    spec = next((spec for spec in every if spec.name == name), None)
    if may_restart_all(pod) or (spec is not None and spec.restart_policy_rules):
        return True  # only the kubelet applies the rules; the pod's phase shows the result
    own = None if spec is None else spec.restart_policy
    return (own or pod.spec.restart_policy) != "Never"
