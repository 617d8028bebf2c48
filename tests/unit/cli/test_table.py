"""Pods are shown in kubectl's columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from podrunner.cli.table import PodTable, age
from podrunner.outcome.record import ContainerSpec, ObjectMeta, Pod, PodSpec, PodStatus
from tests.support.pods import waits

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "shown"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (172_800, "2d"), (-5, "0s")],
)
def test_an_age_is_short(ago, shown) -> None:
    assert age((NOW - timedelta(seconds=ago)).isoformat(), NOW) == shown


def test_an_unknown_age_says_so() -> None:
    assert age(None, NOW) == "<unknown>"
    assert age("2026-02-30T00:00:00Z", NOW) == "<unknown>"
    assert age("2026-01-01T00:00:00", NOW) == "<unknown>"


def _pod(name: str, node: str | None = None) -> Pod:
    created = (NOW - timedelta(seconds=5)).isoformat()
    return Pod(
        metadata=ObjectMeta(name=name, creation_timestamp=created),
        spec=PodSpec(node_name=node, containers=[ContainerSpec(name="base")]),
        status=PodStatus(),
    )


def test_a_list_has_one_header_and_later_lines_keep_its_columns() -> None:
    table = PodTable(now=lambda: NOW)
    assert table.lines([_pod("a-longer-name"), _pod("b")]) == [
        "NAME            READY   STATUS              RESTARTS   AGE",
        "a-longer-name   0/1     Pending             0          5s",
        "b               0/1     Pending             0          5s",
    ]
    assert table.line(_pod("c")) == "c               0/1     Pending             0          5s"


def test_the_first_line_of_a_watch_brings_the_header() -> None:
    table = PodTable(wide=True, now=lambda: NOW)
    assert table.line(_pod("a", node="node1")) == (
        "NAME   READY   STATUS              RESTARTS   AGE   NODE\n"
        "a      0/1     Pending             0          5s    node1"
    )


def test_what_a_pod_waits_for_stands_at_the_end_of_its_line() -> None:
    """P14: as long as the cluster says it."""
    waiting = replace(
        _pod("a"),
        status=PodStatus(
            container_statuses=[waits("base", "CreateContainerConfigError", 'secret "nope" not found')]
        ),
    )
    table = PodTable(now=lambda: NOW)
    assert table.lines([waiting, _pod("b")]) == [
        "NAME   READY   STATUS                       RESTARTS   AGE   WAITS FOR",
        'a      0/1     CreateContainerConfigError   0          5s    secret "nope" not found',
        "b      0/1     Pending                      0          5s",
    ]
    assert table.line(waiting).endswith('5s    secret "nope" not found')


def test_no_pods_no_header() -> None:
    assert PodTable().lines([]) == []
