"""Where the board has its pods from: one watch of its own for all viewers, or a runner's memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from podrunner.builder import read_ownership
from podrunner.gantt.records import PodRecord, record_of
from podrunner.gantt.runner_records import record_of_tracked
from podrunner.logs import LocalFile, LogPlace, LogQuery, LogReader, LogStreamLimiter, PodLog
from podrunner.outcome import NO_HISTORY, classify, remember, why
from podrunner.ownership import stored_outcome
from podrunner.runner.pod_changes import (
    PodObserver,
    check_open,
    client_of,
    config_of,
    detach,
    observe,
    tracked_pods,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from random import Random

    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.logs import FoundLog
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Event, Pod
    from podrunner.runner import AsyncPodRunner
    from podrunner.runner.tracked import TrackedPod
    from podrunner.watch import Observation, Reflector

__all__ = ["BoardSource", "ClusterPods", "RunnerPods", "ShownPod"]

LOGS_AT_ONCE: Final = 16
"""Logs that are read for viewers at a time; further ones wait for their turn."""


class ShownPod(NamedTuple):
    """A pod as a source has it.

    Attributes:
        record: Its stages, and how it ended.
        pod: Its last record; None: it does not exist.
        outcome: Its outcome; None: it has none.
    """

    record: PodRecord
    pod: Pod | None
    outcome: Outcome | None


class BoardSource(Protocol):
    """What the board asks."""

    def check_open(self) -> None:
        """Refuses to be watched while there is nothing to watch.

        Raises:
            RunnerClosedError: The runner is not open.
        """
        ...

    def uids(self) -> list[str]:
        """Returns the UIDs of all pods, or what stands for them."""
        ...

    def get(self, uid: str) -> ShownPod | None:
        """Returns a pod; None: it is not known any more."""
        ...

    def watch(self, on_change: Callable[[str], None], on_close: Callable[[], None]) -> None:
        """Begins to say which pods change."""
        ...

    def unwatch(self) -> None:
        """Ends that."""
        ...

    def trouble(self) -> str:
        """Returns why what is known may be out of date; "": it is not."""
        ...

    async def events(self, pod: Pod) -> list[Event]:
        """Reads the events of a pod."""
        ...

    def open_log(self, shown: ShownPod, container: str | None) -> AbstractAsyncContextManager[FoundLog]:
        """Opens a log, to be followed."""
        ...


def _log_reader(client: KubeClient, limiter: LogStreamLimiter, folder: Path | None) -> LogReader:
    places: list[LogPlace] = [PodLog(client, turns=limiter)]
    if folder is not None:
        places.append(LocalFile(folder))
    return LogReader(places)


def _query(shown: ShownPod, container: str | None, log_path: str | None) -> LogQuery:
    metadata = None if shown.pod is None else shown.pod.metadata
    ownership = None if metadata is None else read_ownership(metadata.labels, metadata.annotations)
    main = "" if ownership is None else ownership.main_container or ""
    return LogQuery(
        log_path,
        container=container,
        main_container=main,
        namespace=shown.record.namespace,
        pod=shown.record.pod,
    )


async def _events(client: KubeClient, pod: Pod) -> list[Event]:
    selector = f"involvedObject.uid={pod.metadata.uid}"
    return await client.list_events(pod.metadata.namespace, field_selector=selector)


class ClusterPods:
    """The pods of a namespace, by one list and watch; ``reflector.run`` runs beside.

    Args:
        client: The API server.
        settings: Of the watch, and where logs are collected.
        namespace: The namespace; None: all.
        selector: Which pods, as ``kubectl get -l``.
        random: Source of jitter.
    """

    def __init__(
        self,
        client: KubeClient,
        settings: RunnerConfig,
        *,
        namespace: str | None,
        selector: str,
        random: Random,
    ) -> None:
        from podrunner.watch import Reflector

        self._client = client
        self._limiter = LogStreamLimiter(LOGS_AT_ONCE)
        self._folder = settings.logs.folder
        self._on_change: Callable[[str], None] | None = None
        self.reflector: Reflector = Reflector(
            client,
            namespace=namespace,
            label_selector=selector,
            settings=settings.watch,
            random=random,
            sink=self._take,
        )

    def check_open(self) -> None:
        """There is always something to watch."""

    def _take(self, batch: Sequence[Observation]) -> None:
        if self._on_change is not None:
            for each in batch:
                self._on_change(each.pod.metadata.uid)

    def uids(self) -> list[str]:
        """Returns the UIDs of all pods."""
        return [pod.metadata.uid for pod in self.reflector.store]

    def get(self, uid: str) -> ShownPod | None:
        """Returns a pod; None: it is not known any more."""
        pod = self.reflector.store.get(uid)
        if pod is None:
            return None
        ownership = read_ownership(pod.metadata.labels, pod.metadata.annotations)
        main = None if ownership is None else ownership.main_container
        outcome = stored_outcome(pod) or classify(pod, main_container=main)
        history = remember(NO_HISTORY, pod, main_container=main)
        said = None if outcome is not None else why(pod, history=history, main_container=main)
        waits_for = "" if said is None else str(said)
        record = record_of(pod, seen_s=time.time(), outcome=outcome, main_container=main, waits_for=waits_for)
        return ShownPod(record, pod, outcome)

    def watch(self, on_change: Callable[[str], None], on_close: Callable[[], None]) -> None:
        """Begins to say which pods change."""
        del on_close  # the watch ends after the board
        self._on_change = on_change

    def unwatch(self) -> None:
        """Ends that."""
        self._on_change = None

    def trouble(self) -> str:
        """Returns why what is known may be out of date; "": it is not."""
        health = self.reflector.health()
        if not health.synced:
            return "the pods are not listed yet"
        return (
            f"no contact for {health.interrupted_s:.0f} s: {health.error or 'silence'}"
            if health.stale
            else ""
        )

    async def events(self, pod: Pod) -> list[Event]:
        """Reads the events of a pod."""
        return await _events(self._client, pod)

    def open_log(self, shown: ShownPod, container: str | None) -> AbstractAsyncContextManager[FoundLog]:
        """Opens a log, to be followed."""
        query = _query(shown, container, _log_path(shown.pod))
        return _log_reader(self._client, self._limiter, self._folder).open(query, follow=True)


def _log_path(pod: Pod | None) -> str | None:
    if pod is None:
        return None
    ownership = read_ownership(pod.metadata.labels, pod.metadata.annotations)
    return None if ownership is None else ownership.log_path


class RunnerPods:
    """The pods that a runner has in memory.

    Args:
        runner: The runner, on the event loop of the board.
    """

    def __init__(self, runner: AsyncPodRunner) -> None:
        self._runner = runner
        self._limiter = LogStreamLimiter(LOGS_AT_ONCE)
        self._observer: PodObserver | None = None
        self._named: WeakValueDictionary[str, TrackedPod] = WeakValueDictionary()

    def check_open(self) -> None:
        """Refuses to be watched while there is nothing to watch.

        Raises:
            RunnerClosedError: The runner is not open.
        """
        check_open(self._runner)

    def uids(self) -> list[str]:
        """Returns the UIDs of all pods; what stands for one that does not exist."""
        pods = {_uid(pod): pod for pod in tracked_pods(self._runner)}
        self._named = WeakValueDictionary(pods)
        return list(pods)

    def get(self, uid: str) -> ShownPod | None:
        """Returns a pod; None: it is not known any more."""
        pod = self._named.get(uid)
        if pod is None or pod.is_gone or _uid(pod) != uid:
            return None
        record = record_of_tracked(pod, self._runner, seen_s=time.time())
        return ShownPod(record, pod.pod, pod.outcome)

    def watch(self, on_change: Callable[[str], None], on_close: Callable[[], None]) -> None:
        """Begins to say which pods change."""

        def note(pod: TrackedPod, is_gone: bool) -> None:  # noqa: FBT001  # the observer's signature
            uid = _uid(pod)
            if is_gone:
                self._named.pop(uid, None)
            else:
                self._named[uid] = pod
            if pod.uid and self._named.pop(_name(pod), None) is not None:
                on_change(_name(pod))  # its line had no UID before
            on_change(uid)

        self._observer = PodObserver(self._runner, note, on_close)
        observe(self._runner, self._observer)

    def unwatch(self) -> None:
        """Ends that."""
        if self._observer is not None:
            detach(self._runner, self._observer)
            self._observer = None

    def trouble(self) -> str:
        """Returns why what is known may be out of date; "": it is not."""
        return "the watch is interrupted" if self._runner.health().stale else ""

    async def events(self, pod: Pod) -> list[Event]:
        """Reads the events of a pod."""
        return await _events(client_of(self._runner), pod)

    def open_log(self, shown: ShownPod, container: str | None) -> AbstractAsyncContextManager[FoundLog]:
        """Opens a log, to be followed."""
        query = _query(shown, container, _log_path(shown.pod))
        folder = config_of(self._runner).logs.folder
        return _log_reader(client_of(self._runner), self._limiter, folder).open(query, follow=True)


def _uid(pod: TrackedPod) -> str:
    return pod.uid or _name(pod)


def _name(pod: TrackedPod) -> str:
    return f"name:{pod.namespace}/{pod.name}"
