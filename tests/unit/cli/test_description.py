"""``describe``: the stages of a pod's life as a bar, and the page about it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.cells import width_of
from podrunner.cli.description import Description, Owner, lines_of
from podrunner.cli.rows import row_of
from podrunner.cli.stages_bar import StageSpan, bar_of, legend_of, stages_of
from podrunner.outcome.record import Event, ObjectReference
from tests.support.pods import at, condition, ended, pod, runs
from tests.support.shown_pods import OOM, UNSCHEDULABLE, keyed

NOW = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
SCHEDULED = condition("PodScheduled", last_transition_time=at(10))
PULL = [
    Event(reason="Pulling", message="Pulling image", first_timestamp=at(12), last_timestamp=at(12)),
    Event(reason="Pulled", message="Pulled image", first_timestamp=at(42), last_timestamp=at(42)),
]


def _spans(found, events=PULL, *, is_over: bool) -> list[tuple[str, float, bool]]:
    return [tuple(span) for span in stages_of(found, events, now=NOW, is_over=is_over)]


def test_a_running_pod_has_come_through_each_stage() -> None:
    running = pod("Running", runs("base", since=50), conditions=(SCHEDULED,))
    assert _spans(running, is_over=False) == [
        ("queued", 10, False),
        ("scheduled", 2, False),
        ("pulling", 30, False),
        ("starting", 8, False),
        ("running", 70, True),
    ]


def test_a_pod_that_ended_runs_no_longer() -> None:
    over = pod("Failed", ended("base", 1, begin=50, end=60), conditions=(SCHEDULED,))
    assert _spans(over, is_over=True)[-1] == ("running", 10, False)


def test_a_pod_that_is_being_deleted_says_since_when() -> None:
    leaving = pod("Running", runs("base", since=50), conditions=(SCHEDULED,), deleted_at=100, grace_s=30)
    assert _spans(leaving, is_over=False)[-2:] == [("running", 50, False), ("deleting", 20, True)]


def test_a_container_that_ends_in_its_grace_period_ends_no_stage() -> None:
    leaving = pod("Failed", ended("base", 143, begin=50, end=104), deleted_at=100, grace_s=30)
    assert _spans(leaving, is_over=True)[-2:] == [("running", 50, False), ("deleting", 20, True)]


def test_a_pod_without_a_node_is_queued_alone() -> None:
    assert _spans(UNSCHEDULABLE, [], is_over=False) == [("queued", 120, True)]


def test_an_image_that_was_there_has_no_pulling() -> None:
    present = [Event(reason="Pulled", message="already present", last_timestamp=at(12))]
    running = pod("Running", runs("base", since=50), conditions=(SCHEDULED,))
    assert [name for name, _, _ in _spans(running, present, is_over=False)] == [
        "queued",
        "scheduled",
        "running",
    ]


def test_a_pull_for_a_restart_is_not_one_of_the_start() -> None:
    late = [Event(reason="Pulling", last_timestamp=at(90)), Event(reason="Pulled", last_timestamp=at(95))]
    running = pod("Running", runs("base", since=50), conditions=(SCHEDULED,))
    assert "pulling" not in [name for name, _, _ in _spans(running, late, is_over=False)]


def test_clocks_that_disagree_give_no_negative_stage() -> None:
    odd = pod("Running", runs("base", since=5), conditions=(SCHEDULED,))
    assert all(seconds >= 0 for _, seconds, _ in _spans(odd, is_over=False))


SPANS = [StageSpan("queued", 10), StageSpan("pulling", 30), StageSpan("running", 80, is_present=True)]


def test_a_bar_shows_shares_and_a_legend_says_them() -> None:
    assert bar_of(SPANS, width=12) == "·▒▒▒████████"
    assert legend_of(SPANS) == ["· queued 10s", "▒ pulling 30s", "█ running 80s…"]


def test_a_terminal_without_unicode_has_a_bar_too() -> None:
    assert bar_of(SPANS, width=12, is_ascii=True) == ".~~~########"
    assert legend_of(SPANS, is_ascii=True)[-1] == "# running 80s..."


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6), st.integers(6, 200))
def test_a_bar_is_as_wide_as_asked_for(seconds, width) -> None:
    names = ["queued", "scheduled", "pulling", "starting", "running", "deleting"]
    spans = [StageSpan(name, length) for name, length in zip(names, seconds, strict=False)]
    expected = width if any(length > 0 for length in seconds) else 0
    assert len(bar_of(spans, width=width)) == expected


def _described(found, **more) -> Description:
    facts = {
        "owner": Owner("runner-1", "default", "held", is_detached=False),
        "stages": SPANS,
        "events": [],
        "log": None,
        **more,
    }
    return Description(row=row_of(found, now=NOW), pod=found, now=NOW, **facts)


def test_a_page_says_what_why_and_by_which_evidence() -> None:
    lines = lines_of(_described(OOM, log=["last words"]), width=80)
    assert lines[:5] == [
        "Key        dag_id=nightly_warehouse,task_id=join",
        "Try        2",
        "Pod        default/nightly_warehouse-join-2f00",
        "UID        uid-nightly_warehouse-join-2f00",
        "Node       node-1",
    ]
    text = "\n".join(lines)
    assert "Owner      runner-1 (lease held, scope default)" in text
    assert "Outcome    oom-killed (fault: workload): container base was OOM-killed (limit" in text
    assert "Evidence   rule " in text
    assert "Stages     ·" in text
    assert lines[-2:] == ["Log", "  last words"]


def test_a_pod_that_waits_says_for_what() -> None:
    text = "\n".join(lines_of(_described(UNSCHEDULABLE), width=200))
    assert "Why        Unschedulable: 2 of 5 nodes: Insufficient memory" in text
    assert "Outcome" not in text


def test_events_say_how_often_and_warnings_stand_out() -> None:
    events = [
        Event(type="Normal", reason="Pulled", message="ok", last_timestamp=at(60)),
        Event(type="Warning", reason="BackOff", message="again\nand again", count=7, last_timestamp=at(110)),
    ]
    lines = lines_of(_described(OOM, events=events), width=80)
    assert lines[-3:] == ["Events", "      60s  Pulled: ok", "!     10s  BackOff (x7): again and again"]


def test_of_many_events_the_last_are_shown() -> None:
    events = [Event(reason=f"E{number}", last_timestamp=at(number)) for number in range(20)]
    lines = lines_of(_described(OOM, events=events), width=80)
    assert "Events (8 older ones are not shown)" in lines
    assert lines[-1].endswith("E19:")


@pytest.mark.parametrize(
    ("owner", "said"),
    [
        (Owner(None, None, "none", is_detached=False), "none: podrunner did not make this pod"),
        (Owner("r", "x", "absent", is_detached=True), "none: left running by podrunner run --detach"),
        (Owner("r", "x", "expired", is_detached=False), "r (lease expired, scope x)"),
    ],
)
def test_an_owner_is_said(owner, said) -> None:
    assert str(owner).startswith(said)


@pytest.mark.parametrize("width", [40, 60, 80, 200, None])
def test_no_line_is_wider_than_the_terminal(width) -> None:
    found = keyed(pod("Failed", ended("base", 1)), {"dag_id": "d" * 90, "task_id": "日本" * 20})
    events = [Event(reason="R", message="m " * 200, involved_object=ObjectReference(), last_timestamp=at(1))]
    lines = lines_of(_described(found, events=events, log=["x" * 500]), width=width)
    assert max(width_of(line) for line in lines) <= (width or 120)


def test_the_page_is_json_too() -> None:
    document = _described(OOM, log=["a"]).to_dict()
    assert document["outcome"]["category"] == "oom-killed"
    assert document["stages"][0] == {"stage": "queued", "seconds": 10, "present": False}
    assert document["owner"]["name"] == "runner-1"
    assert document["log"] == ["a"]


@pytest.mark.timeout(60)
def test_a_line_of_megabytes_is_shown_by_its_beginning() -> None:
    """A progress bar draws itself without line ends: ``\\r 10% ██``."""
    bar = "\r 10% ██" * 5_000_000
    lines = lines_of(_described(OOM, log=[bar, " " * 20_000 + "x", "end"]), width=80)
    assert lines[-3].startswith("  10% ██ 10% ██")
    assert lines[-3].endswith("…")
    assert [line.strip() for line in lines[-2:]] == ["…", "end"]
    assert max(map(width_of, lines)) <= 80
