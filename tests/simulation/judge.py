"""Whether what a runner says of a pod is the truth: that its work began, whose fault its end was, and why."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from podrunner.outcome import Category
from podrunner.runner import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.outcome import Outcome
    from podrunner.runner import RunnerEvent
    from tests.simulation.world import Truth

__all__ = ["check_whether_it_began", "check_words", "shown_words"]

_COMPARED = 60
"""Characters of a message that are looked for: long ones are cut."""


def check_whether_it_began(uid: str, truth: Truth, outcome: Outcome) -> None:
    """P10, P14: what had begun is so called, whatever a later status shows.

    A pod that another client removed may be gone before any record of its start was seen: then it may have begun.
    """
    said = (uid, truth, outcome)
    assert truth.started or not outcome.started or "may have started" in outcome.message, said
    if outcome.category in truth.categories:
        assert outcome.started or not truth.started, said


def shown_words(events: Iterable[RunnerEvent]) -> dict[str, list[str]]:
    """Return what events said of each pod while it waited."""
    shown = defaultdict(list)
    for event in events:
        if event.kind is EventKind.STATUS_CHANGED and event.message:
            shown[event.uid].append(event.message)
    return shown


def check_words(
    uid: str, truth: Truth, outcome: Outcome, *, shown: Iterable[str], is_peaceful: bool = False
) -> None:
    """P13, P14, P15: the outcome has the component's words, and the fault that they mean.

    Args:
        uid: The pod.
        truth: What became of it.
        outcome: What the runner says.
        shown: What the runner said while the pod waited. What it knew then, the outcome does not forget.
        is_peaceful: Whether every request was answered, and every change was seen: then the words are known.
    """
    if outcome.category not in truth.categories or not truth.words:
        return
    words = truth.words[:_COMPARED]
    # The status of a container that was killed has no words: those of the event belong into the message.
    evidence = () if outcome.category is Category.FAILED else outcome.evidence
    texts = (outcome.message, *(item.message for item in evidence))
    has_words = any(words in text for text in texts)
    must_have = is_peaceful or any(words in text for text in shown)
    assert has_words or not must_have, (uid, truth, outcome)
    faults = truth.faults if has_words else {truth.unsaid}
    assert outcome.fault in faults, (uid, truth, outcome)
