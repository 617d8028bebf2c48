"""Where bars and stages are: from records to rows, as numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from podrunner.gantt.chart import TimelineChart
from podrunner.gantt.layout import layout, newest, ticks
from podrunner.gantt.records import Phase, PodRecord, spans_of
from tests.unit.gantt.lives import T0, life


def stages(record: PodRecord, now: float = T0 + 100) -> list[tuple[str, float, float, bool]]:
    return [(str(s.phase), s.begin_s - T0, s.end_s - T0, s.lasts) for s in spans_of(record, now_s=now)]


def test_a_whole_life_has_its_stages_one_after_the_other():
    assert stages(life()) == [
        ("queued", 0, 1, False),
        ("scheduling", 1, 2, False),
        ("creating", 2, 3, False),
        ("running", 3, 8, False),
        ("deleting", 8, 10, False),
    ]


def test_init_containers_come_between_and_what_follows_them_is_creating():
    record = life(initializing=T0 + 2.5, initialized=T0 + 2.75)
    assert [(name, begin, end) for name, begin, end, _ in stages(record)][2:5] == [
        ("creating", 2, 2.5),
        ("initializing", 2.5, 2.75),
        ("creating", 2.75, 3),
    ]


@pytest.mark.parametrize(
    ("known", "last"),
    [
        ({"created": None, "scheduled": None, "started": None}, "queued"),
        ({"scheduled": None, "started": None}, "scheduling"),
        ({"started": None}, "creating"),
        ({}, "running"),
    ],
)
def test_what_lasts_ends_at_the_present(known, last):
    alive = {"finished": None, "deleted": None, "gone": None, "category": ""}
    assert stages(life(**{**alive, **known}), T0 + 60)[-1][0::2] == (last, 60)
    assert stages(life(**{**alive, **known}), T0 + 60)[-1][3]


def test_a_pod_that_never_had_a_node_ends_with_its_deletion():
    record = life(scheduled=None, started=None, finished=None, category="unschedulable")
    assert [name for name, *_ in stages(record)] == ["queued", "scheduling", "deleting"]


def test_stamps_of_several_clocks_never_make_a_stage_negative_or_two_overlap():
    record = life(scheduled=T0 + 0.5, started=T0 + 0.2, finished=T0 + 4)
    found = stages(record)
    assert all(begin <= end for _, begin, end, _ in found)
    assert all(one[2] <= other[1] for one, other in pairwise(found))


STAMPS = (
    "submitted", "created", "scheduled", "initializing", "initialized", "started", "finished", "deleted", "gone",
)  # fmt: skip
times = st.none() | st.floats(min_value=T0, max_value=T0 + 1_000)


@given(
    st.fixed_dictionaries(dict.fromkeys(STAMPS, times)),
    st.sampled_from(["", "succeeded", "evicted", "a-category-of-tomorrow"]),
)  # fmt: skip
def test_any_times_make_ordered_stages_inside_the_chart(known, category):
    record = PodRecord(key="k", category=category, seen=T0 + 500, **known)
    chart = layout([record])
    spans = chart.rows[0].bars[0].spans
    assert all(one.end_s <= other.begin_s for one, other in pairwise(spans))
    assert all(0 <= span.begin_s <= span.end_s <= chart.length_s + 1e-6 for span in spans)


TIMES = (
    "submitted",
    "created",
    "scheduled",
    "initializing",
    "initialized",
    "started",
    "finished",
    "deleted",
    "gone",
)


@given(
    st.dictionaries(st.sampled_from(TIMES), st.floats(allow_nan=False, allow_infinity=False)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "succeeded", "failed"]),
)
@example({"created": -1e308, "finished": 1e308}, 0.0, "failed")
@example({"created": -62_135_596_801.0}, 253_402_300_800.0, "")
def test_any_times_are_drawn_in_all_forms(known, seen, category):
    """A journal is a file: a number in it may be in no year that a calendar has."""
    chart = TimelineChart([PodRecord(key="a", seen=seen, category=category, **known)])
    assert chart.text(width=60)
    assert chart.svg()
    assert chart.html()
    assert chart.to_dict()["length_s"] > 0


def test_the_tries_of_a_key_are_one_row_and_overlap_in_no_lane():
    tries = [life(at=at, attempt=number, uid=f"u{number}") for number, at in ((1, 0), (2, 9), (3, 30))]
    (row,) = layout(tries).rows
    assert [(bar.record.attempt, bar.lane) for bar in row.bars] == [(1, 0), (2, 1), (3, 0)]
    assert row.lanes == 2


def test_keys_of_two_namespaces_are_two_rows_and_rows_go_by_their_beginning():
    chart = layout([life("job=b", at=5), life("job=a", at=9), life("job=a", at=2, namespace="other")])
    assert [(row.namespace, row.key) for row in chart.rows] == [
        ("other", "job=a"),
        ("", "job=b"),
        ("", "job=a"),
    ]
    assert chart.origin_s == T0 + 2


def test_the_last_record_of_a_pod_counts_and_keeps_when_it_was_submitted():
    first = life(started=None, finished=None, deleted=None, gone=None, category="")
    (found,) = newest([first, life(submitted=None, category="evicted", fault="infrastructure")])
    assert (found.category, found.submitted) == ("evicted", T0)


def test_a_record_without_a_uid_gives_way_to_that_of_the_pod():
    queued = life(uid="", created=None, scheduled=None, started=None, finished=None, category="")
    assert [each.category for each in newest([queued, life()])] == ["succeeded"]


def test_a_refused_pod_has_a_bar_of_its_queueing_and_its_mark():
    refused = PodRecord(key="k", submitted=T0, seen=T0 + 1, category="rejected-by-api", fault="configuration")
    (bar,) = layout([refused]).rows[0].bars
    assert ([span.phase for span in bar.spans], bar.mark, bar.tone) == ([Phase.QUEUED], "RA", "configuration")


def test_nothing_makes_an_empty_chart():
    chart = layout([])
    assert (chart.rows, chart.pods, chart.length_s > 0) == ((), 0, True)


@given(st.floats(min_value=0.001, max_value=3e7), st.integers(min_value=2, max_value=20))
def test_an_axis_has_no_more_marks_than_there_is_room_for(length_s, most):
    marks = ticks(length_s, most=most)
    assert 1 <= len(marks) <= most + 1
    assert marks[0] == 0
    assert marks[-1] <= length_s * (1 + 1e-6)
