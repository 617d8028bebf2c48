"""Any legal history of a pod has exactly one outcome, and it is the expected one."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from podrunner.outcome import NO_HISTORY, Category, Fault, classify, remember
from podrunner.outcome.record import Pod
from tests.support.pod_strategies import pods
from tests.support.pods import disrupted, ended, pod, runs, waits

EARLY = (
    pod("Pending", node=None),
    pod("Pending", waits("base", "ContainerCreating")),
    pod("Pending", waits("base", "ErrImagePull")),
    pod("Pending", waits("base", "ImagePullBackOff")),
    pod("Pending", waits("base", "PodInitializing"), init=(runs("setup"),)),
)
RUNNING = (
    pod("Running", runs("base", ready=False)),
    pod("Running", runs("base")),
    pod("Unknown", runs("base")),
)


@dataclass(frozen=True)
class Life:
    """Records in the order in which a watch reports them, and the expected outcome."""

    records: tuple[Pod, ...]
    vanishes: bool
    meant: Category
    started: bool


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Draw a history: some pending states, perhaps a run, an end, perhaps with states repeated or missed."""
    early = draw(st.lists(st.sampled_from(EARLY), max_size=4))
    begun = draw(st.booleans())
    running = draw(st.lists(st.sampled_from(RUNNING), min_size=1, max_size=3)) if begun else []
    last, vanishes, meant = draw(st.sampled_from(_ends(begun=begun)))
    records = early + running + ([last] if last is not None else [])
    if not records:
        records = [EARLY[0]]
    # A pod with a node that goes without its kubelet's final phase may have begun.
    is_unseen = last is None and records[-1].spec.node_name is not None
    return Life(tuple(records), vanishes, meant, begun or is_unseen or meant is Category.SUCCEEDED)


def _ends(*, begun: bool) -> list[tuple[Pod | None, bool, Category]]:
    if not begun:
        return [
            (None, True, Category.DELETED_BY_OTHERS),
            (pod("Failed", reason="Evicted"), False, Category.EVICTED),
            (pod("Failed", reason="OutOfmemory"), False, Category.REJECTED_BY_NODE),
            (
                pod("Failed", conditions=(disrupted("PreemptionByScheduler"),), deleted_at=9),
                True,
                Category.PREEMPTED,
            ),
            (pod("Failed", waits("base", "x"), init=(ended("setup", 1),)), False, Category.INIT_FAILED),
        ]
    return [
        (None, True, Category.DELETED_BY_OTHERS),
        (pod("Succeeded", ended("base")), False, Category.SUCCEEDED),
        (pod("Running", ended("base"), runs("side")), False, Category.SUCCEEDED),
        (pod("Failed", ended("base", 1)), False, Category.FAILED),
        (pod("Failed", ended("base", 137, reason="OOMKilled")), False, Category.OOM_KILLED),
        (pod("Failed", ended("base", 143), deleted_at=9, grace_s=0), True, Category.DELETED_BY_OTHERS),
        (pod("Failed", reason="NodeLost"), False, Category.NODE_LOST),
    ]


@given(lives(), st.data())
def test_every_life_has_exactly_one_outcome(life: Life, data: st.DataObject):
    """W3, W5: whatever was repeated or missed on the way, None until the end, then the one that was meant."""
    repeats = data.draw(st.lists(st.integers(1, 3), min_size=len(life.records), max_size=len(life.records)))
    seen = [record for record, times in zip(life.records, repeats, strict=True) for _ in range(times)]
    previous = None
    history = NO_HISTORY
    outcomes = set()
    for record in seen:
        history = remember(history, record, before=previous)
        outcome = classify(record, history=history)
        if outcome is not None:
            outcomes.add((outcome.category, outcome.started))
        previous = record
    if life.vanishes:
        last = classify(seen[-1], vanished=True, history=history)
        assert last is not None
        outcomes.add((last.category, last.started))
    if life.meant is Category.DELETED_BY_OTHERS and seen[-1].status.phase == "Unknown":
        assert outcomes == {(Category.NODE_LOST, life.started)}
    else:
        assert outcomes == {(life.meant, life.started)}


@given(pods(), st.booleans(), st.booleans())
def test_no_record_whatever_breaks_it(record: Pod, vanished: bool, cancelled: bool):  # noqa: FBT001  # drawn
    """P5, W11: also what no kubelet should write is classified, and what vanished always is."""
    outcome = classify(record, vanished=vanished, cancelled=cancelled)
    if vanished:
        assert outcome is not None
    if outcome is not None:
        assert (outcome.fault is None) == (outcome.category is Category.SUCCEEDED)
        assert outcome.retryable == (outcome.fault is Fault.INFRASTRUCTURE)
        assert outcome.message
