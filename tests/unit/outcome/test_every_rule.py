"""Each rule of the table decides in at least one case, and says exactly what is written here.

A new rule gets a case here, by its name.
"""

from __future__ import annotations

from typing import Any

import pytest
from podrunner.outcome import Category, Outcome, classify
from podrunner.outcome.record import Event, Pod
from podrunner.outcome.rules import RULES
from tests.support.pods import disrupted, ended, pod, runs

GONE = {"vanished": True}

CASES: dict[str, tuple[Pod, dict[str, Any], Category, str]] = {
    "the main container succeeded": (
        pod("Succeeded", ended("base")),
        {},
        Category.SUCCEEDED,
        "container base ended with exit code 0",
    ),
    "its owner ended it": (
        pod("Running", runs("base")),
        {"vanished": True, "cancelled": True},
        Category.CANCELLED,
        "cancelled by its owner; container base had started",
    ),
    "a disruption ended it": (
        pod(
            "Failed",
            ended("base", 143),
            conditions=(disrupted("PreemptionByScheduler", message="for a better one"),),
            deleted_at=8,
        ),
        {},
        Category.PREEMPTED,
        "PreemptionByScheduler: for a better one",
    ),
    "the pod itself says why": (
        pod("Failed", reason="NodeAffinity", message="no such label"),
        {},
        Category.REJECTED_BY_NODE,
        "NodeAffinity: no such label",
    ),
    "an event says why it was deleted": (
        pod("Running", runs("base")),
        {"vanished": True, "events": [Event(reason="Preempted", message="by another pod")]},
        Category.PREEMPTED,
        "Preempted: by another pod",
    ),
    "deleted before its end": (
        pod("Failed", ended("base", 143), deleted_at=8),
        {},
        Category.DELETED_BY_OTHERS,
        "deleted by somebody else (it had started; phase Failed)",
    ),
    "out of memory": (
        pod("Failed", ended("base", 137, reason="OOMKilled")),
        {},
        Category.OOM_KILLED,
        "container base was ended by signal 9 (SIGKILL), exit code 137 (OOMKilled)",
    ),
    "its container was lost": (
        pod("Failed", ended("base", 137, reason="ContainerStatusUnknown")),
        {},
        Category.NODE_LOST,
        "container base was ended by signal 9 (SIGKILL), exit code 137 (ContainerStatusUnknown)",
    ),
    "it could not start": (
        pod("Failed", ended("base", 127, reason="ContainerCannotRun")),
        {},
        Category.CONTAINER_CONFIG,
        "container base ended with exit code 127 (ContainerCannotRun)",
    ),
    "the main container failed": (
        pod("Failed", ended("base", 3)),
        {},
        Category.FAILED,
        "container base ended with exit code 3",
    ),
    "an init container failed": (
        pod("Failed", init=(ended("prepare", 1),)),
        {},
        Category.INIT_FAILED,
        "container prepare ended with exit code 1",
    ),
    "its node was silent when it went": (
        pod("Unknown", runs("base")),
        GONE,
        Category.NODE_LOST,
        "NodeLost: its node stopped reporting",
    ),
    "gone before its end": (
        pod("Pending"),
        GONE,
        Category.DELETED_BY_OTHERS,
        "deleted by somebody else (before its work started; phase Pending)",
    ),
    "refused before any container": (
        pod("Failed", reason="SomeNewReason", message="not here"),
        {},
        Category.REJECTED_BY_NODE,
        "SomeNewReason: not here",
    ),
    "over for no reason given": (
        pod("Failed"),
        {},
        Category.UNKNOWN,
        "the pod is over (phase Failed) without an end of its main container: nothing was said",
    ),
}


def rule_that_decided(outcome: Outcome) -> str:
    return next(evidence.name for evidence in outcome.evidence if evidence.source == "rule")


def test_each_rule_has_a_case():
    assert list(CASES) == [rule.name for rule in RULES]


@pytest.mark.parametrize("name", CASES)
def test_the_rule_decides_its_case(name: str):
    record, knowledge, category, message = CASES[name]
    outcome = classify(record, **knowledge)
    assert outcome is not None
    assert (rule_that_decided(outcome), outcome.category, outcome.message) == (name, category, message)
