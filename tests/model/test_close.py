"""Closing a runner, exhaustively: from each state that a life can reach, by each policy, in each order of answers.

The states, the steps and what closing counts as delivered are the code's own (``lifecycle.step``, ``closing_counts``).
The order in which a close goes through them is ``Engine.close``'s: what is idle is waited for, then what counts is
delivered, then what follows on that is waited for, and in the end every pod is left.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from podrunner.runner import delivery
from podrunner.runner.effects import Effect, EndPod, Enrich, Job, MarkReported, RemovePod, TimedEffect
from podrunner.runner.inputs import (
    DeletionAnswered,
    Input,
    LogDrained,
    OutcomeEnriched,
    OutcomeRecorded,
    OutcomeTaken,
    PodCreated,
    PodGone,
    PodObserved,
    RunnerClosed,
    TerminationRequested,
)
from podrunner.runner.lifecycle import TABLE, step
from podrunner.runner.states import Creating, Rules, State, Undelivered, is_gone, outcome_of
from tests.unit.runner.lives import FAILED, OUTCOME, PENDING, RUNNING, SUCCEEDED, rules
from tests.unit.runner.test_lifecycle_random import ANSWERS

MODES: tuple[delivery.DeliveryMode, ...] = ("taken", "acknowledged")
POLICIES = ("drain", "cancel", "detach")
SETTINGS = (rules(delete_pods=False), rules(delete_pods=True, delete_pods_on_failure=True))
JOBS = 3
"""Jobs of one pod at once, at most; a world with more is not followed."""
SEEN = tuple(PodObserved(record) for record in (RUNNING, SUCCEEDED, FAILED))


class World(NamedTuple):
    """A pod's life, the jobs under way, and what became of the pod.

    Attributes:
        state: The code's own.
        jobs: What takes time, not answered yet.
        is_taken: Whether a reader took the outcome.
        is_drained: Whether the log was read to its end.
        is_concluded: Whether the pod was deleted for good after its end, or marked as reported.
    """

    state: State
    jobs: tuple[Job, ...] = ()
    is_taken: bool = False
    is_drained: bool = False
    is_concluded: bool = False


def sent(world: World, given: Input) -> World | None:
    """Returns the world after an input; None: it is not legal now."""
    if type(given) not in TABLE[type(world.state)]:
        return None
    state, effects = step(world.state, given)
    jobs = (*world.jobs, *(effect for effect in effects if isinstance(effect, TimedEffect)))
    drained = world.is_drained or isinstance(given, LogDrained)
    concluded = world.is_concluded or any(isinstance(effect, RemovePod | MarkReported) for effect in effects)
    if concluded and not world.is_concluded and not is_gone(world.state):
        assert drained, "a pod was concluded before its log was read"
    return world._replace(state=state, jobs=jobs, is_drained=drained, is_concluded=concluded)


def answer(job: Effect) -> Input | None:
    if isinstance(job, EndPod):
        return OutcomeRecorded() if job.is_settled else DeletionAnswered()
    return OutcomeEnriched(OUTCOME) if isinstance(job, Enrich) else ANSWERS.get(type(job))


def key(world: World) -> str:
    """Returns what tells a world from others; records hold lists, so they have no hash."""
    return repr((replace(world.state, rules=None), world[1:]))


def following(world: World) -> list[World]:
    """Returns what one more answer can lead to."""
    found = []
    for number, job in enumerate(world.jobs):
        rest = world._replace(jobs=world.jobs[:number] + world.jobs[number + 1 :])
        given = answer(job)
        after = rest if given is None else sent(rest, given)
        found.append(rest if after is None else after)
    if any(isinstance(job, EndPod) and not job.is_settled for job in world.jobs):
        found.append(sent(world, PodObserved(FAILED)) or world)
    return found


def reached(start: World, more: tuple[Input, ...] = ()) -> list[World]:
    """Returns all worlds that answers, and these inputs, lead to."""
    known, fresh = {key(start): start}, [start]
    while fresh:
        world = fresh.pop()
        inputs = [after for given in more if (after := sent(world, given)) is not None]
        taken = sent(world, OutcomeTaken()) if more and outcome_of(world.state) is not None else None
        if taken is not None:
            inputs.append(taken._replace(is_taken=True))
        for after in (*following(world), *inputs):
            if key(after) not in known and len(after.jobs) <= JOBS:
                known[key(after)] = after
                fresh.append(after)
    return list(known.values())


def lives(by: Rules) -> list[World]:
    """Returns every world that a pod's life reaches before its runner is closed."""
    created = sent(World(Creating(rules=by)), PodCreated(PENDING, 0.0))
    assert created is not None
    return reached(created, (*SEEN, PodGone(), TerminationRequested()))


def closed(world: World, policy: str, *, counts: bool) -> list[World]:
    """Returns all worlds in which the runner is closed by a policy."""
    if policy == "detach":
        return [after for after in [sent(world, RunnerClosed())] if after is not None]
    begun = sent(world, TerminationRequested()) if policy == "cancel" else world
    ends = (*SEEN, PodGone()) if policy == "drain" else (PodObserved(FAILED), PodGone())
    idle = [each for each in reached(begun or world, ends) if not each.state.is_open]
    delivered: list[World] = []
    for each in idle:
        taken = sent(each, OutcomeTaken()) if counts and each.state.is_undelivered else each
        delivered += [end for end in reached(taken or each) if not end.state.is_open]
    return [after for end in delivered if (after := sent(end, RunnerClosed())) is not None]


def broken(mode: delivery.DeliveryMode, policy: str, *, is_clean: bool) -> Counter[str]:
    """Returns how often closing broke a promise, by the promise."""
    counts = delivery.closing_counts(mode, is_drain=policy == "drain", is_clean=is_clean)
    found: Counter[str] = Counter()
    is_counted = mode == "taken" and policy == "drain" and is_clean  # the table of the documentation
    for by in SETTINGS:
        for world in lives(by):
            for end in closed(world, policy, counts=counts):
                found["worlds"] += 1
                is_read = world.is_taken or end.is_taken
                if end.is_concluded and not (is_read or is_counted or world.is_concluded):
                    found["a pod went with an outcome that no reader took"] += 1
                if is_counted and isinstance(end.state, Undelivered):
                    found["a clean drain left an undelivered pod"] += 1
                if not end.state.is_done and not world.is_concluded:
                    found["closing left a pod's life open"] += 1
    return found


@pytest.mark.parametrize(("mode", "policy", "is_clean"), tuple(product(MODES, POLICIES, (True, False))))
def test_what_no_reader_took_goes_only_by_a_clean_drain(
    mode: delivery.DeliveryMode, policy: str, *, is_clean: bool, record_property
):
    found = broken(mode, policy, is_clean=is_clean)
    record_property("model", f"close by {policy}, {mode}, clean={is_clean}: {found['worlds']} worlds\n")
    assert found.pop("worlds") > 0
    assert found == {}


def test_closing_that_counts_after_an_error_is_found(monkeypatch: pytest.MonkeyPatch, record_property):
    """A rule switched off: neither an error nor the mode matters."""
    monkeypatch.setattr(delivery, "closing_counts", lambda _mode, *, is_drain, is_clean: is_drain)
    found = broken("taken", "drain", is_clean=False)
    record_property("model", f"switched off: closing counts only after a clean end\n{dict(found)}\n")
    assert found["a pod went with an outcome that no reader took"] > 0
