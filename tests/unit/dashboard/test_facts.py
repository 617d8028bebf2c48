"""The board's lines: the words and the classes of colour of ``podrunner get``."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from podrunner.cli.pod_table import style_of
from podrunner.cli.rows import row_of
from podrunner.dashboard.facts import row
from podrunner.gantt.records import PodRecord, record_of
from podrunner.outcome.record import Pod
from podrunner.shown import Look, look_of
from podrunner.workload import WorkloadKey
from tests.support.pods import pod, runs, waits
from tests.support.shown_pods import ALL, BACK_OFF, keyed

NOW = datetime(2026, 1, 1, 0, 12, tzinfo=UTC)
COLOURS = {"running": "green", "waits": "yellow", "over": "dim", "trouble": "red"}
LEAVING = keyed(pod("Running", runs("base"), deleted_at=5), {"run": "leaving"})
CREATED = keyed(pod("Pending", waits("base", "ContainerCreating", "")), {"run": "created"})


@pytest.mark.parametrize("shown", [*ALL, LEAVING, CREATED], ids=lambda each: each.metadata.name)
def test_a_pod_has_the_key_the_status_and_the_colour_that_get_shows(shown: Pod) -> None:
    listed, line = row_of(shown, now=NOW), row(record_of(shown, seen_s=0), shown)
    assert (line["key"], line["status"]) == (listed.identity.key, listed.status)
    assert COLOURS[line["look"]] == style_of(listed)


def test_a_pod_that_needs_a_look_has_a_mark_also_without_an_outcome() -> None:
    """Colour never stands alone."""
    line = row(record_of(BACK_OFF, seen_s=0), BACK_OFF)
    assert (line["look"], line["mark"], line["category"]) == ("trouble", "!", "")


@pytest.mark.parametrize(
    ("category", "status", "look"),
    [("", "Queued", "waits"), ("rejected-by-api", "rejected-by-api", "trouble")],
)
def test_a_pod_that_does_not_exist_is_queued_or_says_its_category(category, status, look) -> None:
    line = row(PodRecord(key="k", category=category), None)
    assert (line["status"], line["look"]) == (status, look)


def test_an_outcome_that_the_last_record_does_not_show_is_the_status() -> None:
    """Of a pod on a lost node the record says Running for ever."""
    last = keyed(pod("Running", runs("base")), {"run": "crawl"})
    line = row(PodRecord(key="crawl", category="node-lost"), last)
    assert (line["status"], line["look"]) == ("node-lost", "trouble")


@pytest.mark.parametrize(
    ("status", "look"),
    [
        ("Init:0/2", Look.WAITS),
        ("Init:ImagePullBackOff", Look.TROUBLE),
        ("Init:CrashLoopBackOff", Look.TROUBLE),
        ("Init:Error", Look.TROUBLE),
        ("CreateContainerConfigError", Look.TROUBLE),
        ("Unknown", Look.TROUBLE),
        ("SchedulingGated", Look.WAITS),
    ],
)
def test_what_will_not_come_by_itself_is_trouble(status, look) -> None:
    assert look_of(status, succeeded=None) is look


def test_a_credential_as_the_only_part_of_a_key_is_hidden() -> None:
    """Its name says what it is, though only the value would be shown."""
    record = record_of(None, seen_s=0, key=WorkloadKey({"password": "hunter2hunter2"}))
    assert "hunter2" not in record.key
