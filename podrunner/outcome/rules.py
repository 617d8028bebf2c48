"""The decision table: which facts make which outcome. The first rule that applies concludes.

A rule is a name, a condition and a conclusion, all plain functions of :class:`~podrunner.outcome.facts.Facts`. Order
is meaning: what interrupted a container comes before what the interrupted container said. Assembling the public
record does not belong here.

Sources of the reasons: the kubelet's eviction, preemption, shutdown and lifecycle packages; KEP-3329 for
``DisruptionTarget``; the taint-eviction and pod garbage collector controllers.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from podrunner.outcome.category import Category, Fault
from podrunner.outcome.containers import UNSTARTED_REASONS
from podrunner.outcome.facts import past_deadline
from podrunner.outcome.messages import describe_end, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


DISRUPTIONS: Mapping[str, Category] = MappingProxyType(
    {
        "PreemptionByScheduler": Category.PREEMPTED,
        "EvictionByEvictionAPI": Category.EVICTED,
        "DeletionByTaintManager": Category.EVICTED,
        "DeletionByDeviceTaintManager": Category.EVICTED,
        "DeletionByPodGC": Category.NODE_LOST,
    }
)
"""Reasons of the ``DisruptionTarget`` condition; ``TerminationByKubelet`` is left to the pod's own reason, which comes
with it."""

STATUS_REASONS: Mapping[str, Category] = MappingProxyType(
    {
        "Evicted": Category.EVICTED,
        "Preempting": Category.PREEMPTED,
        "Preempted": Category.PREEMPTED,
        "NodeLost": Category.NODE_LOST,
        "NodeShutdown": Category.NODE_LOST,
        "Shutdown": Category.NODE_LOST,
        "Terminated": Category.NODE_LOST,
        "DeadlineExceeded": Category.DEADLINE,
        "UnexpectedAdmissionError": Category.REJECTED_BY_NODE,
        "NodeAffinity": Category.REJECTED_BY_NODE,
        "NodePorts": Category.REJECTED_BY_NODE,
        "NodeName": Category.REJECTED_BY_NODE,
        "TopologyAffinityError": Category.REJECTED_BY_NODE,
        "InvalidNodeInfo": Category.REJECTED_BY_NODE,
        "AppArmor": Category.REJECTED_BY_NODE,
        "SysctlForbidden": Category.REJECTED_BY_NODE,
        "PodFeatureUnsupported": Category.REJECTED_BY_NODE,
        "PodLevelResourcesNotSupported": Category.REJECTED_BY_NODE,
        "SupplementalGroupsPolicyNotSupported": Category.REJECTED_BY_NODE,
        "VolumeAttachmentLimitExceeded": Category.REJECTED_BY_NODE,
        "PodOSNotSupported": Category.REJECTED_BY_NODE,
        "PodOSSelectorNodeLabelDoesNotMatch": Category.REJECTED_BY_NODE,
    }
)
"""Reasons that the kubelet or a controller writes to the pod's own status; ``OutOf…`` is added by prefix."""

_KUBELETS_REASONS = frozenset({"Evicted", "Preempting", "NodeShutdown", "Shutdown", "Terminated"})
"""Reasons with which the kubelet says why it ended the containers itself: no time can contradict them."""

_NEVER_ON_THIS_SPEC = frozenset({"AppArmor", "SysctlForbidden", "PodOSNotSupported"})
_OWN_LIMIT = re.compile(
    r"exceeds the (total )?limit|exceeded its local ephemeral storage limit", re.IGNORECASE
)

EVENTS: Mapping[str, Category] = MappingProxyType(
    {
        "Preempted": Category.PREEMPTED,
        "Evicted": Category.EVICTED,
        "NodeNotReady": Category.NODE_LOST,
        "TaintManagerEviction": Category.EVICTED,
        "DeviceTaintManagerEviction": Category.EVICTED,
    }
)
"""Event reasons that say why a pod was deleted, the strongest first."""

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
    return facts.interrupted and facts.disruption is not None and facts.disruption.reason in DISRUPTIONS


def _status_category(facts: Facts) -> Category | None:
    if facts.status_reason.startswith("OutOf"):
        return Category.REJECTED_BY_NODE
    return STATUS_REASONS.get(facts.status_reason)


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
    return next((category for reason, category in EVENTS.items() if reason in reasons), None)


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


def _node_silent(facts: Facts) -> bool:
    return facts.vanished and facts.end is None and facts.phase == "Unknown"


def _gone_unended(facts: Facts) -> bool:
    return facts.vanished and facts.phase not in {"Succeeded", "Failed"}


def _refused_unseen(facts: Facts) -> bool:
    return facts.phase == "Failed" and bool(facts.status_reason) and facts.main is None


# --- what is concluded -----------------------------------------------------------------------------------------


def _of_main(category: Category) -> Callable[[Facts], Diagnosis]:
    return lambda facts: _of_container(category, facts.main_name, facts.end)


def _of_container(category: Category, name: str, end: ContainerStateTerminated | None) -> Diagnosis:
    reason = end.reason if end is not None else None
    return Diagnosis(category, describe_end(name, end), reason=reason, container=name or None, end=end)


def _cancelled(facts: Facts) -> Diagnosis:
    where = f"container {facts.main_name} had started" if facts.started else "before its work started"
    return Diagnosis(
        Category.CANCELLED,
        f"cancelled by its owner; {where}" if facts.started else f"cancelled by its owner {where}",
        container=facts.main_name or None,
        end=facts.end,
    )


def _by_disruption(facts: Facts) -> Diagnosis:
    found = facts.disruption
    assert found is not None
    category = DISRUPTIONS[found.reason or ""]
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
        fault=_fault_of_status(facts.status_reason, message or ""),
        end=facts.end,
    )


def _fault_of_status(reason: str, message: str) -> Fault | None:
    if reason in _NEVER_ON_THIS_SPEC:
        return Fault.CONFIGURATION
    if reason == "Evicted" and _OWN_LIMIT.search(message):
        return Fault.WORKLOAD
    return None


def _by_event(facts: Facts) -> Diagnosis:
    category = _event_category(facts)
    assert category is not None
    deletions = [event for event in facts.events if _explains_a_deletion(event)]
    found = next(event for event in reversed(deletions) if EVENTS[event.reason] is category)
    return Diagnosis(category, sentence(found.reason, found.message), reason=found.reason, end=facts.end)


def _deleted_by_others(facts: Facts) -> Diagnosis:
    stage = (
        f"it had started; phase {facts.phase}"
        if facts.started
        else f"before its work started; phase {facts.phase}"
    )
    return Diagnosis(
        Category.DELETED_BY_OTHERS,
        f"deleted by another client ({stage})",
        reason=facts.status_reason or None,
        container=facts.main_name or None,
        end=facts.end,
    )


def _init_failed(facts: Facts) -> Diagnosis:
    failed = facts.failed_init
    assert failed is not None
    end = failed.state.terminated
    return _of_container(_category_of_init(failed), failed.name, end)


def _category_of_init(failed: ContainerStatus) -> Category:
    end = failed.state.terminated
    reason = end.reason if end is not None else None
    if reason == "OOMKilled":
        return Category.OOM_KILLED
    if reason == "ContainerStatusUnknown":
        return Category.NODE_LOST
    return Category.CONTAINER_CONFIG if reason in UNSTARTED_REASONS else Category.INIT_FAILED


def _node_lost(facts: Facts) -> Diagnosis:
    return Diagnosis(
        Category.NODE_LOST,
        sentence(facts.status_reason or "NodeLost", facts.pod.status.message or "its node stopped reporting"),
        reason=facts.status_reason or None,
        container=facts.main_name or None,
    )


def _refused(facts: Facts) -> Diagnosis:
    return Diagnosis(
        Category.REJECTED_BY_NODE,
        sentence(facts.status_reason, facts.pod.status.message),
        reason=facts.status_reason,
    )


def _unknown(facts: Facts) -> Diagnosis:
    said = sentence(facts.status_reason, facts.pod.status.message) or "nothing was said"
    return Diagnosis(
        Category.UNKNOWN,
        f"the pod is over (phase {facts.phase}) without an end of its main container: {said}",
        reason=facts.status_reason or None,
        container=facts.main_name or None,
    )


_LOST_CONTAINER = frozenset({"ContainerStatusUnknown"})

RULES: tuple[Rule, ...] = (
    Rule("the main container succeeded", _main_succeeded, _of_main(Category.SUCCEEDED)),
    Rule("its owner ended it", _ended_by_owner, _cancelled),
    Rule("a disruption ended it", _disrupted, _by_disruption),
    Rule("the pod itself says why", _pod_says_why, _by_status),
    Rule("an event says why it was deleted", _deletion_explained, _by_event),
    Rule("deleted before its end", _deleted_before_its_end, _deleted_by_others),
    Rule("out of memory", _main_end_reason(frozenset({"OOMKilled"})), _of_main(Category.OOM_KILLED)),
    Rule("its container was lost", _main_end_reason(_LOST_CONTAINER), _of_main(Category.NODE_LOST)),
    Rule("it could not start", _main_end_reason(UNSTARTED_REASONS), _of_main(Category.CONTAINER_CONFIG)),
    Rule("the main container failed", lambda facts: facts.end is not None, _of_main(Category.FAILED)),
    Rule("an init container failed", lambda facts: facts.failed_init is not None, _init_failed),
    Rule("its node was silent when it went", _node_silent, _node_lost),
    Rule("gone before its end", _gone_unended, _deleted_by_others),
    Rule("refused before any container", _refused_unseen, _refused),
    Rule("over for no reason given", lambda _facts: True, _unknown),
)
"""The table, in order of weight. Its last rule always applies."""


def conclude(facts: Facts) -> tuple[str, Diagnosis]:
    """Return the name of the first rule that applies, and what it concludes."""
    rule = next(rule for rule in RULES if rule.applies(facts))
    return rule.name, rule.conclude(facts)
