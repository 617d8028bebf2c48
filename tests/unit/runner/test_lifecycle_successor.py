"""A successor settles what was settled: from the pod alone, and what was written to it."""

from __future__ import annotations

from copy import copy
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from podrunner.builder import labels
from podrunner.outcome import Outcome
from podrunner.outcome.record import Event, Pod
from podrunner.outcome.stored import says_otherwise
from podrunner.ownership import stored_outcome, stored_verdict
from podrunner.runner import effects as effect_kinds
from podrunner.runner import inputs
from podrunner.runner.effects import AwaitDeletion, AwaitFinalStatus, DeletePod, EndPod, Enrich, RecordOutcome
from podrunner.runner.inputs import (
    DeadlinesChecked,
    DeletionAnswered,
    DeletionDeclined,
    DeletionOverdue,
    FinalStatusOverdue,
    OutcomeEnriched,
    OutcomeRecorded,
    PodAdopted,
    PodCreated,
    PodObserved,
    TerminationRequested,
)
from podrunner.runner.lifecycle import TABLE, step, wants_events, with_events
from podrunner.runner.states import (
    Active,
    Creating,
    Enriching,
    Finished,
    Rules,
    SettledState,
    State,
    Terminating,
    outcome_of,
    snapshot_of,
)
from tests.support.pod_strategies import pods
from tests.support.pods import at, disrupted, ended, pod
from tests.unit.runner.lives import (
    BY_DEADLINE,
    EXITED,
    FAILED,
    NODE_LOST,
    NOW,
    PENDING,
    POLICIES,
    RUNNING,
    SIDECAR_GOES_ON,
    SUCCEEDED,
    written,
)


class Server:
    """What an API server has of one pod: what its kubelet writes, and what its runners write. A finalizer holds it."""

    def __init__(self, life: list[Pod]) -> None:
        self.has_deadline = False  # lowered by a runner
        self._left = life[1:]
        self._version = 1
        self.pod = self._at(life[0])

    def report(self) -> None:
        """The kubelet writes the next status."""
        if self._left:
            later = self._left.pop(0)
            is_marked = self.pod.metadata.deletion_timestamp is not None
            mark = self.pod.metadata if is_marked else later.metadata
            meta = replace(
                self.pod.metadata,
                deletion_timestamp=mark.deletion_timestamp,
                deletion_grace_period_seconds=mark.deletion_grace_period_seconds,
            )
            self.pod = self._at(replace(later, metadata=meta))

    def exceed_deadline(self) -> None:
        """The kubelet writes that the deadline was exceeded: it may do so to a pod that had ended by itself."""
        if self.has_deadline:
            status = replace(self.pod.status, phase="Failed", reason="DeadlineExceeded")
            self.pod = self._at(replace(self.pod, status=status))

    def write(self, **record: Outcome | None) -> Pod:
        """A runner writes an outcome or a verdict."""
        self.pod = self._at(written(self.pod, **record))
        return self.pod

    def delete(self) -> Pod:
        """A client deletes the pod."""
        meta = self.pod.metadata
        if meta.deletion_timestamp is None:
            marked = replace(meta, deletion_timestamp=at(80), deletion_grace_period_seconds=30)
            self.pod = self._at(replace(self.pod, metadata=marked))
        return self.pod

    def forget_outcome(self) -> bool:
        """Removes what was recorded; returns whether there was something."""
        annotations = dict(self.pod.metadata.annotations or {})
        recorded = annotations.pop(labels.OUTCOME, None)
        self.pod = replace(self.pod, metadata=replace(self.pod.metadata, annotations=annotations))
        return recorded is not None

    def _at(self, record: Pod) -> Pod:
        self._version += 1
        meta = replace(record.metadata, resource_version=str(self._version))
        return replace(record, metadata=meta)


class Owner:
    """A runner that carries out what the state machine asks of it for one pod, up to the settled outcome.

    Args:
        server: What it writes to.
        by: Its rules.
        events: What it finds of the pod's events.
        may_patch: Whether the server lets it write to the pod before it ends it.
    """

    def __init__(
        self, server: Server, by: Rules, *, events: tuple[Event, ...] = (), may_patch: bool = True
    ) -> None:
        self.state: State = Creating(rules=by)
        self._jobs: list[effect_kinds.Effect] = []
        self._server = server
        self._events = events
        self._may_patch = may_patch
        self._now_s = 0.0

    @property
    def is_settled(self) -> bool:
        return isinstance(self.state, SettledState | Finished)

    def take(self, given_: inputs.Input) -> None:
        """Applies an input, unless it is none for the state."""
        if type(given_) in TABLE[type(self.state)]:
            self.state, effects = step(self.state, given_)
            self._jobs += [effect for effect in effects if isinstance(effect, effect_kinds.TimedEffect)]

    def do(self, action: str) -> None:
        """Does one of :data:`ACTIONS`."""
        match action:
            case "observe":
                self.take(PodObserved(self._server.pod))
            case "work":
                self.work()
            case "time":
                self._now_s += 40
                self.take(DeadlinesChecked(self._now_s))
            case "cancel":
                self.take(TerminationRequested())
            case "cancel in 7 s":
                self.take(TerminationRequested(7))
            case _:
                getattr(self._server, action)()

    def settle(self) -> Outcome | None:
        """Works until the outcome is settled, and returns it; None: there is none, and nothing to do."""
        for _ in range(_MOST_JOBS):
            if not self.is_settled:
                self.work()
        assert self.is_settled or not self._jobs, "this goes on for ever"
        return outcome_of(self.state)

    def work(self) -> None:
        """Carries out the job that has waited longest."""
        if self._jobs:
            answer = self._answer(self._jobs.pop(0))
            if answer is not None:
                self.take(answer)

    def _answer(self, job: effect_kinds.Effect) -> inputs.Input | None:
        if isinstance(job, EndPod):
            return self._end(job)
        if isinstance(job, DeletePod):
            return self._delete(job)
        if isinstance(job, RecordOutcome):
            self._server.write(outcome=job.outcome)
            return OutcomeRecorded()
        if isinstance(job, AwaitFinalStatus):
            self.take(PodObserved(self._server.pod))
            return FinalStatusOverdue()
        if isinstance(job, Enrich) and isinstance(self.state, Enriching):
            return self._enrich(self.state)
        return DeletionOverdue() if isinstance(job, AwaitDeletion) else None

    def _end(self, job: EndPod) -> inputs.Input:
        if not self._may_patch:
            return DeletionAnswered(self._server.delete(), is_first=True)
        self._server.write(verdict=job.outcome)
        if not job.keeps_pod:
            return DeletionAnswered(self._server.delete(), is_first=True)
        self._server.has_deadline = True
        return DeletionAnswered(self._server.pod, is_first=True, keeps_pod=True)

    def _delete(self, job: DeletePod) -> inputs.Input:
        if job.resource_version not in {None, self._server.pod.metadata.resource_version}:
            return DeletionDeclined(self._server.pod)
        return DeletionAnswered(self._server.delete(), is_first=True)

    def _enrich(self, state: Enriching) -> inputs.Input:
        outcome = with_events(state, self._events) if wants_events(state) else state.provisional
        return OutcomeEnriched(outcome)


def adopt(server: Server, by: Rules) -> Owner:
    """A runner adopts the pod, on a copy of the server, and finds no events any more."""
    successor, record = Owner(copy(server), by), server.pod
    outcome, verdict = stored_outcome(record), stored_verdict(record)
    successor.take(PodAdopted(record, 0.0, NOW, outcome=outcome, verdict=verdict))
    return successor


FIRST = [PENDING, pod(node=None), RUNNING]
LATER = [
    RUNNING,
    EXITED,
    FAILED,
    SUCCEEDED,
    SIDECAR_GOES_ON,
    BY_DEADLINE,
    NODE_LOST,
    pod("Unknown"),
    pod("Running", ended("base", 143, end=55)),  # after it was deleted, or given a deadline
    pod("Failed", ended("base", 143, end=55)),
    pod("Failed", ended("base", 137, end=55), reason="Evicted"),
    pod("Failed", ended("base", 137, reason="ContainerStatusUnknown", begin=None, end=None)),
    pod("Failed", ended("base", 143, end=55), conditions=(disrupted("PreemptionByScheduler"),)),
]
EVENTS = (
    (),
    (Event(reason="Preempted", message="by another pod"),),
    (Event(reason="Killing", message="Stopping container base"),),
)
ACTIONS = ["report", "observe", "work", "cancel", "cancel in 7 s", "time", "delete"]
_MOST_JOBS = 20
later = st.lists(st.sampled_from(LATER) | pods(names=("base", "beside")), max_size=3)


def known_life(life: list[Pod], *script: str, by: Rules = POLICIES[0], exceeds: bool = False) -> Any:
    """An example that is tried each time."""
    return example(by=by, life=life, script=list(script), events=(), may_patch=True, exceeds=exceeds)


@known_life([RUNNING, FAILED], "cancel", "work", "report", "observe", exceeds=True)
@known_life([pod(node=None)], "cancel", "work", "observe")
@known_life([pod(node=None)], "delete", "observe")
@known_life([RUNNING, FAILED], "report", "observe", by=POLICIES[-1])
@given(
    by=st.sampled_from(POLICIES),
    life=st.tuples(st.sampled_from(FIRST), later).map(lambda life: [life[0], *life[1]]),
    script=st.lists(st.sampled_from(ACTIONS), max_size=12),
    events=st.sampled_from(EVENTS),
    may_patch=st.booleans(),
    exceeds=st.booleans(),
)
def test_a_successor_settles_what_was_settled(
    by: Rules,
    life: list[Pod],
    script: list[str],
    events: tuple[Event, ...],
    *,
    may_patch: bool,
    exceeds: bool,
):
    """From the pod alone, and what was written to it: also where only events or earlier records told the cause.

    And nothing is written to a pod that says the same by itself.
    """
    server = Server(life)
    owner = Owner(server, by, events=events, may_patch=may_patch)
    owner.take(PodCreated(server.pod, 0.0))
    for action in script:
        if not owner.is_settled:
            owner.do(action)
    outcome, known = owner.settle(), snapshot_of(owner.state)
    assume(outcome is not None)
    assert outcome is not None
    assert known is not None
    # The watch was not behind: what it had not shown, a successor may read off the pod.
    assume(known.pod.status == server.pod.status)
    assume(known.pod.metadata.deletion_timestamp == server.pod.metadata.deletion_timestamp)
    if exceeds:
        server.exceed_deadline()
    assert not says_otherwise(outcome, adopt(server, by).settle())
    if server.forget_outcome() and may_patch and not server.has_deadline:
        successor = adopt(server, by)
        is_over_alone = not isinstance(successor.state, Active | Terminating)
        assert not is_over_alone or says_otherwise(outcome, successor.settle())
