"""The pods of one runner: each with its identity, its state and the tasks that wait for it; and all together.

What belongs here: holding states, looking pods up, counting, waking. What follows on what is decided in
:mod:`podrunner.runner.lifecycle`; only :class:`podrunner.runner.supervisor.Supervisor` moves a pod from one state to
the next.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from podrunner.logs import ContainerView, FileLogSink, LogCollector, PodAddress, container_view
from podrunner.outcome import with_resource_seconds
from podrunner.runner.events import EventKind, RunnerEvent, note_pod
from podrunner.runner.states import (
    Creating,
    Finished,
    New,
    Relinquished,
    SettledState,
    State,
    is_gone,
    outcome_of,
)
from podrunner.runner.stopwatch import Stopwatch
from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from podrunner.errors import PodrunnerError
    from podrunner.outcome import Outcome, Timings
    from podrunner.outcome.record import Pod
    from podrunner.runner.states import Rules
    from podrunner.workload import WorkloadKey

__all__ = ["TrackedPod", "TrackedPods"]


class TrackedPod:
    """A pod that this runner owns, or is about to create.

    Attributes:
        key: The workload's identity and attempt.
        namespace: Its namespace.
        name: Its name.
        main_container: The container whose end is the pod's.
        log_path: Where its log goes below the log folder; None: nowhere.
        manifest_hash: Of the workload that this runner launched as it; None: it did not, or that is not known.
        state: Where it stands in its life.
        pod: The last record; None before the pod exists.
        uid: The pod's UID; "" before it exists.
        status: Its last printed status; "" before it exists.
        collector: What collects its log; None: nothing does.
        is_collected: Whether the collection of its log was begun, with whatever sinks there were.
        files: Its log files, whose cursors are removed when the pod is gone.
        readers: How many read its log just now.
        is_taken_over: Whether another runner was seen to be its owner: nothing is written to it, or of it, any more.
        replayed: Whether it had ended before this launch of its attempt: the outcome is that of an earlier launch.
        stopwatch: How long its stages took here.
        submitted_at_s: When this runner began to track it, in seconds since 1970: for displays.
        waits: How many callers wait for its end.
    """

    __slots__ = (
        "__weakref__",
        "_change",
        "_end",
        "collector",
        "files",
        "is_collected",
        "is_taken_over",
        "key",
        "log_path",
        "main_container",
        "manifest_hash",
        "name",
        "namespace",
        "pod",
        "readers",
        "replayed",
        "state",
        "status",
        "stopwatch",
        "submitted_at_s",
        "uid",
        "waits",
    )

    def __init__(
        self, key: WorkloadKey, namespace: str, name: str, *, rules: Rules, log_path: str | None = None
    ) -> None:
        self.key: WorkloadKey = key
        self.namespace: str = namespace
        self.name: str = name
        self.main_container: str = rules.main_container
        self.log_path: str | None = log_path
        self.manifest_hash: str | None = None
        self.state: State = New(rules=rules)
        self.pod: Pod | None = None
        self.uid: str = ""
        self.status: str = ""
        self.collector: LogCollector | None = None
        self.is_collected: bool = False
        self.files: list[FileLogSink] = []
        self.readers: int = 0
        self.is_taken_over: bool = False
        self.replayed: bool = False
        self.stopwatch: Stopwatch = Stopwatch()
        self.submitted_at_s: float = time.time()
        self.waits: int = 0
        self._change = Notify()
        self._end = Notify()

    def __repr__(self) -> str:
        return f"<pod {self.namespace}/{self.name} {self.status or 'not created'}>"

    # What the state says

    @property
    def address(self) -> PodAddress:
        """Where to find it."""
        return PodAddress(self.namespace, self.name, self.uid)

    @property
    def outcome(self) -> Outcome | None:
        """Its one outcome; None while there is none."""
        return outcome_of(self.state)

    @property
    def launch_error(self) -> PodrunnerError | None:
        """Why it could not be created, or be had; None if it could, or is not yet."""
        return self.state.launch_error if isinstance(self.state, Finished | Relinquished) else None

    @property
    def is_gone(self) -> bool:
        """Whether it existed and is no longer there."""
        return is_gone(self.state)

    @property
    def is_relinquished(self) -> bool:
        """Whether its outcome will not come from here."""
        return isinstance(self.state, Relinquished)

    def event(self, kind: EventKind, *, outcome: Outcome | None = None, message: str = "") -> RunnerEvent:
        """Returns an event about the pod, with its present status."""
        state = self.state
        will_retry = outcome is not None and isinstance(state, SettledState) and state.delivery.has_next_try
        place = (self.key, self.namespace, self.name, self.uid)
        replayed = outcome is not None and self.replayed
        event = RunnerEvent(kind, *place, self.status, outcome, message, will_retry, replayed)
        return note_pod(event, self)

    def finished_event(self) -> RunnerEvent:
        """Returns the event of its outcome, which is there."""
        return self.event(EventKind.FINISHED, outcome=self.outcome)

    # The pod's containers, as log collection sees them

    def container(self, name: str) -> ContainerView:
        """Returns a container's state as it is now known."""
        pod = self.pod
        if pod is None:
            return ContainerView(final=self.outcome is not None)
        view = container_view(pod, name, gone=self.is_gone)
        is_forgotten = view.final and (view.only_ended or not view.started)
        known = self.state.snapshot
        if is_forgotten and name == self.main_container and known is not None and known.history.started:
            # A node that came back may reject the pod, and its kubelet then writes a status without the containers.
            return replace(view, started=True, ended=True, only_ended=False)
        return view

    def assume(self, *, main_container: str, log_path: str) -> None:
        """Takes what the pod itself says about it, before it is tracked: it was made by an earlier launch."""
        self.log_path = log_path
        if main_container != self.main_container:
            self.main_container = main_container
            self.state = replace(self.state, rules=replace(self.state.rules, main_container=main_container))

    # Waiting

    def move(self, state: State) -> None:
        """Takes the next state and wakes the tasks that wait for it."""
        last, before = self.state, self.pod
        self.state = state
        known = state.snapshot
        if known is not None and known.pod is not before:
            self.pod, self.uid, self.status = known.pod, known.pod.metadata.uid, known.status
            if before is not None:
                self.stopwatch.note(
                    before, known.pod, main_container=self.main_container, now_s=time.monotonic()
                )
            elif isinstance(last, Creating):
                self.stopwatch.created(time.monotonic())
        if self._change.waiting is not None:
            self._change.notify_all()
        if state.is_ended:
            self._end.notify_all()

    def measured(self, timings: Timings) -> Timings:
        """Returns the timings with what was measured here, and with what the pod had for how long."""
        measured = self.stopwatch.measured(timings)
        return measured if self.pod is None else with_resource_seconds(measured, self.pod)

    def notify(self) -> None:
        """Wakes the tasks that wait for a change."""
        self._change.notify_all()

    async def changed(self) -> None:
        """Returns when something about the pod has changed after the call."""
        await self._change.wait()

    async def ended(self) -> None:
        """Returns when the outcome is there, or will not come from here."""
        while not self.state.is_ended:
            await self._end.wait()

    def on_end(self, callback: Callable[[], object]) -> None:
        """Calls a function once, when the outcome of a pod that has not ended is there, or will not come from here."""
        self._end.call_once(callback)

    async def drained(self) -> None:
        """Returns when the outcome is settled and the log read, or neither will come from here."""
        while not self.state.is_drained:
            await self._end.wait()

    def note_last_reading(self) -> None:
        """No other runner will collect the log: the pod is being marked as reported, or deleted after its end."""
        if self.collector is not None:
            self.collector.note_last()

    def begin_reading(self) -> None:
        """The log is being read: the pod is not deleted before that ends, within the drain time."""
        self.readers += 1

    def end_reading(self) -> None:
        """A reader of the log is through."""
        self.readers -= 1
        self.notify()


class TrackedPods:
    """All pods of one runner, by UID once they exist and by name from their submission on.

    Attributes:
        active: How many exist and have no outcome.
        open: How many exist and have something still to be done about them, besides delivering their outcomes.
        undelivered: How many have an outcome that is not delivered.
        unread: How many of them wait for a reader, and not for another try of their run.
        by_uid: Those that exist, by UID; to be read only.
    """

    def __init__(self) -> None:
        self.active: int = 0
        self.open: int = 0
        self.undelivered: int = 0
        self.unread: int = 0
        self.by_uid: dict[str, TrackedPod] = {}
        self._by_name: dict[tuple[str, str], TrackedPod] = {}
        self._by_key: dict[WorkloadKey, list[TrackedPod]] = {}
        self._newest: dict[WorkloadKey, TrackedPod] = {}
        self._change = Notify()

    def __len__(self) -> int:
        return len(self.by_uid)

    def __iter__(self) -> Iterator[TrackedPod]:
        """Goes through the pods that exist, as they are at the moment of the call."""
        return iter(tuple(self.by_uid.values()))

    def get(self, uid: str) -> TrackedPod | None:
        """Returns the pod of a UID; None: it is not tracked."""
        return self.by_uid.get(uid)

    def named(self, namespace: str, name: str) -> TrackedPod | None:
        """Returns the pod of a name, unless it is gone and its outcome delivered; None: there is none."""
        known = self._by_name.get((namespace, name))
        if known is None or (known.is_gone and not known.state.is_undelivered):
            return None
        return known

    def texts_of(self, namespace: str, name: str) -> tuple[str, ...]:
        """Returns the texts that are held of the pod of a name, so that a record of it need not hold them again."""
        pod = self._by_name.get((namespace, name))
        if pod is None:
            return ()
        return (pod.name, pod.uid, pod.key.identity, pod.log_path or "", pod.manifest_hash or "")

    def of_key(self, key: WorkloadKey) -> list[TrackedPod]:
        """Returns the pods of a workload's attempt that exist, or have an outcome that is not delivered."""
        return list(self._by_key.get(key, ()))

    def newest(self, key: WorkloadKey) -> TrackedPod | None:
        """Returns the pod of a workload's attempt that was submitted, launched or adopted last; None: there is none."""
        return self._newest.get(key)

    def not_created(self) -> list[TrackedPod]:
        """Returns those that were submitted and do not exist (yet)."""
        return [pod for pod in self._by_name.values() if not pod.uid]

    def is_settled(self, uid: str) -> bool | None:
        """Returns whether nothing more is to be done about a pod, nor its log read; None: it is not tracked."""
        pod = self.by_uid.get(uid)
        return None if pod is None else pod.state.is_done and not pod.readers

    def add_name(self, pod: TrackedPod) -> None:
        """Makes a pod known by its name."""
        self._by_name[pod.namespace, pod.name] = pod
        self._newest[pod.key] = pod

    def add(self, pod: TrackedPod, uid: str) -> None:
        """Makes a pod that exists known by its UID and its key."""
        self.by_uid[uid] = pod
        self._by_key.setdefault(pod.key, []).append(pod)
        self._newest[pod.key] = pod

    def rename(self, pod: TrackedPod, uid: str) -> None:
        """Makes a pod known by another UID; its next record has it."""
        del self.by_uid[pod.uid]
        self.by_uid[uid] = pod

    def move(self, pod: TrackedPod, state: State) -> None:
        """Gives a pod its next state and wakes the tasks that wait for it."""
        before = pod.state
        pod.move(state)
        if type(state) is type(before) and not isinstance(state, SettledState):
            return  # it counts as it did
        undelivered = state.is_undelivered - before.is_undelivered
        unread = state.waits_for_reader - before.waits_for_reader
        active, opened = state.is_active - before.is_active, state.is_open - before.is_open
        if undelivered or unread or active or opened:
            # Another thread that looks at the counts, as health() does, may count a pod twice, but never misses one.
            self.undelivered += undelivered
            self.unread += unread
            self.active += active
            self.open += opened
            self._change.notify_all()

    def remove(self, pod: TrackedPod) -> None:
        """Forgets a pod."""
        if self.by_uid.pop(pod.uid, None) is not None:
            self._by_key[pod.key].remove(pod)
            if not self._by_key[pod.key]:
                del self._by_key[pod.key]
        if self._by_name.get((pod.namespace, pod.name)) is pod:
            del self._by_name[pod.namespace, pod.name]
        if self._newest.get(pod.key) is pod:
            del self._newest[pod.key]
        self.notify()

    def notify(self) -> None:
        """Wakes the tasks that wait for a change of the pods as a whole."""
        if self._change.waiting is not None:
            self._change.notify_all()

    async def changed(self) -> None:
        """Returns when after the call a count has changed, or a pod was forgotten."""
        await self._change.wait()

    async def idle(self) -> None:
        """Returns when nothing is left to do about any pod but to deliver its outcome."""
        while self.open:
            await self._change.wait()
