"""Detects what no watch event reports: a deadline that passes, and a pod that the watch does not show.

When a deadline has passed is decided in :mod:`podrunner.runner.deadlines`; what follows, in
:mod:`podrunner.runner.lifecycle`. What is detected is handed to :class:`MonitorCallbacks`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from podrunner.builder.labels import KEY, OWNER
from podrunner.errors import NotFoundError, PodrunnerError, TransportError
from podrunner.event_loop import current_time
from podrunner.log_fields import pod_fields

if TYPE_CHECKING:
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPod

__all__ = ["UNSEEN_S", "MonitorCallbacks", "PodMonitor"]

_logger = logging.getLogger(__name__)

# How often deadlines are checked: they are whole seconds and more.
_POLL_S: Final = 1.0
UNSEEN_S: Final = 10.0
"""A pod that was created and that the watch has not shown for so long is asked for by name: it may have been deleted
while the watch was broken, and then no list will ever show it."""


class MonitorCallbacks(Protocol):
    """Takes what was detected."""

    def on_read(self, pod: TrackedPod, record: Pod) -> None:
        """A request showed the pod: this is its record."""

    def on_missing(self, pod: TrackedPod) -> None:
        """A request showed that the pod is not there any more."""

    def on_misread(self, pod: TrackedPod, record: Pod) -> None:
        """The pod has another UID than the answer to its create showed: this is its record."""

    def on_time(self, pod: TrackedPod, now_s: float) -> None:
        """It is this time now, for a pod whose deadlines are watched."""


class PodMonitor:
    """Polls for the pods of one runner for which a watch event may never come.

    Args:
        client: Is asked for pods by name.
        tasks: Where pods are asked for.
        callbacks: Takes what was detected.
    """

    def __init__(self, client: KubeClient, *, tasks: SupervisedTasks, callbacks: MonitorCallbacks) -> None:
        self._client = client
        self._tasks = tasks
        self._callbacks = callbacks
        self._watched: dict[str, TrackedPod] = {}
        self._unseen: dict[str, tuple[TrackedPod, float]] = {}

    def watch(self, pod: TrackedPod) -> None:
        """Reports the time for this pod from now on."""
        self._watched[pod.uid] = pod

    def unwatch(self, pod: TrackedPod) -> None:
        """Reports it no more."""
        self._watched.pop(pod.uid, None)

    def expect(self, pod: TrackedPod) -> None:
        """Asks for the pod by name if the watch does not show it soon."""
        self._unseen[pod.uid] = pod, current_time()

    def seen(self, pod: TrackedPod) -> None:
        """The watch has shown the pod."""
        if pod.uid in self._unseen:
            del self._unseen[pod.uid]

    def forget(self, pod: TrackedPod) -> None:
        """Drops a pod that is gone, or no longer this runner's."""
        self.unwatch(pod)
        self.seen(pod)

    def rename(self, uid: str, pod: TrackedPod) -> None:
        """Keeps under its present UID what is kept of a pod under another one."""
        if self._watched.pop(uid, None) is not None:
            self.watch(pod)
        if (unseen := self._unseen.pop(uid, None)) is not None:
            self._unseen[pod.uid] = unseen

    async def poll(self) -> None:
        """Reports the time and asks for unseen pods, once a second, for ever."""
        while True:
            await anyio.sleep(_POLL_S)
            now = current_time()
            for pod in tuple(self._watched.values()):
                self._report_time(pod, now)
            for pod, since in tuple(self._unseen.values()):
                if now - since >= UNSEEN_S:
                    self._unseen[pod.uid] = pod, now
                    self._tasks.start_soon(self._ask_for, pod, name=f"ask for {pod.name}")

    def _report_time(self, pod: TrackedPod, now: float) -> None:
        try:
            self._callbacks.on_time(pod, now)
        except Exception:
            _logger.exception(
                "the deadlines of pod %s/%s could not be checked",
                pod.namespace,
                pod.name,
                extra=pod_fields(pod),
            )

    async def _ask_for(self, pod: TrackedPod) -> None:
        """Asks for a pod that the watch does not show. Only a clear answer counts."""
        try:
            found = await self._read(pod)
        except NotFoundError:
            found = None
        except PodrunnerError as error:
            _logger.info(
                "pod %s/%s could not be asked for: %s", pod.namespace, pod.name, error, extra=pod_fields(pod)
            )
            return
        if pod.uid not in self._unseen:
            return
        if found is not None and found.metadata.uid == pod.uid:
            self._callbacks.on_read(pod, found)
        elif found is not None and _is_as_created(found, pod):
            self._callbacks.on_misread(pod, found)
        else:
            self.seen(pod)
            self._callbacks.on_missing(pod)

    async def _read(self, pod: TrackedPod) -> Pod:
        """Reads a pod; another UID is believed when two answers agree: one may be changed on the way.

        Raises:
            PodrunnerError: There is no pod of that name, no answer, or two that do not agree.
        """
        found = await self._client.read_pod(pod.namespace, pod.name)
        if found.metadata.uid == pod.uid:
            return found
        second = await self._client.read_pod(pod.namespace, pod.name)
        if second.metadata.uid not in {pod.uid, found.metadata.uid}:
            raise TransportError("two answers do not agree")
        return second

    async def read_again(self, pod: TrackedPod) -> bool:
        """Reads a pod whose watch may be interrupted; returns whether there was an answer.

        A pod that is gone counts as no answer: the watch will report it, with its last status.
        """
        try:
            found = await self._client.read_pod(pod.namespace, pod.name)
        except PodrunnerError as error:
            _logger.info(
                "pod %s/%s could not be read: %s", pod.namespace, pod.name, error, extra=pod_fields(pod)
            )
            return False
        if found.metadata.uid != pod.uid:
            return False
        self._callbacks.on_read(pod, found)
        return True


def _is_as_created(found: Pod, pod: TrackedPod) -> bool:
    """Whether a record with another UID is of the pod that was created: its time and its ownership are the same."""
    known = pod.pod
    if known is None or found.metadata.creation_timestamp != known.metadata.creation_timestamp:
        return False
    own, said = known.metadata.annotations or {}, found.metadata.annotations or {}
    return all(said.get(name) == own.get(name) for name in (OWNER, KEY))
