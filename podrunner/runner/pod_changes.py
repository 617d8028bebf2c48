"""What displays read of a runner: its pods as it tracks them, and which of them have changed.

What belongs here: the way to a runner's memory for other rooms of podrunner. No request is sent for it, and nothing is
delivered. What is made of it is shown by :mod:`podrunner.gantt` and :mod:`podrunner.dashboard`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from podrunner.runner.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome import Waiting
    from podrunner.runner.events import RunnerEvent
    from podrunner.runner.runner import AsyncPodRunner
    from podrunner.runner.tracked import TrackedPod

__all__ = [
    "PodObserver",
    "check_open",
    "client_of",
    "config_of",
    "detach",
    "observe",
    "owner_of_runner",
    "tracked_pods",
    "waiting_of",
]


class PodObserver:
    """Passes on which pods of a runner change, until it is detached.

    Args:
        runner: The runner.
        on_change: Called with the pod, and whether it was seen to be gone.
        on_close: Called when the runner has ended; None: nothing is.
    """

    def __init__(
        self,
        runner: AsyncPodRunner,
        on_change: Callable[[TrackedPod, bool], None],
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._pods = runner._entered().pods  # noqa: SLF001  # the runner's own room
        self._on_change = on_change
        self._on_close = on_close
        # A pod that is gone may be forgotten there before its event comes. None is kept that nothing else holds.
        self._known = WeakValueDictionary({pod.uid: pod for pod in self._pods})

    def put(self, event: RunnerEvent) -> None:
        """Takes note of an event."""
        pod = self._pods.get(event.uid) or self._pods.named(event.namespace, event.name)
        pod = pod or self._known.get(event.uid)
        if pod is None:
            return
        is_gone = event.kind is EventKind.DELETED
        if is_gone or not event.uid:
            self._known.pop(event.uid, None)
        else:
            self._known[event.uid] = pod
        self._on_change(pod, is_gone)

    def close(self) -> None:
        """Nothing more will come."""
        if self._on_close is not None:
            self._on_close()


def check_open(runner: AsyncPodRunner) -> None:
    """Refuses a runner that cannot be observed.

    Raises:
        RunnerClosedError: The runner is not open.
    """
    runner._entered().context.check_open("observe")  # noqa: SLF001


def observe(runner: AsyncPodRunner, observer: PodObserver) -> None:
    """Begins to pass a runner's events on to an observer, which delivers nothing.

    Raises:
        RunnerClosedError: The runner is not open.
    """
    check_open(runner)
    runner._bus.attach(observer)  # noqa: SLF001


def detach(runner: AsyncPodRunner, observer: PodObserver) -> None:
    """Passes nothing more on."""
    runner._bus.detach(observer)  # noqa: SLF001


def tracked_pods(runner: AsyncPodRunner) -> list[TrackedPod]:
    """Returns the pods that a runner has in memory, submitted ones included.

    Raises:
        RunnerClosedError: The runner was never open.
    """
    pods = runner._entered().pods  # noqa: SLF001
    return [*pods, *pods.not_created()]


def waiting_of(runner: AsyncPodRunner, pod: TrackedPod) -> Waiting | None:
    """Returns why a pod waits; None: it does not, or is not there."""
    return runner._entered().context.waiting(pod)  # noqa: SLF001


def client_of(runner: AsyncPodRunner) -> KubeClient:
    """Returns the client of an open runner."""
    context = runner._entered().context  # noqa: SLF001
    context.check_connected("read")
    return context.client


def owner_of_runner(runner: AsyncPodRunner) -> str:
    """Returns the name under which a runner owns its pods."""
    return runner._owner  # noqa: SLF001


def config_of(runner: AsyncPodRunner) -> RunnerConfig:
    """Returns the configuration of an open runner."""
    return runner._entered().context.config  # noqa: SLF001
