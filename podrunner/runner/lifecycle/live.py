"""A pod that exists and is not over: what its records mean, its deadlines, and how the runner ends it. Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from podrunner.builder.labels import OUTCOME_FINALIZER, VERDICT
from podrunner.outcome import (
    Category,
    Fault,
    Outcome,
    awaits_final_status,
    classify,
    is_past_deadline,
    verdict_outcome,
)
from podrunner.runner.deadlines import (
    advanced,
    due_s,
    exceeded,
    has_deadline,
    is_to_be_noted,
    to_note,
)
from podrunner.runner.effects import (
    AwaitDeletion,
    AwaitFinalStatus,
    CollectLog,
    DeletePod,
    Effect,
    EndPod,
    Enrich,
    RecordWaiting,
    UnwatchDeadlines,
    WatchDeadlines,
)
from podrunner.runner.inputs import (
    DeadlinesChecked,
    DeletionAnswered,
    DeletionDeclined,
    DeletionOverdue,
    FinalStatusOverdue,
    PodGone,
    PodObserved,
    TerminationRequested,
)
from podrunner.runner.lifecycle.records import (
    as_incomplete,
    deletion_timeout_s,
    has_ended_first,
    is_lost,
    is_same,
    merge,
    record_effects,
    says_the_same,
    start_effects,
)
from podrunner.runner.lifecycle.steps import Step
from podrunner.runner.states import (
    Active,
    AwaitingFinalStatus,
    Enriching,
    Live,
    Rules,
    Snapshot,
    State,
    Terminating,
    Termination,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.outcome.record import Event, Pod

__all__ = [
    "answer_live",
    "as_begun",
    "cancel",
    "check_deadlines",
    "earlier_termination",
    "end_changed",
    "ending",
    "give_up_deletion",
    "give_up_final_status",
    "is_only_held",
    "judge",
    "keeps_grace",
    "observe_live",
    "outcome_by",
    "seen_end",
]

_COLLECT_LOG: Final = (CollectLog(),)
# Kubernetes' default for terminationGracePeriodSeconds.
_DEFAULT_GRACE_S: Final = 30


def observe_live(state: Live, given: PodObserved | PodGone) -> Step:
    """Takes a record of a pod that is not over."""
    gone = isinstance(given, PodGone)
    rewound = not isinstance(given, PodGone) and given.rewound
    before, rules = state.snapshot, state.rules
    snapshot = merge(before, given.pod, main_container=rules.main_container, rewound=rewound)
    if snapshot is before and not gone:
        return Step(state)
    if isinstance(state, Active) and not gone and says_the_same(snapshot.pod, before.pod):
        return Step(replace(state, snapshot=snapshot), _COLLECT_LOG)
    effects = record_effects(before, snapshot, gone=gone)
    if not isinstance(given, PodGone):
        effects += start_effects(rules, before, snapshot)
    elif not given.is_last:
        snapshot = as_incomplete(snapshot)
    return judge(state, snapshot, gone=gone, effects=effects)


def check_deadlines(state: Active, given: DeadlinesChecked) -> Step:
    """Gives the pod up if a deadline has passed."""
    known, config, now_s = state.snapshot, state.rules.config, given.now_s
    if now_s < state.next_check_s:
        return Step(state)
    main = state.rules.main_container
    clocks = advanced(state.clocks, known, config, main_container=main, now_s=now_s)
    verdict = exceeded(clocks, known, config, main_container=main, now_s=now_s)
    if verdict is not None:
        outcome = verdict_outcome(known.pod, verdict, main_container=main, history=known.history)
        forced = config.force_delete_lost and is_lost(outcome)
        return _terminate(state, Termination(verdict=outcome, grace_period_s=0 if forced else None))
    noted = to_note(clocks) if is_to_be_noted(clocks, now_s) else None
    notes: tuple[Effect, ...] = ()
    if noted is not None and noted.category is not None:
        clocks = replace(clocks, noted=noted.category)
        notes = (RecordWaiting(noted.category, noted.category_since_s),)
    next_check_s = due_s(clocks, known, config, main_container=main)
    if (clocks, next_check_s) == (state.clocks, state.next_check_s):
        return Step(state)
    return Step(replace(state, clocks=clocks, next_check_s=next_check_s), notes)


def cancel(state: Active | AwaitingFinalStatus, given: TerminationRequested) -> Step:
    """The caller ends the pod."""
    if isinstance(state, AwaitingFinalStatus) and state.termination is not None:
        return Step(state)
    return _terminate(state, Termination(grace_period_s=given.grace_period_s))


def _terminate(state: Active | AwaitingFinalStatus, termination: Termination) -> Step:
    pod = state.snapshot.pod
    end = ending(state.rules, state.snapshot, termination)
    # Another client's deletion may come first, too.
    asked_before = termination.asked_before or pod.metadata.deletion_timestamp is not None
    termination = replace(_begun_by(termination, end), asked_before=asked_before)
    if isinstance(state, AwaitingFinalStatus):
        return Step(replace(state, termination=termination), (end,))
    terminating = Terminating(
        rules=state.rules, snapshot=state.snapshot, clocks=state.clocks, termination=termination
    )
    return Step(terminating, (*_unwatch(state), end))


def _begun_by(termination: Termination, end: DeletePod | EndPod) -> Termination:
    """Returns a termination with its request: from then on, before the answer, the kubelet may end the pod."""
    keeps_pod = isinstance(end, EndPod) and end.keeps_pod
    return replace(termination, keeps_pod=keeps_pod, by_deadline=termination.by_deadline or keeps_pod)


def ending(rules: Rules, known: Snapshot, termination: Termination) -> DeletePod | EndPod:
    """Decides how a pod that is not over is ended: one that has started, with its verdict on it first."""
    pod = known.pod
    if not known.history.started:
        return DeletePod(
            termination.grace_period_s,
            # Only as long as it has not started: the watch may be late.
            resource_version=pod.metadata.resource_version,
            verdict=_verdict(rules, known, termination) if _needs_verdict(pod) else None,
        )
    return EndPod(
        outcome=_verdict(rules, known, termination),
        is_settled=False,
        grace_period_s=termination.grace_period_s,
        keeps_pod=not is_lost(termination.verdict) and keeps_grace(rules, pod, termination.grace_period_s),
        resource_version=pod.metadata.resource_version,
    )


def _needs_verdict(pod: Pod) -> bool:
    """Whether a pod that has not started is there for some time after its deletion: a successor may find it."""
    meta = pod.metadata
    outlasts_deletion = pod.spec.node_name is not None or OUTCOME_FINALIZER in (meta.finalizers or ())
    return outlasts_deletion and VERDICT not in (meta.annotations or {})


def _verdict(rules: Rules, known: Snapshot, termination: Termination) -> Outcome:
    """Returns the outcome that is written to a pod before it is ended."""
    if termination.verdict is not None:
        return termination.verdict
    verdict = _given_up(rules, known, termination)
    if verdict.category is Category.CANCELLED:
        return dataclasses.replace(verdict, started=known.history.started)
    # Its containers have ended, but not for good, or the kubelet has still to write why: that is not known yet.
    return dataclasses.replace(
        verdict,
        category=Category.CANCELLED,
        fault=Fault.CALLER,
        retryable=False,
        reason=None,
        message="cancelled by its owner",
    )


def _given_up(rules: Rules, known: Snapshot, termination: Termination) -> Outcome:
    """Returns what becomes of a pod whose end is not waited for any longer."""
    outcome = classify(
        known.pod,
        main_container=rules.main_container,
        vanished=True,
        cancelled=True,
        history=known.history,
    )
    assert outcome is not None, "what vanished has an outcome"
    return outcome if termination.verdict is None else as_begun(termination.verdict, outcome)


def as_begun(verdict: Outcome, seen: Outcome) -> Outcome:
    """Returns a verdict that says whether the work began: it may have, until its node saw the deletion."""
    if verdict.started or not seen.started:
        return verdict
    return dataclasses.replace(verdict, started=True, message=f"{verdict.message}; it may have started")


def keeps_grace(rules: Rules, pod: Pod, grace_period_s: int | None) -> bool:
    """Whether the pod can be ended by its deadline: then it has its own grace period, and no other."""
    asked_s = rules.config.delete_grace_period_s if grace_period_s is None else grace_period_s
    own_s = pod.spec.termination_grace_period_seconds
    is_own = asked_s is None or asked_s == (_DEFAULT_GRACE_S if own_s is None else own_s)
    return is_own and pod.metadata.deletion_timestamp is None


def answer_live(state: Terminating | AwaitingFinalStatus, given: DeletionAnswered) -> Step:
    """Takes the answer to the request that ends the pod, and waits for its end."""
    if state.termination is None:
        return Step(state)
    termination = _answered(state.rules, state.termination, given)
    answered = replace(state, termination=termination)
    following = Step(answered)
    if given.pod is not None and is_same(given.pod, state.snapshot):
        following = observe_live(answered, PodObserved(given.pod))
    if not isinstance(following.state, Terminating | AwaitingFinalStatus):
        return following
    wait = AwaitDeletion(deletion_timeout_s(following.state.snapshot, termination))
    return Step(following.state, (*following.effects, wait))


def _answered(rules: Rules, termination: Termination, given: DeletionAnswered) -> Termination:
    """Returns a termination with the answer to its request."""
    ended_first = has_ended_first(rules, termination, given)
    was_over_its_own = ended_first and given.pod is not None and is_past_deadline(given.pod)
    return replace(
        termination,
        ended_first=ended_first,
        keeps_pod=given.keeps_pod,
        by_deadline=termination.by_deadline and not was_over_its_own,
    )


def end_changed(state: Terminating | AwaitingFinalStatus, given: DeletionDeclined) -> Step:
    """The pod had changed when it was to be ended: if it is over, that is its own doing; else it is decided anew."""
    termination = state.termination
    if termination is None:
        return Step(state)
    if not termination.asked_before:
        over = observe_live(_as_not_ended(state), PodObserved(given.pod))
        if isinstance(over.state, Enriching):
            return over
    following = observe_live(state, PodObserved(given.pod))
    live = following.state
    if not isinstance(live, Terminating | AwaitingFinalStatus) or live.termination is None:
        return following
    end = ending(live.rules, live.snapshot, live.termination)
    ending_state = replace(live, termination=_begun_by(live.termination, end))
    return Step(ending_state, (*following.effects, end))


def _as_not_ended(state: Terminating | AwaitingFinalStatus) -> Active | AwaitingFinalStatus:
    """Returns the state of a pod as if the runner had not begun to end it: no request was accepted."""
    if isinstance(state, AwaitingFinalStatus):
        return replace(state, termination=None)
    return Active(rules=state.rules, snapshot=state.snapshot, clocks=state.clocks, has_deadline=False)


def give_up_deletion(state: Terminating | AwaitingFinalStatus, _: DeletionOverdue) -> Step:
    """The node does not end the pod. One that was given a deadline is deleted first."""
    termination = state.termination
    if termination is None:
        return Step(state)
    if termination.keeps_pod:
        deleting = replace(state, termination=replace(termination, keeps_pod=False, asked_before=True))
        # Only as long as it has not changed: the watch may be late, and the pod over, its outcome not delivered.
        version = state.snapshot.pod.metadata.resource_version
        return Step(deleting, (DeletePod(termination.grace_period_s, resource_version=version),))
    outcome = _given_up(state.rules, state.snapshot, termination)
    return seen_end(state, state.snapshot, outcome, termination, gone=False)


def give_up_final_status(state: AwaitingFinalStatus, _: FinalStatusOverdue) -> Step:
    """The final status does not come: the outcome is given without it."""
    outcome = outcome_by(state, state.snapshot, state.termination)
    if outcome is None:
        return _continue(state, state.snapshot)
    return seen_end(state, state.snapshot, outcome, state.termination, gone=False)


def judge(state: Live, snapshot: Snapshot, *, gone: bool = False, effects: tuple[Effect, ...] = ()) -> Step:
    """Decides whether a record is the pod's end."""
    if snapshot.said is not None and not gone:  # what waits is not over
        following = _continue(state, snapshot)
        return (
            Step(following.state, (*effects, *following.effects))
            if following.effects
            else Step(following.state, effects)
        )
    termination = _termination(state)
    if termination is not None and not gone and _is_untouched(snapshot.pod, termination):
        own = outcome_by(state, snapshot, None)
        if own is not None and not awaits_final_status(snapshot.pod, own):
            following = seen_end(state, snapshot, own, None, gone=False)
            return Step(following.state, (*effects, *following.effects))
    vanished = gone or is_only_held(snapshot.pod)
    outcome = outcome_by(state, snapshot, termination, gone=vanished)
    if outcome is None:
        following = _continue(state, snapshot)
    elif not gone and awaits_final_status(snapshot.pod, outcome):
        following = _await_final_status(state, snapshot, termination)
    else:
        following = seen_end(state, snapshot, outcome, termination, gone=gone)
    return Step(following.state, (*effects, *following.effects))


def _is_untouched(pod: Pod, termination: Termination) -> bool:
    """Whether a record shows a pod before the runner's request was accepted: if it is over, it ended by itself."""
    meta = pod.metadata
    is_marked = meta.deletion_timestamp is not None or VERDICT in (meta.annotations or {})
    return not (is_marked or termination.asked_before or is_past_deadline(pod))


def is_only_held(pod: Pod) -> bool:
    """Whether a deleted pod is there for its finalizers alone: no node ever had it, so no kubelet will end it."""
    return pod.metadata.deletion_timestamp is not None and pod.spec.node_name is None


def _continue(state: Live, snapshot: Snapshot) -> Step:
    """The pod is not over."""
    termination = _termination(state)
    if termination is not None:
        terminating = Terminating(
            rules=state.rules, snapshot=snapshot, clocks=state.clocks, termination=termination
        )
        return Step(terminating)
    before = isinstance(state, Active) and state.has_deadline
    after = has_deadline(snapshot, state.rules.config)
    active = Active(rules=state.rules, snapshot=snapshot, clocks=state.clocks, has_deadline=after)
    if after == before:
        return Step(active)
    if not after or not isinstance(state, Active):
        # Nothing is measured meanwhile: what it waits for later has just begun then.
        active = replace(active, clocks=replace(state.clocks, pending=None))
    return Step(active, (WatchDeadlines() if after else UnwatchDeadlines(),))


def _await_final_status(state: Live, snapshot: Snapshot, termination: Termination | None) -> Step:
    if isinstance(state, AwaitingFinalStatus):
        return Step(replace(state, snapshot=snapshot))
    awaiting = AwaitingFinalStatus(
        rules=state.rules, snapshot=snapshot, clocks=state.clocks, termination=termination
    )
    return Step(awaiting, (*_unwatch(state), AwaitFinalStatus()))


def seen_end(
    state: Live, snapshot: Snapshot, outcome: Outcome, termination: Termination | None, *, gone: bool
) -> Step:
    """The pod is over."""
    is_by_itself = termination is None and not gone and snapshot.pod.metadata.deletion_timestamp is None
    enriching = Enriching(
        rules=state.rules,
        snapshot=snapshot,
        provisional=outcome,
        termination=termination,
        gone=gone,
        judged=snapshot if is_by_itself else None,
    )
    return Step(enriching, (*_unwatch(state), Enrich()))


def _unwatch(state: Live) -> tuple[Effect, ...]:
    return (UnwatchDeadlines(),) if isinstance(state, Active) and state.has_deadline else ()


def _termination(state: Live) -> Termination | None:
    return None if isinstance(state, Active) else state.termination


def outcome_by(
    state: State,
    snapshot: Snapshot,
    termination: Termination | None,
    *,
    gone: bool = False,
    events: Iterable[Event] = (),
) -> Outcome | None:
    """Returns what a record makes of a pod; None while it is not over."""
    outcome = classify(
        snapshot.pod,
        events=events,
        main_container=state.rules.main_container,
        vanished=gone,
        cancelled=termination is not None,
        by_deadline=termination is not None and termination.by_deadline,
        history=snapshot.history,
        ended_first=termination is not None and termination.ended_first,
    )
    ours = None if termination is None else termination.verdict
    if outcome is None or outcome.category is not Category.CANCELLED or ours is None:
        return outcome
    return as_begun(ours, outcome)


def earlier_termination(pod: Pod, verdict: Outcome) -> Termination:
    """Returns what an earlier owner did to a pod that bears its verdict: at least, it may have lowered its deadline."""
    return Termination(
        verdict=None if verdict.category is Category.CANCELLED else verdict,
        keeps_pod=pod.metadata.deletion_timestamp is None,
        by_deadline=True,
        asked_before=True,
    )
