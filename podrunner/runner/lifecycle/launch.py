"""Before there is a pod, and how one begins: created, adopted, or given again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from podrunner.outcome import Category, Fault, Outcome, apply_failure_policy, refused_by_api
from podrunner.runner.deadlines import Clocks, adopted, startable_s
from podrunner.runner.effects import CollectLog, Effect, Emit, ExpectInWatch, NoteEnd, Untrack
from podrunner.runner.events import EventKind
from podrunner.runner.lifecycle.ended import settle
from podrunner.runner.lifecycle.live import earlier_termination, ending, judge, seen_end
from podrunner.runner.lifecycle.records import holds_result, new_snapshot
from podrunner.runner.lifecycle.steps import Step
from podrunner.runner.states import (
    Active,
    Creating,
    Finished,
    New,
    Queued,
    Relinquished,
    Rules,
    Snapshot,
    Terminating,
)

if TYPE_CHECKING:
    from podrunner.errors import PodrunnerError
    from podrunner.outcome.record import Pod
    from podrunner.runner.inputs import (
        AttemptLost,
        AttemptReplayed,
        LaunchCancelled,
        LaunchDeferred,
        LaunchRefused,
        LaunchStarted,
        PodAdopted,
        PodCreated,
        Submitted,
    )

__all__ = [
    "adopt",
    "begin",
    "begin_relinquished",
    "defer",
    "lose_attempt",
    "refuse",
    "replay",
    "replayed_state",
    "start_launch",
    "submit",
    "withdraw",
]


def submit(state: New, _: Submitted) -> Step:
    """The workload waits in the queue."""
    return Step(Queued(rules=state.rules))


def start_launch(state: New | Queued, _: LaunchStarted) -> Step:
    """The pod is being created."""
    return Step(Creating(rules=state.rules))


def refuse(state: New | Queued | Creating, given: LaunchRefused) -> Step:
    """The pod could not be created: that is its outcome."""
    return _end_launch(state, refused_by_api(given.error), error=given.error, is_reported=given.is_reported)


def withdraw(state: New | Queued | Creating, given: LaunchCancelled) -> Step:
    """The launch was cancelled before there was a pod."""
    outcome = Outcome(
        category=Category.CANCELLED,
        fault=Fault.CALLER,
        started=False,
        retryable=False,
        message="cancelled before there was a pod",
    )
    return _end_launch(state, outcome, error=None, is_reported=given.is_reported)


def _end_launch(
    state: New | Queued | Creating, outcome: Outcome, *, error: PodrunnerError | None, is_reported: bool
) -> Step:
    if is_reported:
        outcome = apply_failure_policy(state.rules.config.failure_policy, outcome, None)
    report = (Emit(EventKind.FINISHED, outcome),) if is_reported else ()
    finished = Finished(rules=state.rules, outcome=outcome, launch_error=error)
    return Step(finished, (Untrack(), NoteEnd(), *report))


def defer(state: Creating, _: LaunchDeferred) -> Step:
    """The launch waits for something, and goes back into the queue."""
    return Step(Queued(rules=state.rules))


def lose_attempt(state: New | Queued | Creating, given: AttemptLost) -> Step:
    """The attempt's pod is there, and is not this runner's to report."""
    report = (Emit(EventKind.LOST, message=str(given.error)),) if given.is_reported else ()
    lost = Relinquished(rules=state.rules, launch_error=given.error)
    return Step(lost, (Untrack(), NoteEnd(), *report))


def replay(state: New | Queued | Creating, given: AttemptReplayed) -> Step:
    """The pod stays as it is: it is retained, and perhaps another runner's."""
    finished = replayed_state(state.rules, given.pod, given.outcome, now_s=given.now_s)
    return Step(finished, (Untrack(), NoteEnd(), Emit(EventKind.FINISHED, given.outcome)))


def replayed_state(rules: Rules, pod: Pod, outcome: Outcome, *, now_s: float) -> Finished:
    """Returns the state of a pod that is over, and about which nothing more is done."""
    snapshot = new_snapshot(pod, main_container=rules.main_container, first_seen_s=now_s)
    return Finished(rules=rules, outcome=outcome, snapshot=snapshot)


def begin(state: Creating, given: PodCreated) -> Step:
    """The pod exists."""
    snapshot = new_snapshot(given.pod, main_container=state.rules.main_container, first_seen_s=given.now_s)
    return _track(state, snapshot, Clocks(), EventKind.CREATED)


def adopt(state: New | Queued | Creating, given: PodAdopted) -> Step:
    """The outcome that an earlier owner settled stays; a pod that it was ending is ended, with its verdict."""
    main = state.rules.main_container
    first_seen_s = given.now_s - startable_s(given.pod, given.now)
    snapshot = new_snapshot(given.pod, main_container=main, first_seen_s=first_seen_s)
    clocks = adopted(snapshot, state.rules.config, main_container=main, now_s=given.now_s, now=given.now)
    if given.outcome is not None and holds_result(given.pod, given.outcome):
        active = Active(rules=state.rules, snapshot=snapshot, clocks=clocks, has_deadline=False)
        following = seen_end(active, snapshot, given.outcome, None, gone=False)
        return Step(following.state, (*_begun(EventKind.ADOPTED), *following.effects))
    if given.outcome is not None:
        is_ours = given.verdict is not None
        following = settle(state.rules, snapshot, given.outcome, gone=False, is_ours=is_ours)
        return Step(following.state, (*_begun(EventKind.ADOPTED), *following.effects))
    if given.verdict is not None:
        return _adopt_ending(state, snapshot, clocks, given.verdict)
    return _track(state, snapshot, clocks, EventKind.ADOPTED)


def _adopt_ending(
    state: New | Queued | Creating, snapshot: Snapshot, clocks: Clocks, verdict: Outcome
) -> Step:
    """Goes on ending a pod that an earlier owner had begun to end."""
    termination = earlier_termination(snapshot.pod, verdict)
    terminating = Terminating(rules=state.rules, snapshot=snapshot, clocks=clocks, termination=termination)
    following = judge(terminating, snapshot, effects=_begun(EventKind.ADOPTED))
    if isinstance(following.state, Terminating):
        again = ending(state.rules, snapshot, termination)
        return Step(following.state, (*following.effects, again))
    return following


def _track(state: New | Queued | Creating, snapshot: Snapshot, clocks: Clocks, kind: EventKind) -> Step:
    active = Active(rules=state.rules, snapshot=snapshot, clocks=clocks, has_deadline=False)
    return judge(active, snapshot, effects=_begun(kind))


def _begun(kind: EventKind) -> tuple[Effect, ...]:
    return (ExpectInWatch(), Emit(kind), CollectLog())


def begin_relinquished(state: Relinquished, given: PodCreated) -> Step:
    """A pod that was created after it was relinquished is known, and nothing else."""
    if state.snapshot is not None:
        return Step(state)
    main = state.rules.main_container
    return Step(
        replace(state, snapshot=new_snapshot(given.pod, main_container=main, first_seen_s=given.now_s))
    )
