"""Each rule of the table decides in at least one case, and says exactly what is written here.

A new rule gets a case here, by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from podrunner.outcome import Category, Outcome, classify
from podrunner.outcome.record import Event, Pod
from podrunner.outcome.rules import RULES
from tests.support.pods import disrupted, ended, pod, runs, waits


class Case(NamedTuple):
    """A rule's name, what is known, and what the outcome says."""

    rule: str
    record: Pod
    category: Category
    message: str
    reason: str | None = None
    container: str | None = "base"
    exit_code: int | None = None
    started: bool = True
    knowledge: Mapping[str, Any] = MappingProxyType({})


GONE: dict[str, Any] = {"vanished": True}
SIGTERM = ended("base", 143)
NODE_LOST = {"reason": "NodeLost", "message": "silent"}
BY_SIGKILL = "was ended by signal 9 (SIGKILL), exit code 137"
NO_END = "the pod is over (phase Failed) without an end of its main container: "

CASES = [
    Case(
        "the main container succeeded",
        pod("Succeeded", ended("base")),
        Category.SUCCEEDED,
        "container base ended with exit code 0",
        "Completed",
        exit_code=0,
    ),
    Case(
        "the main container succeeded",
        pod("Succeeded"),
        Category.SUCCEEDED,
        "container base ended",
        knowledge={"cancelled": True},
    ),
    Case(
        "its owner ended it",
        pod("Running", runs("base")),
        Category.CANCELLED,
        "cancelled by its owner; container base had started",
        knowledge=GONE | {"cancelled": True},
    ),
    Case(
        "its owner ended it",
        pod("Pending", node=None),
        Category.CANCELLED,
        "cancelled by its owner before its work started",
        started=False,
        knowledge=GONE | {"cancelled": True},
    ),
    Case(
        "its owner ended it",
        pod("Failed", SIGTERM, deleted_at=8),
        Category.CANCELLED,
        "cancelled by its owner; container base had started",
        exit_code=143,
        knowledge={"cancelled": True},
    ),
    Case(
        "a disruption ended it",
        pod(
            "Failed",
            SIGTERM,
            conditions=(disrupted("PreemptionByScheduler", message="urgent"),),
            deleted_at=8,
        ),
        Category.PREEMPTED,
        "PreemptionByScheduler: urgent",
        "PreemptionByScheduler",
        container=None,
        exit_code=143,
    ),
    Case(
        "a disruption ended it",
        pod(
            "Failed", SIGTERM, conditions=(disrupted("DeletionByTaintManager", message="gone"),), deleted_at=8
        ),
        Category.NODE_LOST,
        "DeletionByTaintManager: gone",
        "DeletionByTaintManager",
        container=None,
        exit_code=143,
        knowledge={"events": [Event(reason="NodeNotReady", message="silent")]},
    ),
    Case(
        "the pod itself says why",
        pod("Failed", reason="NodeAffinity", message="no such label"),
        Category.REJECTED_BY_NODE,
        "NodeAffinity: no such label",
        "NodeAffinity",
        container=None,
        started=False,
    ),
    Case(
        "the pod itself says why",
        pod("Failed", SIGTERM, deleted_at=8, **NODE_LOST),
        Category.NODE_LOST,
        "NodeLost: silent",
        "NodeLost",
        container=None,
        exit_code=143,
    ),
    Case(
        "the pod itself says why",
        pod("Failed", ended("base", 3), **NODE_LOST),
        Category.NODE_LOST,
        "NodeLost: silent",
        "NodeLost",
        container=None,
        exit_code=3,
    ),
    Case(
        "an event says why it was deleted",
        pod("Running", runs("base")),
        Category.PREEMPTED,
        "Preempted: by another pod",
        "Preempted",
        container=None,
        knowledge=GONE | {"events": [Event(reason="Preempted", message="by another pod")]},
    ),
    Case(
        "an event says why it was deleted",
        pod("Failed", SIGTERM, deleted_at=8),
        Category.PREEMPTED,
        "Preempted: by another pod",
        "Preempted",
        container=None,
        exit_code=143,
        knowledge={"events": [Event(reason="Preempted", message="by another pod")]},
    ),
    Case(
        "deleted before its end",
        pod("Failed", SIGTERM, reason="SomeReason", deleted_at=8),
        Category.DELETED_BY_OTHERS,
        "deleted by another client (it had started; phase Failed)",
        "SomeReason",
        exit_code=143,
    ),
    Case(
        "out of memory",
        pod("Failed", ended("base", 137, reason="OOMKilled")),
        Category.OOM_KILLED,
        "container base was OOM-killed by signal 9 (SIGKILL), exit code 137 (OOMKilled)",
        "OOMKilled",
        exit_code=137,
    ),
    Case(
        "its node refused it",
        pod("Failed", reason="SomeReason", message="not here"),
        Category.REJECTED_BY_NODE,
        "SomeReason: not here",
        "SomeReason",
        container=None,
        started=False,
    ),
    Case(
        "its node refused it",
        pod("Failed", waits("base", "SomeWait"), reason="SomeReason", message="some words"),
        Category.REJECTED_BY_NODE,
        "SomeReason: some words",
        "SomeReason",
        container=None,
        started=False,
    ),
    Case(
        "its container was lost",
        pod("Failed", ended("base", 137, reason="ContainerStatusUnknown")),
        Category.NODE_LOST,
        f"container base {BY_SIGKILL} (ContainerStatusUnknown)",
        "ContainerStatusUnknown",
        exit_code=137,
        started=False,
    ),
    Case(
        "it could not start",
        pod("Failed", ended("base", 127, reason="ContainerCannotRun")),
        Category.CONTAINER_CONFIG,
        "container base ended with exit code 127 (ContainerCannotRun)",
        "ContainerCannotRun",
        exit_code=127,
        started=False,
    ),
    Case(
        "its exit code cannot be read",
        pod("Succeeded", ended("base", None)),
        Category.UNKNOWN,
        "container base ended, and its exit code cannot be read (the pod's phase is Succeeded)",
        "Completed",
    ),
    Case(
        "the main container failed",
        pod("Failed", ended("base", 3)),
        Category.FAILED,
        "container base ended with exit code 3",
        "Error",
        exit_code=3,
    ),
    # It had ended by itself before its node was lost: before the deletion, or before the disruption.
    Case(
        "the main container failed",
        pod("Failed", ended("base", 3), deleted_at=12, **NODE_LOST),
        Category.FAILED,
        "container base ended with exit code 3",
        "Error",
        exit_code=3,
    ),
    Case(
        "the main container failed",
        pod("Failed", ended("base", 3), conditions=(disrupted("DeletionByPodGC", second=12),), **NODE_LOST),
        Category.FAILED,
        "container base ended with exit code 3",
        "Error",
        exit_code=3,
    ),
    Case(
        "an init container failed",
        pod("Failed", init=(ended("prepare", 1),)),
        Category.INIT_FAILED,
        "container prepare ended with exit code 1",
        "Error",
        "prepare",
        exit_code=1,
        started=False,
    ),
    Case(
        "an init container failed",
        pod("Failed", init=(ended("prepare", 137, reason="OOMKilled"),)),
        Category.OOM_KILLED,
        "container prepare was OOM-killed by signal 9 (SIGKILL), exit code 137 (OOMKilled)",
        "OOMKilled",
        "prepare",
        exit_code=137,
        started=False,
    ),
    Case(
        "an init container failed",
        pod("Failed", init=(ended("prepare", 137, reason="ContainerStatusUnknown"),)),
        Category.NODE_LOST,
        f"container prepare {BY_SIGKILL} (ContainerStatusUnknown)",
        "ContainerStatusUnknown",
        "prepare",
        exit_code=137,
        started=False,
    ),
    Case(
        "its node was silent when it went",
        pod("Unknown", runs("base")),
        Category.NODE_LOST,
        "NodeLost: its node stopped reporting",
        knowledge=GONE,
    ),
    Case(
        "its node was silent when it went",
        pod("Unknown", runs("base"), reason="NodeUnreachable", message="quiet"),
        Category.NODE_LOST,
        "NodeUnreachable: quiet",
        "NodeUnreachable",
        knowledge=GONE,
    ),
    Case(
        "gone before its end",
        pod("Pending", node=None),
        Category.DELETED_BY_OTHERS,
        "deleted by another client (before its work started; phase Pending)",
        started=False,
        knowledge=GONE,
    ),
    Case(
        "gone before its end",
        pod("Pending"),
        Category.DELETED_BY_OTHERS,
        "deleted by another client (it may have started, its end was not seen; phase Pending)",
        knowledge=GONE,
    ),
    Case(
        "over for no reason given",
        pod("Failed"),
        Category.UNKNOWN,
        NO_END + "nothing was said",
        started=False,
        knowledge=GONE | {"cancelled": True},
    ),
]


def rule_that_decided(outcome: Outcome) -> str:
    return next(evidence.name for evidence in outcome.evidence if evidence.source == "rule")


def test_each_rule_has_a_case_in_the_order_of_the_table():
    tested = list(dict.fromkeys(case.rule for case in CASES))
    assert {rule.name for rule in RULES} - {*tested} == set(), "rules without a case"
    assert tested == [rule.name for rule in RULES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_the_rule_decides_its_case(case: Case):
    outcome = classify(case.record, **case.knowledge)
    assert outcome is not None
    assert (rule_that_decided(outcome), outcome.category, outcome.message) == (
        case.rule,
        case.category,
        case.message,
    )
    assert (outcome.reason, outcome.container, outcome.exit_code, outcome.started) == (
        case.reason,
        case.container,
        case.exit_code,
        case.started,
    )
