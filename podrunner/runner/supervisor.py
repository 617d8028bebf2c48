"""Supervision: applies each input to its pod's state and carries out the effects, until nothing is left to do.

Inputs come from the watch (:meth:`Supervisor.observe`, synchronous and cheap), from the monitor, from launches and from
callers. What follows on each is decided in :mod:`podrunner.runner.lifecycle`, and nowhere else. An effect that takes
time runs in a task of that pod alone, so that one pod's trouble never holds up another; its result is the next input.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

import anyio
from msgspec.structs import replace

from podrunner.builder import read_ownership
from podrunner.event_loop import current_time
from podrunner.log_fields import pod_fields
from podrunner.ownership import stored_outcome, stored_verdict, utc_now
from podrunner.runner.deadlines import waits_for
from podrunner.runner.effects import (
    AwaitDeletion,
    AwaitFinalStatus,
    CollectLog,
    ConfirmDeletion,
    DeletePod,
    DrainLog,
    Emit,
    EndPod,
    Enrich,
    ExpectInWatch,
    Job,
    MarkReported,
    NoteEnd,
    RecordOpened,
    RecordOutcome,
    RecordStart,
    RecordWaiting,
    ReleaseInEndingNamespace,
    RemoveLogCursors,
    RemovePod,
    TimedEffect,
    Untrack,
    UnwatchDeadlines,
    WatchDeadlines,
)
from podrunner.runner.events import EventKind
from podrunner.runner.inputs import (
    AttemptReplayed,
    DeadlinesChecked,
    DeletionDeclined,
    DeletionOverdue,
    FinalStatusOverdue,
    Input,
    LaunchStarted,
    LeaseLost,
    LogDrained,
    OutcomeEnriched,
    OutcomeRecorded,
    PodAdopted,
    PodCreated,
    PodGone,
    PodObserved,
    RemovalRequested,
    ReportMarked,
    RunnerClosed,
    TakenOver,
    TerminationRequested,
)
from podrunner.runner.lifecycle import replayed_state, step
from podrunner.runner.monitor import UNSEEN_S, PodMonitor
from podrunner.runner.states import (
    Active,
    AwaitingFinalStatus,
    Creating,
    New,
    NotCreatedState,
    Queued,
    Terminating,
)
from podrunner.runner.tracked import TrackedPod
from podrunner.watch import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podrunner.builder import PodPlan
    from podrunner.kube import KubeClient
    from podrunner.launcher import Launcher
    from podrunner.outcome import Outcome, Waiting
    from podrunner.outcome.record import Pod
    from podrunner.ownership import WallClock
    from podrunner.runner.context import Fence
    from podrunner.runner.effects import Effect, Note
    from podrunner.runner.event_queue import EventBus
    from podrunner.runner.finalize import Finalizer, PodDeleter
    from podrunner.runner.log_collection import LogCollection
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPods
    from podrunner.watch import Observation, WatchHealth

__all__ = ["Supervisor"]

_logger = logging.getLogger(__name__)

# The kubelet writes why a pod ended moments after the containers' exit codes; a status that its status manager could
# not write it tries again every 10 s (syncPeriod in pkg/kubelet/status/status_manager.go).
_FINAL_STATUS_S: Final = 10.0


class Supervisor:
    """Moves the pods of one runner through their lives.

    Args:
        pods: All pods.
        client: Is asked for pods that the watch does not show.
        launcher: Knows which pods belong to a cancelled launch.
        tasks: Where effects that take time are carried out.
        finalizer: Carries out what belongs to a pod's end.
        deleter: Deletes pods.
        logs: Collects logs.
        bus: Takes all events.
        fence: Whether the runner still holds its Lease; asked before an observation is believed, and, beyond doubt,
            before an outcome is settled and before a pod is changed.
        on_end: Called once with each pod that has its outcome, or whose outcome will not come from here.
        now: The time of day.

    Attributes:
        launching: How many creates are under way.
    """

    def __init__(  # noqa: PLR0913  # the engine wires it
        self,
        pods: TrackedPods,
        client: KubeClient,
        launcher: Launcher,
        *,
        tasks: SupervisedTasks,
        finalizer: Finalizer,
        deleter: PodDeleter,
        logs: LogCollection,
        bus: EventBus,
        fence: Fence,
        on_end: Callable[[TrackedPod], None],
        now: WallClock = utc_now,
    ) -> None:
        self.launching: int = 0
        self._pods = pods
        self._launcher = launcher
        self._tasks = tasks
        self._finalizer = finalizer
        self._deleter = deleter
        self._logs = logs
        self._bus = bus
        self._fence = fence
        self.now: WallClock = now
        self._monitor = PodMonitor(client, tasks=tasks, callbacks=self)
        self._early: dict[str, Observation] = {}
        self._at_once: dict[type[Effect], Callable[[TrackedPod], None]] = {
            CollectLog: logs.begin,
            ExpectInWatch: self._monitor.expect,
            WatchDeadlines: self._monitor.watch,
            UnwatchDeadlines: self._monitor.unwatch,
            NoteEnd: on_end,
            ConfirmDeletion: deleter.confirm,
            Untrack: self._untrack,
            RemoveLogCursors: logs.remove_cursors,
        }

    def start(self) -> None:
        """Starts polling for what no watch event reports."""
        self._tasks.start_soon(self._monitor.poll, name="pod monitor", repeats=True)

    # Applying inputs

    def send(self, pod: TrackedPod, given: Input) -> None:
        """Applies an input to a pod, and carries out what follows.

        Raises:
            IllegalInputError: The input has no meaning in the pod's state.
        """
        for job in self._advance(pod, given):
            self._start(pod, job)

    def _start(self, pod: TrackedPod, job: Job) -> None:
        """Carries a job out: at once, if there is nothing to wait for, else in a task of the pod's own."""
        if isinstance(job, Enrich | DrainLog):
            try:
                answer = self._answer_at_once(pod, job)
                if answer is not None:
                    self.send(pod, answer)
                    return
            except Exception:
                _logger.exception(
                    "%s of pod %s/%s failed",
                    type(job).__name__,
                    pod.namespace,
                    pod.name,
                    extra=pod_fields(pod),
                )
        name = f"{type(job).__name__} {pod.name}"
        self._tasks.start_soon(self._work, pod, [job], name=name, repeats=True)

    def _advance(self, pod: TrackedPod, given: Input) -> list[Job]:
        """Applies an input, does at once what can be, and returns what takes time."""
        before = pod.state
        following = step(before, given)
        if following.state is not before:
            self._pods.move(pod, following.state)
            if self._bus.hooks is not None:
                self._bus.hooks.moved(pod, before)
        jobs: list[Job] = []
        at_once = self._at_once
        for effect in following.effects:
            kind = type(effect)
            if kind in at_once:
                at_once[kind](pod)
            elif isinstance(effect, Emit):
                self._report(pod, effect)
            else:
                assert isinstance(effect, TimedEffect), "all others are done at once"
                jobs.append(effect)
        return jobs

    def _untrack(self, pod: TrackedPod) -> None:
        self._monitor.forget(pod)
        self._pods.remove(pod)
        if not pod.is_gone:
            self._logs.leave(pod)

    def _report(self, pod: TrackedPod, effect: Emit) -> None:
        outcome = effect.outcome
        self._bus.emit(pod.event(effect.kind, outcome=outcome, message=effect.message))
        if outcome is not None and _logger.isEnabledFor(logging.INFO):
            extra = pod_fields(pod, category=outcome.category)
            _logger.info("pod %s/%s: %s", pod.namespace, pod.name, outcome.category, extra=extra)

    def _answer_at_once(self, pod: TrackedPod, job: Enrich | DrainLog) -> Input | None:
        """Returns the input that a job ends with if it needs no request and no waiting, as for most pods; else None."""
        if self._fence.is_doubted:
            return None
        if isinstance(job, DrainLog):
            return None if self._finalizer.has_to_wait(pod, job.keep_until_s) else LogDrained()
        outcome = self._finalizer.known_outcome(pod)
        return OutcomeEnriched(outcome) if outcome is not None and self._fence.may_act() else None

    # What takes time

    async def _work(self, pod: TrackedPod, waiting: list[Job]) -> None:
        """Carries out a job and those that follow on it. Begun anew, it goes on with the one that was interrupted."""
        while waiting:
            answer = await self._perform(pod, waiting[0])
            following = [] if answer is None else self._advance(pod, answer)
            for other in following[1:]:
                self._start(pod, other)
            waiting[:] = following[:1]

    async def _perform(self, pod: TrackedPod, job: Job) -> Input | None:
        """Carries out a job and returns the input that it ends with; None: it ends with none."""
        if not isinstance(job, AwaitDeletion | AwaitFinalStatus):
            await self._fence.confirm()
        match job:
            case DeletePod() | EndPod() | RemovePod():
                return await self._perform_end(pod, job)
            case AwaitDeletion():
                with anyio.move_on_after(job.timeout_s):
                    await pod.ended()
                return DeletionOverdue()
            case AwaitFinalStatus():
                await self._await_final_status(pod)
                return FinalStatusOverdue()
            case _:
                return await self._perform_after_end(pod, job)

    async def _perform_end(self, pod: TrackedPod, job: DeletePod | EndPod | RemovePod) -> Input:
        match job:
            case DeletePod():
                return await self._deleter.delete_with_verdict(pod, job)
            case EndPod():
                answer = await self._deleter.end(pod, job)
                return OutcomeRecorded() if job.is_settled else answer
            case RemovePod():
                await self._finalizer.drain(pod)
                return await self._deleter.remove(pod, grace_period_s=job.grace_period_s)

    async def _perform_after_end(
        self,
        pod: TrackedPod,
        job: Enrich | RecordOutcome | Note | ReleaseInEndingNamespace | DrainLog | MarkReported,
    ) -> Input | None:
        match job:
            case Enrich():
                return await self._enrich(pod)
            case MarkReported():
                await self._finalizer.mark_reported(pod)
                return ReportMarked()
            case DrainLog():
                await self._finalizer.drain(pod, keep_until_s=job.keep_until_s)
                return LogDrained()
            case ReleaseInEndingNamespace():
                await self._finalizer.release_in_ending_namespace(pod)
                return None
            case RecordOutcome():
                await self._finalizer.record(pod, job.outcome)
                return OutcomeRecorded()
            case RecordStart() | RecordOpened() | RecordWaiting():
                await self._finalizer.note(pod, job, now=self.now(), now_s=current_time())
                return None
            case _:
                assert_never(job)

    async def _enrich(self, pod: TrackedPod) -> Input | None:
        outcome = await self._finalizer.enrich(pod)
        await self._fence.confirm()
        # Without the Lease a successor reports the outcome; the pod is relinquished.
        return OutcomeEnriched(outcome) if outcome is not None and self._fence.may_act() else None

    async def _await_final_status(self, pod: TrackedPod) -> None:
        with anyio.move_on_after(_FINAL_STATUS_S):
            await pod.ended()
        while isinstance(pod.state, AwaitingFinalStatus):
            if await self._monitor.read_again(pod):
                break
            await anyio.sleep(UNSEEN_S)

    # What launches say

    def track(self, pod: TrackedPod, record: Pod) -> TrackedPod:
        """Takes in a pod that was created. If its UID is tracked already, returns that one: one UID, one outcome."""
        return self._track(pod, record, PodCreated(record, current_time()))

    def adopt(self, pod: TrackedPod, record: Pod) -> TrackedPod:
        """Takes in a pod that an earlier runner created; a launch of its attempt finds it.

        A submission of its attempt that has no pod yet becomes its handle: two would wait for one pod.
        """
        submitted = self._pods.named(pod.namespace, pod.name)
        if submitted is not None and isinstance(submitted.state, NotCreatedState):
            pod = submitted
        outcome, verdict = stored_outcome(record), stored_verdict(record)
        adopted = PodAdopted(record, current_time(), self.now(), outcome=outcome, verdict=verdict)
        tracked = self._track(pod, record, adopted)
        self._pods.add_name(tracked)
        return tracked

    def take_begun(self, pod: TrackedPod, record: Pod) -> TrackedPod:
        """Takes in the pod of a launch that was cancelled: it has started, so it is ended as any other.

        Another launch of its attempt, which still waits, has it instead, as if it had found it by its own create.

        Args:
            pod: A pod for it, unless its launch has one that is not over.
            record: Its record.
        """
        launched = self._pods.named(pod.namespace, pod.name)
        is_undone = self._launcher.is_launching(pod.namespace, pod.name)
        if launched is not None and isinstance(launched.state, Queued | Creating) and not is_undone:
            self._launcher.want(pod.namespace, pod.name)
            return self.adopt(pod, record)
        if launched is not None and isinstance(launched.state, NotCreatedState):
            pod = launched
        if isinstance(pod.state, New):
            self.send(pod, LaunchStarted())
        tracked = self.track(pod, record)
        self._pods.add_name(tracked)
        self.send(tracked, TerminationRequested())
        return tracked

    def prepared(self, plan: PodPlan) -> PodPlan:
        """Returns the plan of a pod that is about to be created, as the embedder's hooks want it."""
        return plan if self._bus.hooks is None else self._bus.hooks.prepared(plan)

    def replay(self, pod: TrackedPod, record: Pod, outcome: Outcome) -> None:
        """Gives a launch the outcome of its attempt's pod, which is over and was reported. The pod is not tracked."""
        _assume(pod, record)
        pod.replayed = True
        self.send(pod, AttemptReplayed(record, current_time(), outcome))

    async def drain_earlier(self, pod: TrackedPod, record: Pod, outcome: Outcome) -> TrackedPod:
        """Reads the rest of the log of an earlier pod of a launch's attempt, which is over and is to be deleted.

        Args:
            pod: What was launched.
            record: The earlier pod.
            outcome: How that ended.

        Returns:
            The earlier pod, for :meth:`forget_earlier`.
        """
        earlier = TrackedPod(pod.key, pod.namespace, pod.name, rules=pod.state.rules)
        _assume(earlier, record)
        earlier.move(replayed_state(earlier.state.rules, record, outcome, now_s=current_time()))
        self._logs.begin(earlier)
        await self._finalizer.drain(earlier)
        earlier.note_last_reading()
        return earlier

    async def forget_earlier(self, earlier: TrackedPod) -> None:
        """The earlier pod is gone: its log's collection ends, so that another pod may write the same log."""
        earlier.move(replace(earlier.state, gone=True))
        await self._logs.forget(earlier)

    def _track(self, pod: TrackedPod, record: Pod, given: PodCreated | PodAdopted) -> TrackedPod:
        uid = record.metadata.uid
        known = self._pods.get(uid)
        if known is not None:
            return known
        if isinstance(given, PodAdopted):
            _assume(pod, record)
        self._pods.add(pod, uid)
        early = self._early.pop(uid, None)
        self.send(pod, given)
        if early is not None:
            self._take(pod, early)
        return pod

    def begin_launch(self) -> None:
        """A create begins: observations of unknown pods are kept, as the watch may be faster than the answer."""
        self.launching += 1

    def end_launch(self) -> None:
        """A create has ended."""
        self.launching -= 1
        if not self.launching:
            self._forget_early()
        self._pods.notify()

    def _forget_early(self) -> None:
        early, self._early = self._early, {}
        # The watch may have shown a pod before its launch was given up, and may have no more to say of it.
        self.observe([observation for observation in early.values() if self._is_unwanted(observation)])

    # What the watch says

    def observe(self, batch: Sequence[Observation]) -> None:
        """Takes what the watch saw."""
        if not self._fence.may_act():
            return  # it may be from before a long stop, which a successor may have reported meanwhile
        tracked = self._pods.by_uid
        for observation in batch:
            uid = observation.pod.metadata.uid
            pod = tracked.get(uid)
            if pod is not None:
                self._take(pod, observation)
            elif self._is_unwanted(observation):
                discard = partial(self._launcher.discard_unwanted, observation.pod)
                self._tasks.start_soon(discard, name="delete unwanted pod", repeats=True)
            elif self.launching:
                self._early[uid] = observation

    def _is_unwanted(self, observation: Observation) -> bool:
        return not _is_gone(observation) and self._launcher.is_unwanted(observation.pod)

    def _take(self, pod: TrackedPod, observation: Observation) -> None:
        self._monitor.seen(pod)
        kind = observation.kind
        if kind is Kind.MODIFIED or kind is Kind.ADDED:
            self.send(pod, PodObserved(observation.pod, rewound=observation.rewound))
            self._deleter.observed(pod)
        elif kind is Kind.LEFT:
            pod.is_taken_over = True
            self._fence.doubt()
            self.send(pod, TakenOver())
        else:
            self.send(pod, PodGone(observation.pod, is_last=kind is Kind.DELETED))

    def report_staleness(self, watch: WatchHealth, why: str | None) -> None:
        """Reports that what is known of each pod without an outcome is stale; None: that it no longer is."""
        kind = EventKind.RECOVERED if why is None else EventKind.STALE
        for pod in self._pods:
            if pod.outcome is None and watch.covers(pod.namespace):
                self._bus.emit(pod.event(kind, message=why or ""))

    # What the monitor says

    def on_read(self, pod: TrackedPod, record: Pod) -> None:
        """A request showed the pod."""
        self.send(pod, PodObserved(record))
        self._deleter.observed(pod)

    def on_missing(self, pod: TrackedPod) -> None:
        """A request showed that the pod is not there any more."""
        self.send(pod, PodGone())

    def on_misread(self, pod: TrackedPod, record: Pod) -> None:
        """A request showed a pod under another UID than the answer to its create, which was changed on the way."""
        uid = pod.uid
        is_live = isinstance(pod.state, Active | Terminating | AwaitingFinalStatus)
        if not is_live or self._pods.get(record.metadata.uid) is not None:
            self.send(pod, PodGone())
            return
        _logger.warning(
            "pod %s/%s has the UID %s, not %s",
            pod.namespace,
            pod.name,
            record.metadata.uid,
            uid,
            extra=pod_fields(pod),
        )
        self._pods.rename(pod, record.metadata.uid)
        self.send(pod, PodObserved(record, rewound=True))
        self._monitor.rename(uid, pod)

    def on_time(self, pod: TrackedPod, now_s: float) -> None:
        """Time has passed for a pod with a deadline."""
        self.send(pod, DeadlinesChecked(now_s))

    # What callers ask

    def waiting(self, pod: TrackedPod) -> Waiting | None:
        """Returns why a pod waits; None: it does not, or is not there."""
        state = pod.state
        if not isinstance(state, Active):
            return None
        rules, now_s = state.rules, current_time()
        main = rules.main_container
        return waits_for(
            state.clocks, state.snapshot, rules.config, main_container=main, now_s=now_s, now=self.now()
        )

    async def terminate(self, pod: TrackedPod, *, grace_period_s: int | None = None) -> None:
        """Ends a pod; returns when the server has accepted the deletion. The outcome follows when the pod is gone."""
        for job in self._advance(pod, TerminationRequested(grace_period_s)):
            # It goes on though the caller is cancelled: else the pod would be neither deleted nor ever ended.
            await self._tasks.run(self._work_once, pod, job, name=f"{type(job).__name__} {pod.name}")

    async def remove(self, pod: TrackedPod, *, grace_period_s: int | None = None) -> None:
        """Deletes a pod that is over, whatever the policy, after its log was drained."""
        for job in self._advance(pod, RemovalRequested(grace_period_s)):
            await self._work_once(pod, job)
            if self._pods.get(pod.uid) is not pod:
                self._deleter.confirm(pod)  # a replayed pod, of which the watch says nothing

    async def _work_once(self, pod: TrackedPod, job: Job) -> None:
        """Carries out a job, also as it is decided anew, and leaves those that follow on it to others."""
        answer = await self._perform(pod, job)
        again: list[Job] = []
        for other in [] if answer is None else self._advance(pod, answer):
            if isinstance(answer, DeletionDeclined) and isinstance(other, DeletePod | EndPod):
                again.append(other)
            else:
                self._start(pod, other)
        for other in again:
            await self._work_once(pod, other)

    # Leaving pods to a successor

    def lose_all(self, why: str) -> None:
        """The Lease is lost: relinquishes every pod that exists and has no outcome."""
        for pod in self._pods:
            self.send(pod, LeaseLost(why))

    def leave_all(self) -> None:
        """The runner is closed: outcomes that are not there will not come from here."""
        for pod in (*self._pods, *self._pods.not_created()):
            self.send(pod, RunnerClosed())


def _assume(pod: TrackedPod, record: Pod) -> None:
    said = read_ownership(record.metadata.labels, record.metadata.annotations)
    if said is not None:
        pod.assume(main_container=said.main_container or pod.main_container, log_path=said.log_path)


def _is_gone(observation: Observation) -> bool:
    return observation.kind in {Kind.DELETED, Kind.VANISHED}
