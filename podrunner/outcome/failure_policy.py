"""The user's own rules on retrying, applied to an outcome. Pure.

A rule changes an outcome's ``retryable`` and says so in the evidence. What became of the pod, and whose fault it was,
is the truth, and stays. The rules as settings are ``podrunner.config.failure_policy``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from podrunner.outcome.category import Category
from podrunner.outcome.containers import all_statuses
from podrunner.outcome.result import Evidence, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.config.failure_policy import FailureRule, OnExitCodes, OnPodCondition
    from podrunner.outcome.record import Pod

__all__ = ["apply_failure_policy"]

_BEYOND_RULES = frozenset({Category.SUCCEEDED, Category.CANCELLED})
_RETRYABLE = {"retry": True, "fail": False}


def apply_failure_policy(rules: Iterable[FailureRule], outcome: Outcome, pod: Pod | None) -> Outcome:
    """Return the outcome with the verdict of the first rule that applies; itself if none does.

    Args:
        rules: In their order.
        outcome: What became of the pod.
        pod: Its last record; None if there never was one.
    """
    if outcome.category in _BEYOND_RULES:
        return outcome
    rule = next((rule for rule in rules if _applies(rule, outcome, pod)), None)
    if rule is None:
        return outcome
    retryable = _RETRYABLE.get(rule.action, outcome.retryable)
    evidence = Evidence(source="failure-policy", name=rule.name, reason=rule.action)
    return replace(outcome, retryable=retryable, evidence=(*outcome.evidence, evidence))


def _applies(rule: FailureRule, outcome: Outcome, pod: Pod | None) -> bool:
    return (
        (not rule.on_categories or str(outcome.category) in rule.on_categories)
        and (not rule.on_faults or str(outcome.fault) in rule.on_faults)
        and (not rule.on_reasons or outcome.reason in rule.on_reasons)
        and (rule.on_exit_codes is None or _has_exit_code(rule.on_exit_codes, outcome, pod))
        and (not rule.on_pod_conditions or _has_condition(rule.on_pod_conditions, pod))
    )


def _has_exit_code(wanted: OnExitCodes, outcome: Outcome, pod: Pod | None) -> bool:
    code = outcome.exit_code if wanted.container is None else _exit_code_of(wanted.container, pod)
    return bool(code) and (code in wanted.values) == (wanted.operator == "In")


def _exit_code_of(container: str, pod: Pod | None) -> int | None:
    ends = (
        (status.state.terminated for status in all_statuses(pod) if status.name == container) if pod else ()
    )
    return next((end.exit_code for end in ends if end is not None), None)


def _has_condition(patterns: Iterable[OnPodCondition], pod: Pod | None) -> bool:
    conditions = {(item.type, item.status) for item in (pod.status.conditions if pod else None) or ()}
    return any((pattern.type, pattern.status) in conditions for pattern in patterns)
