"""The judge finds what it is there to find: each rule is broken, and nothing else is found than that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.processes.delivery.judge import RULES, Exhibits, judge
from tests.processes.delivery.plan import COMBINATIONS, Round
from tests.processes.delivery.witness import SeenPod

SECOND_NS = 1_000_000_000


def outcome(attempt, **changes) -> dict[str, Any]:
    """What is stored of an attempt's true outcome."""
    told = {"category": "succeeded", "exit_code": attempt.exit_code, "started": True}
    if attempt.exit_code:
        told["category"] = "oom-killed" if attempt.too_large else "failed"
    return told | changes


def flawless(*, keeps_failed: bool = False, has_runs: bool = False) -> Exhibits:
    """A round as it should be."""
    plan = replace(Round.of(0, 200), keeps_failed=keeps_failed, has_runs=has_runs)
    journal, effects, pods, logs = [], [], [], {}
    for attempt in plan.attempts:
        where = {"task": attempt.task, "attempt": attempt.number, "uid": f"uid-{attempt.place}"}
        told = outcome(attempt)
        journal += [
            {"what": "begun", **where},
            {"what": "outcome", **where, "outcome": told, "said": "…", "at_ns": SECOND_NS, "life": 0},
        ]
        effects.append(where)
        reason = "OOMKilled" if attempt.too_large else "Error" if attempt.exit_code else "Completed"
        stays = keeps_failed and attempt.exit_code != 0
        pods.append(
            SeenPod(
                uid=where["uid"],
                name=f"pod-{attempt.place}",
                key=f'{{"round":"0","task":"{attempt.task}"}}',
                attempt=str(attempt.number),
                seen_ns=attempt.number,
                owners=["runner-1"],
                terminated={"exitCode": attempt.exit_code, "reason": reason},
                removed_ns=2 * SECOND_NS,
                reported=told["category"] if stays else None,
                gone=not stays,
            )
        )
        logs[attempt.place] = attempt.log
    return Exhibits(plan=plan, journal=journal, effects=effects, pods=pods, logs=logs)


def found(exhibits: Exhibits) -> set[str]:
    return {violation.rule for violation in judge(exhibits)}


@pytest.mark.parametrize("keeps_failed", [False, True])
def test_a_flawless_round_has_no_violation(keeps_failed):
    assert judge(flawless(keeps_failed=keeps_failed)) == []


def delivery(exhibits: Exhibits) -> dict[str, Any]:
    """The first delivery of a task of one attempt."""
    return next(
        record
        for record in exhibits.journal
        if record["what"] == "outcome" and len(exhibits.plan.tries(record["task"])) == 1
    )


def second_pod(exhibits: Exhibits) -> None:
    """The first attempt ran again, before its first pod's outcome was stored."""
    first = exhibits.pods[0]
    exhibits.pods.append(replace(first, uid="again"))
    exhibits.effects.append({**exhibits.effects[0], "uid": "again"})
    delivery(exhibits)["uid"] = "again"


def second_effect(exhibits: Exhibits) -> None:
    """A container was started twice."""
    exhibits.effects.append(exhibits.effects[0])


def unseen_pod(exhibits: Exhibits) -> None:
    """An effect that no pod explains."""
    exhibits.effects[0]["uid"] = "unseen"


def lost_outcome(exhibits: Exhibits) -> None:
    """It was never stored."""
    exhibits.journal.remove(delivery(exhibits))


def wrong_category(exhibits: Exhibits) -> None:
    delivery(exhibits)["outcome"]["category"] = "unknown"


def outcome_without_a_pod(exhibits: Exhibits) -> None:
    """A refusal of what runs."""
    exhibits.journal.append({**delivery(exhibits), "uid": ""})


def another_outcome(exhibits: Exhibits) -> None:
    """The successor reports another reason."""
    first = delivery(exhibits)
    exhibits.journal.append({**first, "outcome": {**first["outcome"], "reason": "Other"}})


def deleted_too_early(exhibits: Exhibits) -> None:
    exhibits.pods[0].removed_ns = SECOND_NS // 2


def torn_log(exhibits: Exhibits) -> None:
    long = max(exhibits.logs, key=lambda place: len(exhibits.logs[place]))
    exhibits.logs[long].pop(10)


def repeated_line(exhibits: Exhibits) -> None:
    long = max(exhibits.logs, key=lambda place: len(exhibits.logs[place]))
    exhibits.logs[long].insert(10, exhibits.logs[long][9])


def pod_left(exhibits: Exhibits) -> None:
    exhibits.pods[0].gone = False


def unplanned_pod(exhibits: Exhibits) -> None:
    exhibits.pods.append(replace(exhibits.pods[0], attempt="9", removed_ns=None))


BROKEN = [
    (second_pod, {"one pod", "one effect", "kept until stored"}),
    (second_effect, {"one effect"}),
    (unseen_pod, {"one effect"}),
    (lost_outcome, {"delivered", "kept until stored"}),
    (wrong_category, {"true"}),
    (outcome_without_a_pod, {"true", "repeated alike"}),
    (another_outcome, {"repeated alike"}),
    (deleted_too_early, {"kept until stored"}),
    (torn_log, {"whole logs"}),
    (repeated_line, {"whole logs"}),
    (pod_left, {"nothing left"}),
    (unplanned_pod, {"unplanned"}),
]


@pytest.mark.parametrize(("wrong", "rules"), BROKEN)
def test_each_rule_finds_its_violation(wrong: Callable[[Exhibits], None], rules: set[str]):
    exhibits = flawless()
    wrong(exhibits)
    assert found(exhibits) == rules


def test_a_retained_pod_without_its_mark_is_found():
    exhibits = flawless(keeps_failed=True)
    next(pod for pod in exhibits.pods if not pod.gone).reported = None
    assert found(exhibits) == {"nothing left"}


@pytest.mark.parametrize("has_runs", [False, True])
def test_a_run_may_lose_the_outcome_of_a_try_that_has_a_next_one(has_runs):
    """Of attempts that the scheduler submits itself none may be lost."""
    exhibits = flawless(has_runs=has_runs)
    second = next(attempt for attempt in exhibits.plan.attempts if attempt.number == 2)
    lost = (second.task, 1)
    exhibits.journal[:] = [
        each
        for each in exhibits.journal
        if each["what"] == "begun" or (each["task"], each["attempt"]) != lost
    ]
    assert found(exhibits) == (set() if has_runs else {"delivered", "kept until stored"})


def test_a_run_must_not_lose_its_last_outcome():
    exhibits = flawless(has_runs=True)
    lost_outcome(exhibits)
    assert found(exhibits) == {"delivered", "kept until stored"}


def test_each_rule_is_broken_above():
    """A new rule needs a case."""
    assert len(set().union(*(rules for _, rules in BROKEN))) == len(RULES)


def test_five_rounds_have_all_combinations_and_each_scheduler_but_the_last_a_fuse():
    rounds = [Round.of(seed, 200) for seed in range(5)]
    assert [(plan.style, plan.mode) for plan in rounds] == [*COMBINATIONS]
    for plan in rounds:
        assert len(plan.attempts) == 200
        assert len({attempt.place for attempt in plan.attempts}) == 200
        assert [life.fuse is None for life in plan.lives] == [False] * (len(plan.lives) - 1) + [True]


def test_a_seed_is_always_the_same_round():
    assert Round.of(17, 200) == Round.of(17, 200)
    assert Round.of(17, 200) != Round.of(22, 200)
