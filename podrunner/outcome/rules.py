"""The decision table: which facts make which outcome. The first rule that applies concludes.

A rule is a name, a condition and a conclusion, all plain functions of :class:`~podrunner.outcome.facts.Facts`. Order
is meaning: what interrupted a container comes before what the interrupted container said. Assembling the public
record does not belong here.

The reasons and words that they compare, with the source of each, are ``podrunner.outcome.tables``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from podrunner.outcome.category import Category, Fault
from podrunner.outcome.containers import UNSTARTED_REASONS, memory_limit_of
from podrunner.outcome.facts import TERMINATION_BY_KUBELET, past_deadline
from podrunner.outcome.messages import describe_end, sentence
from podrunner.outcome.tables.causes import fault_of_creation, fault_of_status
from podrunner.outcome.tables.nodes import CONTAINER_ENDS, EVENTS, disruption, status_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.outcome.facts import Facts
    from podrunner.outcome.record import ContainerStateTerminated, ContainerStatus, Event

__all__ = ["RULES", "Diagnosis", "Rule", "conclude"]


class Diagnosis(NamedTuple):
    """What a rule concludes; ``fault`` None means the category's usual one."""

    category: Category
    message: str
    reason: str | None = None
    fault: Fault | None = None
    container: str | None = None
    end: ContainerStateTerminated | None = None


class Rule(NamedTuple):
    """One row of the table."""

    name: str
    applies: Callable[[Facts], bool]
    conclude: Callable[[Facts], Diagnosis]


_KUBELETS_REASONS = frozenset({"Evicted", "Preempting", "NodeShutdown", "Shutdown", "Terminated"})
"""Reasons with which the kubelet says why it ended the containers itself: no time can contradict them."""

_OUT_OF_MEMORY, _LOST_CONTAINER = (
    frozenset(entry.reason for entry in CONTAINER_ENDS.values() if entry.category is category)
    for category in (Category.OOM_KILLED, Category.NODE_LOST)
)
_BY_TAINT = frozenset({"TaintManagerEviction", "DeviceTaintManagerEviction"})


# --- what is asked ---------------------------------------------------------------------------------------------


def _main_succeeded(facts: Facts) -> bool:
    ended_well = facts.end.exit_code == 0 if facts.end is not None else facts.phase == "Succeeded"
    return ended_well and not (facts.by_owner and facts.interrupted) and not _cut_short(facts)


def _cut_short(facts: Facts) -> bool:
    """Whether the kubelet's SIGTERM ended it: what exits 0 on that has not done its work, and the pod is Failed.

    Only where the pod is Failed for no other cause. A kubelet since 1.27 calls a pod Succeeded whose containers all
    ended with 0, though it had evicted it: then that is the truth, as for the Job controller (kubernetes issue 120182).
    """
    if facts.phase != "Failed" or facts.end is None:
        return False
    if facts.status_reason == "DeadlineExceeded":
        return past_deadline(facts.pod, facts.end.finished_at) is True
    alone = len(facts.pod.spec.containers or facts.pod.status.container_statuses or ()) == 1
    return alone and facts.status_reason in _KUBELETS_REASONS


def _ended_by_owner(facts: Facts) -> bool:
    unfinished = facts.end is None and facts.phase not in {"Succeeded", "Failed"}
    return facts.by_owner and (facts.interrupted or unfinished)


def _disrupted(facts: Facts) -> bool:
    """Whether any controller disrupted it; the kubelet's own disruptions have the pod's own reason."""
    reason = facts.disruption.reason if facts.disruption is not None else None
    return facts.interrupted and bool(reason) and reason != TERMINATION_BY_KUBELET


def _status_category(facts: Facts) -> Category | None:
    known = status_reason(facts.status_reason)
    return None if known is None else known.category


def _ended_by_itself_before(facts: Facts) -> bool:
    """Whether the main container had provably ended before the event that the pod's reason names."""
    if facts.end is None or facts.status_reason in _KUBELETS_REASONS:
        return False
    if facts.status_reason == "DeadlineExceeded":
        return past_deadline(facts.pod, facts.end.finished_at) is False
    return (facts.being_deleted or facts.disruption is not None) and not facts.interrupted


def _pod_says_why(facts: Facts) -> bool:
    return _status_category(facts) is not None and not _ended_by_itself_before(facts)


def _event_category(facts: Facts) -> Category | None:
    reasons = {event.reason for event in facts.events if _explains_a_deletion(event)}
    return next((entry.category for entry in EVENTS.values() if entry.reason in reasons), None)


def _explains_a_deletion(event: Event) -> bool:
    """Whether an event says that the pod was deleted, or will be.

    Not one that calls it off, nor the preemption of a pod that has no node yet: the scheduler queues it again (1.37).
    """
    called_off = event.message.startswith("Cancel") or "(in kube-scheduler memory)" in event.message
    return event.reason in EVENTS and not called_off


def _deleted_before_its_end(facts: Facts) -> bool:
    return facts.being_deleted and facts.interrupted


def _deletion_explained(facts: Facts) -> bool:
    unended = facts.end is None and facts.failed_init is None
    if facts.vanished and unended:
        return _event_category(facts) is not None
    # A node that reported the container's end was not lost: it was not ready for a while, at the most.
    lost = _event_category(facts) is Category.NODE_LOST and not _evicted_by_taint(facts)
    return _deleted_before_its_end(facts) and _event_category(facts) is not None and (unended or not lost)


def _evicted_by_taint(facts: Facts) -> bool:
    return any(event.reason in _BY_TAINT for event in facts.events)


def _main_end_reason(reasons: frozenset[str]) -> Callable[[Facts], bool]:
    return lambda facts: facts.end is not None and facts.end.reason in reasons


def _end_is_unreadable(facts: Facts) -> bool:
    """Whether neither an exit code nor the phase says how it ended: a phase Succeeded alone is no evidence."""
    return facts.end is not None and facts.end.exit_code is None and facts.phase != "Failed"


def _node_silent(facts: Facts) -> bool:
    return facts.vanished and facts.end is None and facts.phase == "Unknown"


def _gone_unended(facts: Facts) -> bool:
    return facts.vanished and facts.phase not in {"Succeeded", "Failed"}


def _refused(facts: Facts) -> bool:
    """Whether the kubelet refused the pod with a reason that no table has.

    A kubelet that starts anew may refuse a pod that it had admitted. A container that it does not find is then
    ``ContainerStatusUnknown`` (kubernetes issue 134186).
    """
    failed = facts.failed_init.state.terminated if facts.failed_init is not None else None
    ends = [end for end in (facts.end, failed) if end is not None and end.reason not in _LOST_CONTAINER]
    return facts.phase == "Failed" and bool(facts.status_reason) and not ends


# --- what is concluded -----------------------------------------------------------------------------------------


def _of_main(category: Category) -> Callable[[Facts], Diagnosis]:
    return lambda facts: _of_container(facts, category, facts.main_name, facts.end)


def _of_container(
    facts: Facts, category: Category, name: str, end: ContainerStateTerminated | None
) -> Diagnosis:
    reason = end.reason if end is not None else None
    fault = None
    if category is Category.CONTAINER_CONFIG and end is not None:
        fault = fault_of_creation(end.reason or "", end.message)
    said = describe_end(name, end, memory_limit=memory_limit_of(facts.pod, name))
    return Diagnosis(category, said, reason=reason, fault=fault, container=name or None, end=end)


def _cancelled(facts: Facts) -> Diagnosis:
    where = f"; container {facts.main_name} had started" if facts.started else " before its work started"
    if facts.is_unseen:
        where = f"; container {facts.main_name or '(unknown)'} may have started"
    return Diagnosis(
        Category.CANCELLED,
        f"cancelled by its owner{where}",
        container=facts.main_name or None,
        end=facts.end,
    )


def _by_disruption(facts: Facts) -> Diagnosis:
    found = facts.disruption
    assert found is not None
    category = disruption(found.reason or "").category
    if category is Category.EVICTED and _event_category(facts) is Category.NODE_LOST:
        category = Category.NODE_LOST
    return Diagnosis(category, sentence(found.reason, found.message), reason=found.reason, end=facts.end)


def _by_status(facts: Facts) -> Diagnosis:
    category = _status_category(facts)
    assert category is not None
    message = facts.pod.status.message
    return Diagnosis(
        category,
        sentence(facts.status_reason, message),
        reason=facts.status_reason,
        fault=fault_of_status(facts.status_reason, message),
        end=facts.end,
    )


def _by_event(facts: Facts) -> Diagnosis:
    category = _event_category(facts)
    assert category is not None
    deletions = [event for event in facts.events if _explains_a_deletion(event)]
    found = next(event for event in reversed(deletions) if EVENTS[event.reason].category is category)
    return Diagnosis(category, sentence(found.reason, found.message), reason=found.reason, end=facts.end)


def _deleted_by_others(facts: Facts) -> Diagnosis:
    stage = "it had started" if facts.started else "before its work started"
    if facts.is_unseen:
        stage = "it may have started, its end was not seen"
    return Diagnosis(
        Category.DELETED_BY_OTHERS,
        f"deleted by another client ({stage}; phase {facts.phase})",
        reason=facts.status_reason or None,
        container=facts.main_name or None,
        end=facts.end,
    )


def _init_failed(facts: Facts) -> Diagnosis:
    failed = facts.failed_init
    assert failed is not None
    end = failed.state.terminated
    return _of_container(facts, _category_of_init(failed), failed.name, end)


def _category_of_init(failed: ContainerStatus) -> Category:
    end = failed.state.terminated
    reason = (end.reason if end is not None else None) or ""
    if reason in CONTAINER_ENDS:
        return CONTAINER_ENDS[reason].category
    return Category.CONTAINER_CONFIG if reason in UNSTARTED_REASONS else Category.INIT_FAILED


def _node_lost(facts: Facts) -> Diagnosis:
    return Diagnosis(
        Category.NODE_LOST,
        sentence(facts.status_reason or "NodeLost", facts.pod.status.message or "its node stopped reporting"),
        reason=facts.status_reason or None,
        container=facts.main_name or None,
    )


def _by_refusal(facts: Facts) -> Diagnosis:
    message = facts.pod.status.message
    return Diagnosis(
        Category.REJECTED_BY_NODE,
        sentence(facts.status_reason, message),
        reason=facts.status_reason,
        fault=fault_of_status(facts.status_reason, message),
    )


def _unreadable(facts: Facts) -> Diagnosis:
    found = _of_container(facts, Category.UNKNOWN, facts.main_name, facts.end)
    return found._replace(message=f"{found.message} (the pod's phase is {facts.phase})")


def _unknown(facts: Facts) -> Diagnosis:
    said = sentence(None, facts.pod.status.message) or "nothing was said"
    return Diagnosis(
        Category.UNKNOWN,
        f"the pod is over (phase {facts.phase}) without an end of its main container: {said}",
        container=facts.main_name or None,
    )


RULES: tuple[Rule, ...] = (
    Rule("the main container succeeded", _main_succeeded, _of_main(Category.SUCCEEDED)),
    Rule("its owner ended it", _ended_by_owner, _cancelled),
    Rule("a disruption ended it", _disrupted, _by_disruption),
    Rule("the pod itself says why", _pod_says_why, _by_status),
    Rule("an event says why it was deleted", _deletion_explained, _by_event),
    Rule("deleted before its end", _deleted_before_its_end, _deleted_by_others),
    Rule("out of memory", _main_end_reason(_OUT_OF_MEMORY), _of_main(Category.OOM_KILLED)),
    Rule("its node refused it", _refused, _by_refusal),
    Rule("its container was lost", _main_end_reason(_LOST_CONTAINER), _of_main(Category.NODE_LOST)),
    Rule("it could not start", _main_end_reason(UNSTARTED_REASONS), _of_main(Category.CONTAINER_CONFIG)),
    Rule("its exit code cannot be read", _end_is_unreadable, _unreadable),
    Rule("the main container failed", lambda facts: facts.end is not None, _of_main(Category.FAILED)),
    Rule("an init container failed", lambda facts: facts.failed_init is not None, _init_failed),
    Rule("its node was silent when it went", _node_silent, _node_lost),
    Rule("gone before its end", _gone_unended, _deleted_by_others),
    Rule("over for no reason given", lambda _facts: True, _unknown),
)
"""The table, in order of weight. Its last rule always applies."""


def conclude(facts: Facts) -> tuple[str, Diagnosis]:
    """Return the name of the first rule that applies, and what it concludes."""
    rule = next(rule for rule in RULES if rule.applies(facts))
    return rule.name, rule.conclude(facts)
