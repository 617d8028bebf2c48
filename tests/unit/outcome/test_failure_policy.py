"""The user's rules on retrying, applied to outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.config import FailureRule
from podrunner.errors import ServerError
from podrunner.outcome import Category, Fault, Outcome, apply_failure_policy, classify, refused_by_api
from podrunner.outcome.record import Pod
from tests.support.pods import condition, disrupted, ended, pod, runs

FAILED = pod("Failed", ended("base", 42), ended("side", 3), init=(ended("setup", 0),))
EVICTED = pod(
    "Failed",
    ended("base", 143),
    reason="Evicted",
    conditions=(disrupted("TerminationByKubelet"), condition("Ready", "False")),
)


def rule(name: str = "mine", action: str = "retry", **fields: Any) -> FailureRule:
    return FailureRule.from_mapping({"name": name, "action": action, **fields})


def judged(record: Pod, *rules: FailureRule, **how: Any) -> Outcome:
    outcome = classify(record, **how)
    assert outcome is not None
    return apply_failure_policy(rules, outcome, record)


def decided_by(outcome: Outcome) -> list[tuple[str, str]]:
    return [(item.name, item.reason) for item in outcome.evidence if item.source == "failure-policy"]


MATCHES = {
    "the deciding container's code": ({"on_exit_codes": {"values": [41, 42]}}, True),
    "another code": ({"on_exit_codes": {"values": [3]}}, False),
    "not in": ({"on_exit_codes": {"operator": "NotIn", "values": [0, 3]}}, True),
    "not in, but it is": ({"on_exit_codes": {"operator": "NotIn", "values": [42]}}, False),
    "a sidecar's code": ({"on_exit_codes": {"container": "side", "values": [3]}}, True),
    "an init container that ended with 0": (
        {"on_exit_codes": {"container": "setup", "operator": "NotIn", "values": [9]}},
        False,
    ),
    "a container that is not there": (
        {"on_exit_codes": {"container": "x", "operator": "NotIn", "values": [9]}},
        False,
    ),
    "its category": ({"on_categories": ["image", "failed"]}, True),
    "another category": ({"on_categories": ["image"]}, False),
    "its fault": ({"on_faults": ["unknown", "workload"]}, True),
    "another fault": ({"on_faults": ["unknown"]}, False),
    "its reason": ({"on_reasons": ["OOMKilled", "Error"]}, True),
    "another reason": ({"on_reasons": ["OOMKilled"]}, False),
    "a condition that it has not": ({"on_pod_conditions": [{"type": "DisruptionTarget"}]}, False),
    "both": ({"on_reasons": ["Error"], "on_exit_codes": {"values": [42]}}, True),
    "only one of both": ({"on_reasons": ["Error"], "on_exit_codes": {"values": [1]}}, False),
}


@pytest.mark.parametrize(("fields", "matches"), MATCHES.values(), ids=MATCHES)
def test_a_rule_applies_when_all_that_it_names_holds(fields: dict[str, Any], *, matches: bool):
    """Off, one by one: each line of `_applies`."""
    outcome = judged(FAILED, rule(**fields))
    assert outcome.retryable is matches
    assert decided_by(outcome) == ([("mine", "retry")] if matches else [])


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({"type": "DisruptionTarget"}, True),
        ({"type": "Ready"}, False),
        ({"type": "Ready", "status": "False"}, True),
    ],
)
def test_a_condition_counts_with_its_status(pattern: dict[str, str], *, matches: bool):
    outcome = judged(EVICTED, rule(action="fail", on_pod_conditions=[{"type": "x"}, pattern]))
    assert outcome.retryable is not matches


def test_the_first_rule_that_applies_decides():
    """As in a Job's podFailurePolicy."""
    keep = rule("keep", "default", on_exit_codes={"values": [42]})
    later = rule("later", "retry", on_categories=["failed"])
    assert decided_by(judged(FAILED, keep, later)) == [("keep", "default")]
    assert not judged(FAILED, keep, later).retryable
    assert judged(FAILED, later, keep).retryable
    assert judged(EVICTED, rule("keep", "default", on_categories=["evicted"])).retryable


@pytest.mark.parametrize(
    ("record", "how"),
    [
        (pod("Succeeded", ended("base")), {}),
        (pod("Failed", ended("base", 143), deleted_at=8), {"cancelled": True}),
    ],
)
def test_no_rule_is_about_a_success_or_what_its_owner_ended(record: Pod, how: dict[str, Any]):
    any_code = rule(on_exit_codes={"operator": "NotIn", "values": [0]})
    any_reason = rule("r", on_reasons=["Completed", "Error"])
    outcome = judged(record, any_code, any_reason, **how)
    assert not outcome.retryable
    assert decided_by(outcome) == []


def test_a_workload_without_a_pod_is_judged_too():
    refused = refused_by_api(ServerError(status=503, reason="ServiceUnavailable"))
    rules = (
        rule("a", on_exit_codes={"operator": "NotIn", "values": [1]}),
        rule("b", "fail", on_categories=["rejected-by-api"]),
    )
    outcome = apply_failure_policy(rules, refused, None)
    assert refused.retryable
    assert not outcome.retryable
    assert decided_by(outcome) == [("b", "fail")]


_RULES = st.builds(
    rule,
    name=st.sampled_from(["a", "b"]),
    action=st.sampled_from(["retry", "fail", "default"]),
    on_reasons=st.lists(st.sampled_from(["Error", "Evicted", "Completed"]), max_size=2),
    on_categories=st.lists(st.sampled_from(["failed", "evicted", "unknown"]), min_size=1, max_size=2),
)
_RECORDS = st.sampled_from([FAILED, EVICTED, pod("Succeeded", ended("base")), pod("Failed", runs("base"))])


@given(_RECORDS, st.lists(_RULES, max_size=4))
def test_rules_change_nothing_but_the_verdict_on_retrying(record: Pod, rules: list[FailureRule]):
    """The category, the fault and the rest are the truth, and stay."""
    plain = classify(record)
    assert plain is not None
    outcome = apply_failure_policy(rules, plain, record)
    assert replace(outcome, retryable=plain.retryable, evidence=plain.evidence) == plain
    assert outcome.evidence[: len(plain.evidence)] == plain.evidence
    assert len(decided_by(outcome)) <= 1
    assert outcome.category is not Category.SUCCEEDED or outcome == plain
    assert isinstance(outcome.fault, Fault | None)
