"""Percentiles are values that were measured; a stage counts for the pods that passed both its ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.bench.marks import STAGES, Marks, Percentiles, percentiles, samples_of


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5], Percentiles(1, 5, 5, 5, 5)),
        ([2, 1], Percentiles(2, 1, 2, 2, 2)),
        (range(1, 101), Percentiles(100, 50, 90, 99, 100)),
        (range(1, 1001), Percentiles(1000, 500, 900, 990, 1000)),
    ],
)
def test_percentiles_are_by_nearest_rank(values, expected):
    assert percentiles(values) == expected


def test_no_values_have_no_percentiles():
    assert percentiles([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_measured_values_in_order(values):
    found = percentiles(values)
    assert {found.p50, found.p90, found.p99, found.max} <= {*values}
    assert found.p50 <= found.p90 <= found.p99 <= found.max == max(values)
    assert sum(value <= found.p90 for value in values) >= 0.9 * len(values)


def test_stages_lie_between_their_marks():
    marks = Marks(
        submitted=1.0,
        create_sent=1.5,
        created=1.75,
        scheduled=2.0,
        running=2.75,
        ended=4.0,
        delivered=4.25,
        log_complete=4.5,
        deleted=5.0,
    )
    assert samples_of([marks]) == {
        "queue": [0.5],
        "create": [0.25],
        "scheduled": [0.5],
        "running": [1.0],
        "done": [1.5],
        "outcome delivered": [0.25],
        "log complete": [0.5],
        "deleted": [0.75],
    }


def test_a_pod_that_did_not_get_so_far_is_left_out():
    assert samples_of([Marks(submitted=1.0)]) == {name: [] for name in STAGES}


def test_a_stage_is_never_negative():
    """A log may be complete before the server's own clock noted the end."""
    assert samples_of([Marks(ended=2.0, log_complete=1.9)])["log complete"] == [0.0]


def test_without_the_servers_clock_its_stamps_count():
    marks = Marks(create_sent=1.0, created_stamp_s=100.0, scheduled_stamp_s=102.0)
    assert samples_of([marks])["scheduled"] == [2.0]
