"""What the executor of Airflow reports of an ended dispatch, and which dispatches are still wanted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from podrunner import WorkloadKey
from podrunner.integrations.airflow.dispatches import (
    Dispatch,
    Dispatches,
    Report,
    TaskRow,
    is_current,
    report_of,
)

TRY = 2


@dataclass
class Ended:
    """As much of an outcome as the decision reads."""

    succeeded: bool


def dispatch(identity: str = "d1", key: str = "task") -> Dispatch:
    return Dispatch(identity, key, WorkloadKey({"task": key, "dispatch": identity}, attempt=TRY))


def row(state: str | None, *, try_number: int = TRY, dispatched: str | None = "d1") -> TaskRow:
    return TaskRow(state, try_number, dispatched)


@pytest.mark.parametrize("state", ["success", "failed", "running", "queued", "restarting", "up_for_retry"])
@pytest.mark.parametrize("succeeded", [True, False])
def test_an_end_is_reported_while_the_task_is_at_this_dispatch(state: str, *, succeeded: bool) -> None:
    wanted = Report.SUCCESS if succeeded else Report.FAILURE
    assert report_of(dispatch(), Ended(succeeded=succeeded), try_number=TRY, row=row(state)) is wanted


@pytest.mark.parametrize("state", ["scheduled", "deferred", "up_for_reschedule", None])
@pytest.mark.parametrize("succeeded", [True, False])
def test_a_task_that_waits_for_another_dispatch_is_left_alone(state: str | None, *, succeeded: bool) -> None:
    assert report_of(dispatch(), Ended(succeeded=succeeded), try_number=TRY, row=row(state)) is Report.NOTHING


@pytest.mark.parametrize(
    "other",
    [row("running", dispatched="d2"), row("running", try_number=3), None],
    ids=["another dispatch", "another try", "gone"],
)
def test_an_end_says_nothing_of_a_task_that_has_gone_on(other: TaskRow | None) -> None:
    assert report_of(dispatch(), Ended(succeeded=False), try_number=TRY, row=other) is Report.NOTHING
    assert not is_current(dispatch(), try_number=TRY, row=other)


def test_a_revoked_dispatch_is_never_reported() -> None:
    revoked = dispatch()
    revoked.is_revoked = True
    assert report_of(revoked, Ended(succeeded=False), try_number=TRY, row=row("running")) is Report.NOTHING


@pytest.mark.parametrize(
    ("state", "wanted"), [("queued", True), ("running", True), ("success", False), (None, False)]
)
def test_a_dispatch_is_current_while_its_task_is_under_way(state: str | None, *, wanted: bool) -> None:
    assert is_current(dispatch(), try_number=TRY, row=row(state)) is wanted


def test_a_key_is_free_only_when_its_last_dispatch_is_gone() -> None:
    """A sensor in reschedule mode is dispatched again before the pod of its last poke has ended."""
    known = Dispatches()
    first, second = dispatch("d1"), dispatch("d2")
    known.add(first)
    known.add(second)
    assert known.of_key("task") == (first, second)
    assert not known.remove(first)
    assert known.remove(second)
    assert (len(known), known.of_key("task")) == (0, ())


def test_a_relaunch_belongs_to_the_same_dispatch() -> None:
    known, only = Dispatches(), dispatch()
    known.add(only)
    assert known.of_pod(only.pod_key.next_relaunch()) is only


def test_a_dispatch_is_stale_only_when_it_was_not_wanted_for_some_time() -> None:
    """Its worker still stores the log of a task that has just ended."""
    one = dispatch()
    assert not one.is_stale(100.0, is_wanted=False, for_s=60.0)
    assert not one.is_stale(130.0, is_wanted=True, for_s=60.0)
    assert not one.is_stale(159.0, is_wanted=False, for_s=60.0)
    assert not one.is_stale(218.0, is_wanted=False, for_s=60.0)
    assert one.is_stale(219.0, is_wanted=False, for_s=60.0)
