"""Runs: a workload with its tries, one pod after another, until one is the last.

A thin layer over the submission queue: each try is a submission like any other, with its own pod, handle, outcome and
events. No task runs while a pod does; only between two tries one waits. Whether there is another try is decided in
:mod:`podrunner.runner.retries`; what callers hold is :class:`podrunner.runner.run_handle.AsyncRun`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from podrunner.builder.manifest_hash import manifest_hash
from podrunner.builder.overrides import namespace_of
from podrunner.errors import KeyReusedError, PodrunnerError
from podrunner.event_loop import current_time
from podrunner.outcome import classify, refused_by_api
from podrunner.ownership import stored_outcome
from podrunner.runner.hooks import RunEnd
from podrunner.runner.inputs import RetryCreated, RetryDropped, RetryPlanned
from podrunner.runner.retries import RetryPolicy, next_try, wait_before
from podrunner.runner.states import NotCreatedState
from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from podrunner.builder import OwnershipMetadata, PodPlan
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod
    from podrunner.runner.context import RunnerContext
    from podrunner.runner.hooks import HookCalls
    from podrunner.runner.submission import SubmissionQueue
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPod
    from podrunner.workload import Workload, WorkloadKey

__all__ = ["Runs", "TrackedRun"]

_logger = logging.getLogger(__name__)

# Pods of earlier runners whose workloads were not run here yet: a few kilobytes each. Of more, the oldest is dropped.
_PRIOR_ATTEMPTS: Final = 10_000
# The next try waits for the prior pod's log to be read, so that two never write one log. Beyond the time for the log
# this long.
_PRIOR_MARGIN_S: Final = 60.0

_Place = tuple[str, str]
"""Namespace and identity."""


class TrackedRun:
    """One workload and its tries. State only.

    Attributes:
        workload: What is run, as it was handed in.
        policy: When it is tried again.
        priority: Of its submissions.
        group: Of its submissions.
        tries: Its pods so far, the present one last.
        outcome: The outcome of its last pod, once the run is over.
        is_relinquished: Whether another runner goes on with it: no outcome will come from here.
        cancelled: Whether there shall be no further try.
        pause: What ends the wait for the next try; None while a pod is under way.
        waits: How many callers wait for its end.
    """

    def __init__(self, workload: Workload, policy: RetryPolicy, *, priority: int, group: str) -> None:
        self.workload = workload
        self.policy = policy
        self.priority = priority
        self.group = group
        self.tries: list[TrackedPod] = []
        self.outcome: Outcome | None = None
        self.is_relinquished: bool = False
        self.cancelled: bool = False
        self.pause: anyio.CancelScope | None = None
        self.waits: int = 0
        self._end = Notify()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it here."""
        return self.outcome is not None or self.is_relinquished

    def end(self, outcome: Outcome | None) -> None:
        """The run is over, with an outcome, or (None) relinquished to another runner."""
        assert not self.is_over, f"run {self.workload.key} is over already"
        self.outcome, self.is_relinquished = outcome, outcome is None
        self._end.notify_all()

    def on_end(self, callback: Callable[[], object]) -> None:
        """Calls a function once, when a run that is not over is."""
        self._end.call_once(callback)

    async def ended(self) -> None:
        """Returns when the run is over."""
        while not self.is_over:
            await self._end.wait()


class PriorAttempt(NamedTuple):
    """The newest pod of a workload that an earlier runner created: adopted, or over, reported and retained.

    Attributes:
        key: The pod's.
        tracked: The adopted pod; None: it was not adopted.
        pod: The record of the retained pod.
        main_container: Of the retained pod; None: the record does not say.
    """

    key: WorkloadKey
    tracked: TrackedPod | None
    pod: Pod | None = None
    main_container: str | None = None

    def retained_outcome(self) -> Outcome:
        """Returns the outcome of the retained pod."""
        assert self.pod is not None, "asked of retained pods only"
        stored = stored_outcome(self.pod)
        if stored is not None:
            return stored
        main = self.main_container or "base"
        outcome = classify(self.pod, main_container=main)
        outcome = outcome or classify(self.pod, main_container=main, vanished=True)
        assert outcome is not None, "what vanished has an outcome"
        return outcome


class Runs:
    """All runs of one runner.

    Args:
        queue: Takes the submissions.
        context: Cancels pods.
        tasks: Where waiting for the next try happens.
        random: Source of jitter.
        hooks: The embedder's; None: there are none.
    """

    def __init__(
        self,
        queue: SubmissionQueue,
        context: RunnerContext,
        *,
        tasks: SupervisedTasks,
        random: Random,
        hooks: HookCalls | None = None,
    ) -> None:
        self._hooks = hooks
        self._queue = queue
        self._context = context
        self._config = context.config
        self._tasks = tasks
        self._random = random
        self._default = RetryPolicy.of(context.config.run_retry)
        self._trying: dict[TrackedPod, TrackedRun] = {}
        self._live: dict[_Place, TrackedRun] = {}
        self._prior: OrderedDict[_Place, PriorAttempt] = OrderedDict()
        self._stopped = False
        self._relinquishing = False
        self._idle = Notify()

    @property
    def active(self) -> int:
        """How many runs are not over."""
        return len(self._live)

    @property
    def between_tries(self) -> int:
        """How many runs wait for their next try."""
        return sum(run.pause is not None for run in self._live.values())

    def run(
        self,
        workload: Workload,
        *,
        policy: RetryPolicy | None,
        priority: int = 0,
        group: str = "",
        plan: PodPlan | None = None,
    ) -> TrackedRun:
        """Begins a run, or goes on with one that is known.

        Args:
            workload: What is run.
            policy: When it is tried again; None: as configured.
            priority: Of each try.
            group: Of each try.
            plan: The pod of the first try, where that was built before; None: it is built.

        Raises:
            PodrunnerError: As :meth:`SubmissionQueue.submit`.
        """
        self._context.check_open("run")
        place = self._place(workload)
        if (known := self._live.get(place)) is not None:
            if manifest_hash(known.workload) != manifest_hash(workload):
                raise KeyReusedError(key=str(workload.key))
            return known
        run = TrackedRun(workload, policy or self._default, priority=priority, group=group)
        prior = self._prior.pop(place, None)
        if prior is not None and prior.tracked is None and self._config.reported_attempt != "reuse":
            prior = None  # what becomes of a reported pod is settled when the launch finds it
        if prior is None or _order(prior.key) < _order(workload.key):
            first = self._queue.submit(workload, priority=priority, group=group, plan=plan)
            self._live[place] = run
            self._take(run, first)
        else:
            self._live[place] = run
            self._go_on(run, prior)
        return run

    def not_taken(
        self, workload: Workload, error: PodrunnerError, *, policy: RetryPolicy | None
    ) -> TrackedRun:
        """Returns a run for the handle of a workload of a batch that was not taken: it is over."""
        run = TrackedRun(workload, policy or self._default, priority=0, group="")
        pod = self._queue.not_taken(workload, error)
        run.tries.append(pod)
        run.end(pod.outcome)
        return run

    def _go_on(self, run: TrackedRun, prior: PriorAttempt) -> None:
        if prior.tracked is not None:
            self._take(run, prior.tracked)
        else:
            self._judge(run, prior.key, prior.retained_outcome())

    def _place(self, workload: Workload) -> _Place:
        return namespace_of(self._config, workload), workload.key.identity

    # What earlier runners left

    def note_adopted(self, tracked: TrackedPod) -> None:
        """A pod was adopted: should its workload be run, the run goes on with it. A run's own try is no prior one."""
        place = tracked.namespace, tracked.key.identity
        live = self._live.get(place)
        if live is None or tracked not in live.tries:
            self._note(place, PriorAttempt(tracked.key, tracked))

    def note_retained(self, pod: Pod, ownership: OwnershipMetadata) -> None:
        """A pod is there that is over, and whose outcome was reported: should its workload be run, it counts."""
        prior = PriorAttempt(ownership.key, None, pod, ownership.main_container)
        self._note((pod.metadata.namespace, ownership.key.identity), prior)

    def _note(self, place: _Place, prior: PriorAttempt) -> None:
        known = self._prior.pop(place, None)
        newest = prior if known is None or _order(known.key) <= _order(prior.key) else known
        self._prior[place] = newest
        if len(self._prior) > _PRIOR_ATTEMPTS:
            self._prior.popitem(last=False)

    # One try after another

    def _take(self, run: TrackedRun, tracked: TrackedPod) -> None:
        run.tries.append(tracked)
        for _ in range(run.waits):
            self._queue.wait_begins(tracked)
        if tracked.state.is_ended:
            self._note_end(run, tracked)
        else:
            self._trying[tracked] = run

    def note_end(self, tracked: TrackedPod) -> None:
        """A pod has its outcome, or will not get one here: if it is a run's present try, the run goes on."""
        run = self._trying.pop(tracked, None)
        if run is not None:
            self._note_end(run, tracked)

    def _note_end(self, run: TrackedRun, tracked: TrackedPod) -> None:
        if tracked.outcome is None:
            self._end(run, None)
        else:
            self._judge(run, tracked.key, tracked.outcome)

    def _judge(self, run: TrackedRun, key: WorkloadKey, outcome: Outcome) -> None:
        following = None if run.cancelled else self._following(run, key, outcome)
        if following is None:
            self._end(run, outcome)
        elif self._stopped:
            self._end(run, None if self._relinquishing else outcome)
        else:
            run.pause = anyio.CancelScope()
            if run.tries:
                self._context.send(run.tries[-1], RetryPlanned())
            self._tasks.start_soon(self._try_again, run, *following, outcome, name=f"next try of {key}")

    def _following(
        self, run: TrackedRun, key: WorkloadKey, outcome: Outcome
    ) -> tuple[WorkloadKey, float] | None:
        first = run.workload.key
        try:
            following = next_try(run.policy, outcome, key=key, first=first)
            if following is None:
                return None
            tries = key.attempt - first.attempt + key.relaunch + 1
            return following, wait_before(run.policy, outcome, tries=tries, random=self._random)
        except Exception:  # the policy's functions are the caller's
            said = "the retry policy failed on the outcome of %s: it is not tried again"
            _logger.exception(said, key, extra={"key": str(key), "category": str(outcome.category)})
            return None

    async def _try_again(self, run: TrackedRun, key: WorkloadKey, wait_s: float, outcome: Outcome) -> None:
        """Waits, and submits the next try; the end of the pause is the end of the run."""
        assert run.pause is not None, "made before the task"
        submitted: TrackedPod | None = None
        try:
            with run.pause:
                extra = {"key": str(key), "category": str(outcome.category)}
                _logger.info("%s is tried again as %s in %.1f s", run.workload.key, key, wait_s, extra=extra)
                await self._pause(run, wait_s)
                if not run.pause.cancel_called:  # an end that came in the same instant as the place in line
                    workload = run.workload.of_try(key)
                    submitted = self._queue.enqueue(workload, priority=run.priority, group=run.group)
        except PodrunnerError as error:
            outcome = refused_by_api(error)
        finally:
            run.pause = None
            if submitted is None:
                self._drop_retry(run)
                self._end(run, None if self._relinquishing else outcome)
        if submitted is not None:
            prior = run.tries[-1] if run.tries else None
            self._take(run, submitted)
            await self._deliver_by_retry(prior, submitted)

    def _drop_retry(self, run: TrackedRun) -> None:
        """There is no next try: the outcome of the present one needs a reader, or a successor."""
        if run.tries and not self._relinquishing:
            self._context.send(run.tries[-1], RetryDropped())

    async def _deliver_by_retry(self, prior: TrackedPod | None, submitted: TrackedPod) -> None:
        """The outcome of a try is delivered once the pod of the next one exists."""
        while isinstance(submitted.state, NotCreatedState):
            await submitted.changed()
        if prior is not None:
            self._context.send(prior, RetryCreated() if submitted.uid else RetryDropped())

    async def _pause(self, run: TrackedRun, wait_s: float) -> None:
        until = current_time() + wait_s
        if run.tries:
            with anyio.move_on_after(self._config.logs.drain_timeout_s + _PRIOR_MARGIN_S):
                await run.tries[-1].drained()
        await anyio.sleep_until(until)
        await self._queue.wait_for_room(is_waited_for=lambda: run.waits)

    # Waiting

    def wait_begins(self, run: TrackedRun) -> None:
        """A caller waits for the end of a run, and so of its present try and of each further one."""
        run.waits += 1
        if run.tries:
            self._queue.wait_begins(run.tries[-1])
        else:
            self._queue.look_again()

    def wait_ends(self, run: TrackedRun) -> None:
        """A caller waits no more for the end of a run."""
        run.waits -= 1
        if run.tries:
            self._queue.wait_ends(run.tries[-1])

    def _end(self, run: TrackedRun, outcome: Outcome | None) -> None:
        run.end(outcome)
        del self._live[self._place(run.workload)]
        if self._hooks is not None:
            namespace, key = namespace_of(self._config, run.workload), run.workload.key
            self._hooks.run_ended(RunEnd(key, namespace, outcome, len(run.tries)))
        self._idle.notify_all()

    # Ending

    async def cancel(self, run: TrackedRun, *, grace_period_s: int | None = None) -> None:
        """No further try; the present pod is cancelled, by the path of all pods."""
        run.cancelled = True
        if run.pause is not None:
            run.pause.cancel()
            await run.ended()
        elif not run.is_over:
            await self._context.cancel(run.tries[-1], grace_period_s=grace_period_s)

    def begin_cancel(self, run: TrackedRun, *, grace_period_s: int | None = None) -> None:
        """As :meth:`cancel`, in a task of its own."""
        run.cancelled = True
        job = partial(self.cancel, run, grace_period_s=grace_period_s)
        self._tasks.start_soon(job, name=f"cancel run {run.workload.key}")

    def stop(self, *, relinquish: bool) -> None:
        """No further tries of any run.

        Args:
            relinquish: Whether a successor goes on with those that would have had another; else they are over.
        """
        self._stopped = True
        self._relinquishing = self._relinquishing or relinquish
        for run in tuple(self._live.values()):
            if run.pause is not None:
                run.pause.cancel()

    async def idle(self) -> None:
        """Returns when every run is over."""
        while self._live:
            await self._idle.wait()


def _order(key: WorkloadKey) -> tuple[int, int]:
    return key.attempt, key.relaunch
