"""Supervision: what each observation of a pod means, and what is done about it until nothing is left to do.

Observations come in from the watch (:meth:`Supervisor.observe`, synchronous and cheap). Whatever takes time
(evidence, the log's tail, draining, deleting) runs in a task of that pod alone, so that one pod's trouble
never holds up another. What a status means is decided in ``podrunner.outcome``; pods that no observation comes of
are the lookout's, and deleting is :mod:`podrunner.runner.deletion`'s.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.kube import RequestRetry
from podrunner.outcome import (
    Category,
    Outcome,
    apply_failure_policy,
    awaits_final_status,
    classify,
    deletion_asked_at,
    printer_status,
)
from podrunner.ownership import mark_reported
from podrunner.runner.collection import Collection
from podrunner.runner.deletion import Deletions
from podrunner.runner.events import EventBus, EventKind, RunnerEvent
from podrunner.runner.evidence import Evidence
from podrunner.runner.lookout import UNSEEN_S, Lookout
from podrunner.runner.notify import Notify
from podrunner.runner.removal import is_lost, is_to_be_deleted, patience_with_deletion_s
from podrunner.watch import Kind, Observation, is_older

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.launcher import Launcher
    from podrunner.logs import LogGap, LogStreamLimiter, SinkFactory
    from podrunner.outcome.record import Event, Pod
    from podrunner.runner.background import Background
    from podrunner.runner.tracked import Intent, TrackedPod
    from podrunner.watch import WatchHealth

__all__ = ["Supervisor"]

_logger = logging.getLogger(__name__)

# A short pod may be over before whoever launched it asks for its log. Unless the log is collected anyway, it is not
# deleted sooner than this after its launch.
_LINGER_S: Final = 1.0
# The kubelet's own word on why a pod ended follows the containers' exit codes within moments; what a status manager
# could not write it tries again every 10 s (syncPeriod in pkg/kubelet/status/status_manager.go).
_LAST_WORD_S: Final = 10.0


class Supervisor:
    """All pods of one runner.

    Attributes:
        launching: How many creates are under way: while there are any, observations of unknown pods are kept,
            because the watch may be faster than the create's answer.
        log_troubles: Gaps and other troubles with logs, ever.
        deletions: All deletions of the runner's pods.
        lookout: Looks after pods of which no observation may come.
        may_act: Tells whether the runner still holds its Lease; asked before anything is told, done or believed.
        on_settled: Called with each pod that gets its outcome.
        on_forgotten: Called with each pod that is no longer tracked.
    """

    def __init__(
        self,
        client: KubeClient,
        launcher: Launcher,
        *,
        config: RunnerConfig,
        bus: EventBus,
        group: Background,
        random: Random,
        may_act: Callable[[], bool],
        extra_sinks: Callable[[TrackedPod], Sequence[SinkFactory]] | None = None,
    ) -> None:
        self.launching: int = 0
        self.log_troubles: int = 0
        self.may_act: Callable[[], bool] = may_act
        self.on_settled: Callable[[TrackedPod], None] = lambda _: None
        self.on_forgotten: Callable[[TrackedPod], None] = lambda _: None
        self.deletions: Deletions = Deletions(launcher, config, may_act=may_act, learn=self.learn)
        self.lookout: Lookout = Lookout(client, config, group=group, findings=self)
        self._client = client
        self._launcher = launcher
        self._config = config
        self._bus = bus
        self._group = group
        self._collection = Collection(
            client, config, group=group, random=random, extra_sinks=extra_sinks, report=self._report_log
        )
        self._evidence = Evidence(client, config, limiter=self._collection.limiter)
        self._by_uid: dict[str, TrackedPod] = {}
        self._early: dict[str, Observation] = {}
        self._idle = Notify()
        self._closing = anyio.Event()
        self._active = 0
        self._busy = 0  # pods that are not done

    # Looking

    @property
    def pods(self) -> Iterable[TrackedPod]:
        """All pods that are tracked."""
        return self._by_uid.values()

    @property
    def log_limiter(self) -> LogStreamLimiter:
        """The connections that all who read logs share."""
        return self._collection.limiter

    @property
    def active(self) -> int:
        """How many pods have no outcome yet."""
        return self._active

    def known(self, uid: str) -> bool:
        """Whether the pod is tracked."""
        return uid in self._by_uid

    def is_settled(self, uid: str) -> bool | None:
        """Whether nothing more is to be done about the pod, and nobody reads its log; None: it is not tracked."""
        tracked = self._by_uid.get(uid)
        return None if tracked is None else tracked.done and not tracked.readers

    # Taking note

    def track(self, tracked: TrackedPod, pod: Pod, *, kind: EventKind) -> TrackedPod:
        """Begins to supervise a pod. If it is tracked already, that one is returned: one UID, one outcome."""
        known = self._by_uid.get(pod.metadata.uid)
        if known is not None:
            return known
        tracked.pod = pod
        tracked.seen_at = anyio.current_time()
        self._by_uid[pod.metadata.uid] = tracked
        self.lookout.expect(tracked)
        self._active += 1
        self._busy += 1
        tracked.status = printer_status(pod)
        self._emit(tracked, kind)
        early = self._early.pop(pod.metadata.uid, None)
        self._update(tracked, pod, gone=False)
        if early is not None:
            self._take(tracked, early)
        return tracked

    def observe(self, batch: Sequence[Observation]) -> None:
        """Takes what the watch saw."""
        if not self.may_act():
            return  # it may be news of before a long stop, which a successor has reported meanwhile
        for observation in batch:
            uid = observation.pod.metadata.uid
            tracked = self._by_uid.get(uid)
            if tracked is not None:
                self._take(tracked, observation)
            elif self._is_left_over(observation):
                self._group.start_soon(self.deletions.sweep, observation.pod, name="sweep")
            elif self.launching:
                self._early[uid] = observation

    def _is_left_over(self, observation: Observation) -> bool:
        return not _is_gone(observation) and self._launcher.is_unwanted(observation.pod)

    def launch_ended(self) -> None:
        """A create is over; when none is left, what was seen of pods that nobody claimed is forgotten."""
        self.launching -= 1
        if not self.launching:
            early, self._early = self._early, {}
            # The watch may have shown a pod before its launch was given up, and may have no more to say of it.
            self.observe([observation for observation in early.values() if self._is_left_over(observation)])

    def _take(self, tracked: TrackedPod, observation: Observation) -> None:
        self.lookout.seen(tracked)
        if observation.kind is Kind.LEFT:
            self._lose(tracked)
        else:
            self._learn(tracked, observation.pod, gone=_is_gone(observation))

    def learn(self, tracked: TrackedPod, pod: Pod) -> None:
        """Takes a record that a request was answered."""
        self._learn(tracked, pod, gone=False)

    def miss(self, tracked: TrackedPod) -> None:
        """Takes note that a pod is not there any more, though no watch has said so."""
        assert tracked.pod is not None, "only what was created is missed"
        self._learn(tracked, tracked.pod, gone=True)

    def _learn(self, tracked: TrackedPod, pod: Pod, *, gone: bool) -> None:
        """Takes a record, unless a newer one is known: the watch may be behind what a request was answered."""
        known = tracked.pod
        if known is None or not is_older(pod, known):
            self._update(tracked, pod, gone=gone)
        elif gone:
            self._update(tracked, known, gone=True)

    def _update(self, tracked: TrackedPod, pod: Pod, *, gone: bool) -> None:
        previous, tracked.pod = tracked.pod, pod
        tracked.asked_at = tracked.asked_at or deletion_asked_at(pod)
        if gone:
            tracked.gone = True
            self.deletions.left(tracked)
        self._report_status(tracked, pod)
        self._collection.begin(tracked)
        tracked.notify()
        if not tracked.ending:
            self._judge(tracked, previous)
        elif gone and tracked.outcome is not None:
            self._report_gone(tracked)

    def _judge(self, tracked: TrackedPod, previous: Pod | None) -> None:
        outcome = self._classify(tracked, previous)
        if (
            outcome is not None
            and tracked.pod is not None
            and not tracked.gone
            and awaits_final_status(tracked.pod, outcome)
        ):
            self._hear_out(tracked)
        elif outcome is not None:
            self._end(tracked, outcome)
        else:
            self.lookout.attend(tracked)

    def _hear_out(self, tracked: TrackedPod) -> None:
        """Waits for the pod's own word, for a moment: what its containers say may be the kubelet's doing."""
        if not tracked.heard_out:
            tracked.heard_out = True
            self._group.start_soon(self._end_unheard, tracked, name=f"last word of {tracked.name}")

    async def _end_unheard(self, tracked: TrackedPod) -> None:
        with anyio.move_on_after(_LAST_WORD_S):
            await tracked.settled()
        while not tracked.ending:
            if await self.lookout.read_again(tracked):
                break
            await anyio.sleep(UNSEEN_S)
        outcome = None if tracked.ending else self._classify(tracked)
        if outcome is not None:
            self._end(tracked, outcome)

    def _classify(
        self, tracked: TrackedPod, previous: Pod | None = None, *, events: Iterable[Event] = ()
    ) -> Outcome | None:
        assert tracked.pod is not None, "only what was seen is judged"
        outcome = classify(
            tracked.pod,
            events=events,
            main_container=tracked.main_container,
            vanished=tracked.gone,
            cancelled=tracked.intent is not None,
            previous=previous,
            ended_first=tracked.ended_first,
            asked_at=tracked.asked_at,
        )
        if tracked.verdict is not None and outcome is not None and outcome.category is Category.CANCELLED:
            return tracked.verdict
        return outcome

    def _report_status(self, tracked: TrackedPod, pod: Pod) -> None:
        status = printer_status(pod)
        if status != tracked.status:
            tracked.status = status
            self._emit(tracked, EventKind.STATUS_CHANGED)

    def _emit(
        self,
        tracked: TrackedPod,
        kind: EventKind,
        *,
        outcome: Outcome | None = None,
        message: str = "",
    ) -> None:
        event = RunnerEvent(
            kind,
            tracked.key,
            tracked.namespace,
            tracked.name,
            tracked.uid,
            tracked.status,
            outcome,
            message,
        )
        self._bus.emit(event)

    def report_staleness(self, watch: WatchHealth, why: str | None) -> None:
        """Tells of each pod of a watch that is not over that what is known is stale; None: that it no longer is."""
        kind = EventKind.RECOVERED if why is None else EventKind.STALE
        for tracked in tuple(self._by_uid.values()):
            if tracked.outcome is None and watch.covers(tracked.namespace):
                self._emit(tracked, kind, message=why or "")

    # The end of a pod

    def _end(self, tracked: TrackedPod, outcome: Outcome) -> None:
        tracked.ending = True
        self.lookout.dismiss(tracked)
        self._group.start_soon(self._finish, tracked, outcome, name=f"finish {tracked.name}")

    async def _finish(self, tracked: TrackedPod, outcome: Outcome) -> None:
        try:
            outcome = await self._evidence.add(
                tracked, outcome, judge=lambda events: self._classify(tracked, events=events)
            )
        except Exception:
            _logger.exception("no evidence of pod %s/%s", tracked.namespace, tracked.name)
        if self.may_act() and not tracked.lost:
            self.settle(tracked, outcome)
            if is_to_be_deleted(tracked, outcome, self._config):
                await self._linger(tracked)
                await self._drain(tracked)
                await self.deletions.delete(tracked)
            else:
                await self._keep(tracked, outcome)
        self._done(tracked)
        self._forget_if_gone(tracked)

    def settle(self, tracked: TrackedPod, outcome: Outcome) -> None:
        """Gives a pod its outcome and tells of it."""
        tracked.ending = True
        outcome = apply_failure_policy(self._config.failure_policy, outcome, tracked.pod)
        tracked.settle(outcome)
        if tracked.uid in self._by_uid:
            self._active -= 1
        self.on_settled(tracked)
        self._emit(tracked, EventKind.FINISHED, outcome=outcome)
        _logger.info(
            "pod %s/%s: %s",
            tracked.namespace,
            tracked.name,
            outcome.category,
            extra={"pod": tracked.name, "uid": tracked.uid, "category": str(outcome.category)},
        )
        if tracked.gone:
            self._report_gone(tracked)

    async def _linger(self, tracked: TrackedPod) -> None:
        """Gives whoever launched a short pod the time to ask for its log."""
        if tracked.collector is None and self._config.logs.follow != "off" and not tracked.gone:
            with anyio.move_on_after(tracked.seen_at + _LINGER_S - anyio.current_time()):
                await self._closing.wait()

    def close(self) -> None:
        """Nobody will ask for logs any more."""
        self._closing.set()

    async def _drain(self, tracked: TrackedPod) -> None:
        """Waits for the log to be read to its end, and for those who read it, but not for ever."""
        with anyio.move_on_after(self._config.logs.drain_timeout_s):
            if tracked.collector is not None:
                await tracked.collector.drained(tracked.main_container)
            while tracked.readers:
                await tracked.changed()

    async def _keep(self, tracked: TrackedPod, outcome: Outcome) -> None:
        if tracked.pod is not None and not tracked.gone:
            policy = RequestRetry.of(self._config.retry)
            await mark_reported(self._client, tracked.pod, outcome.category, policy=policy)
        await self._drain(tracked)

    def _done(self, tracked: TrackedPod) -> None:
        if not tracked.done:
            self._busy -= 1
        tracked.finish()

    def _report_gone(self, tracked: TrackedPod) -> None:
        if not tracked.deletion_told:
            tracked.deletion_told = True
            self._emit(tracked, EventKind.DELETED)
        self._forget_if_gone(tracked)

    def _forget_if_gone(self, tracked: TrackedPod) -> None:
        if tracked.gone and tracked.done and self._by_uid.pop(tracked.uid, None) is not None:
            self.lookout.forget(tracked)
            self.on_forgotten(tracked)
            self._collection.clean_up(tracked)
        self._idle.notify_all()

    def fence(self, why: str) -> None:
        """The runner is no owner any more: every pod that is not over is given up, and nothing is done to any."""
        self.deletions.freeze()
        for tracked in tuple(self._by_uid.values()):
            if tracked.outcome is None:
                self._lose(tracked, f"this runner lost its lease: {why}")
        self._idle.notify_all()

    def abandon(self, tracked: TrackedPod, why: str) -> None:
        """Gives up a launch that has no pod yet: whether there will be one, a successor will see."""
        if tracked.outcome is None and not tracked.lost:
            self._emit(tracked, EventKind.LOST, message=f"this runner lost its lease: {why}")
        tracked.lose()
        tracked.finish()

    def _lose(self, tracked: TrackedPod, why: str = "another runner took it over") -> None:
        if tracked.outcome is None and not tracked.lost:
            self._active -= 1
            self._emit(tracked, EventKind.LOST, message=why)
        tracked.ending = True
        tracked.lose()
        self._done(tracked)
        self.deletions.left(tracked)
        self.lookout.forget(tracked)
        self._by_uid.pop(tracked.uid, None)
        self.on_forgotten(tracked)
        self._idle.notify_all()

    # Ending pods ourselves: one path, whatever the reason

    async def evict(self, tracked: TrackedPod, intent: Intent, verdict: Outcome | None = None) -> None:
        """Ends a pod: deletes it first, its outcome follows when it is gone. Does nothing to one that has ended."""
        if tracked.ending or tracked.intent is not None:
            return
        tracked.intent = intent
        tracked.verdict = verdict
        if self._config.force_delete_lost and is_lost(verdict):
            tracked.grace_period_s = 0
        await self.deletions.delete(tracked)
        self._group.start_soon(self._settle_late, tracked, name=f"deletion of {tracked.name}")

    async def remove(self, tracked: TrackedPod) -> None:
        """Deletes an ended pod at once, whatever the policy, after its log was drained."""
        await self._drain(tracked)
        await self.deletions.delete(tracked)

    async def _settle_late(self, tracked: TrackedPod) -> None:
        pod = tracked.pod
        with anyio.move_on_after(patience_with_deletion_s(tracked)):
            await tracked.settled()
        if not tracked.ending and pod is not None:
            outcome = tracked.verdict or classify(
                pod, main_container=tracked.main_container, vanished=True, cancelled=True
            )
            assert outcome is not None, "what vanished has an outcome"
            self._end(tracked, outcome)

    # Waiting

    async def idle(self) -> None:
        """Returns when every tracked pod is done: outcome settled, log read, deleted or kept by policy."""
        while self._busy:
            await self._idle.wait()

    def _report_log(self, tracked: TrackedPod, trouble: LogGap | str) -> None:
        self.log_troubles += 1
        kind = EventKind.LOG_TROUBLE if isinstance(trouble, str) else EventKind.LOG_GAP
        self._emit(tracked, kind, message=str(trouble))


def _is_gone(observation: Observation) -> bool:
    return observation.kind in {Kind.DELETED, Kind.VANISHED}
