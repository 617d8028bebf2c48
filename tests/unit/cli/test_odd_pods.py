"""Whatever times and numbers a server writes into a pod, each command shows it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from podrunner.cells import width_of
from podrunner.cli.description import Description, Owner, lines_of
from podrunner.cli.pod_table import table_of
from podrunner.cli.rows import row_of
from podrunner.cli.stages_bar import stages_of
from podrunner.cli.table import PodTable
from podrunner.gantt import TimelineChart
from podrunner.gantt.records import record_of
from podrunner.outcome.record import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStatus,
    Event,
    Pod,
)
from tests.support.pods import condition, pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = st.sampled_from(
    [
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
        *("2026-01-01T00:00:00", "2026-01-01", "2026-02-30T00:00:00Z", "2026-01-01T00:00:60Z", "", "x", None),
        *("2025-12-31T23:00:00Z", "1969-12-31T23:59:59Z", "2025-12-31T23:00:00.123456789Z"),
    ]
)
SECONDS = st.sampled_from([None, 0, 30, -1, 2**31, 2**63 - 1, -(2**63)])
TEXTS = st.sampled_from(["", "Error", "é" * 300, "a\nb\x1b[2J", "日本" * 90])
STATES = st.one_of(
    st.builds(ContainerState, running=st.builds(ContainerStateRunning, started_at=TIMES)),
    st.builds(
        ContainerState,
        terminated=st.builds(
            ContainerStateTerminated,
            exit_code=st.sampled_from([0, 1, 137, 143]),
            reason=TEXTS,
            started_at=TIMES,
            finished_at=TIMES,
        ),
    ),
    st.just(ContainerState()),
)


@st.composite
def pods(draw) -> Pod:
    status = ContainerStatus(name="base", state=draw(STATES), last_state=draw(STATES))
    conditions = tuple(
        replace(
            condition(kind, draw(st.sampled_from(["True", "False"])), reason=draw(TEXTS)),
            last_transition_time=draw(TIMES),
        )
        for kind in ("PodScheduled", "Initialized", "DisruptionTarget")
    )
    phase = draw(st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]))
    found = pod(phase, status, conditions=conditions)
    meta = replace(
        found.metadata,
        creation_timestamp=draw(TIMES),
        deletion_timestamp=draw(TIMES),
        deletion_grace_period_seconds=draw(SECONDS),
    )
    spec = replace(found.spec, active_deadline_seconds=draw(SECONDS))
    return replace(
        found,
        metadata=meta,
        spec=spec,
        status=replace(found.status, start_time=draw(TIMES), reason=draw(TEXTS)),
    )


EVENTS = st.lists(
    st.builds(
        Event,
        reason=st.sampled_from(["Pulling", "Pulled", "Failed"]),
        message=TEXTS,
        first_timestamp=TIMES,
        last_timestamp=TIMES,
        event_time=TIMES,
    ),
    max_size=3,
)


@pytest.mark.filterwarnings("error")
@given(pods(), EVENTS, st.integers(1, 100))
def test_any_pod_is_shown_in_each_form(found, events, width):
    row = row_of(found, now=NOW)
    assert all(width_of(line) <= width for line in table_of([row], wide=True, width=width))
    assert PodTable(wide=True, now=lambda: NOW).lines([found])
    described = Description(
        row=row,
        pod=found,
        owner=Owner(None, None, "none", is_detached=False),
        stages=stages_of(found, events, now=NOW, is_over=row.outcome is not None),
        events=events,
        log=None,
        now=NOW,
    )
    assert lines_of(described, width=width)
    assert described.to_dict()
    assert TimelineChart([record_of(found, seen_s=NOW.timestamp())]).text()
