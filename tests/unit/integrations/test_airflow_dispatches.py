"""What the executor of Airflow reports of an ended dispatch, and which dispatches are still wanted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from podrunner import Fault, WorkloadKey
from podrunner.integrations.airflow.dispatches import (
    Dispatch,
    Dispatches,
    Report,
    TaskRow,
    is_current,
    is_launchable,
    next_launch,
    report_of,
)

TRY = 2


@dataclass
class Ended:
    """As much of an outcome as the decision reads."""

    succeeded: bool = False
    started: bool = False
    fault: Fault = Fault.INFRASTRUCTURE


def dispatch(identity: str = "d1", key: str = "task") -> Dispatch:
    return Dispatch(identity, key, WorkloadKey({"task": key, "dispatch": identity}, attempt=TRY))


def row(
    state: str | None, *, try_number: int = TRY, dispatched: str | None = "d1", job: int | None = None
) -> TaskRow:
    return TaskRow(state, try_number, dispatched, job)


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
    ("state", "wanted"),
    [("queued", True), ("running", True), ("restarting", False), ("success", False), (None, False)],
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


@pytest.mark.parametrize(
    ("found", "launchable"),
    [
        (row("queued"), True),
        (row("queued", job=7), True),
        (row("queued", job=8), False),
        (row("running", job=7), False),
        (row("queued", dispatched="d2", job=7), False),
        (row("queued", try_number=3, job=7), False),
        (None, False),
    ],
)
def test_only_what_is_queued_by_this_scheduler_is_launched(
    found: TaskRow | None, *, launchable: bool
) -> None:
    """One that was stopped for some time may have lost its tasks to another scheduler."""
    assert is_launchable(dispatch(), try_number=TRY, row=found, job=7) is launchable


def launched(outcome: Ended, found: TaskRow | None = None, *, again: int = 0, **facts: bool) -> int | None:
    parts = {"task": "t", "dispatch": "d1", **({"again": str(again)} if again else {})}
    one = Dispatch("d1", "task", WorkloadKey(parts, attempt=TRY), **facts)
    return next_launch(one, outcome, try_number=TRY, row=found or row("queued"), most=3)


def test_an_adopted_pod_that_was_lost_before_it_started_is_followed_by_another() -> None:
    """A run of this scheduler's has tried again by itself: what ends is the last of its pods."""
    assert launched(Ended(), is_adopted=True) == 0
    assert launched(Ended(), is_adopted=True, again=2) == 2
    assert launched(Ended(), is_adopted=False) is None


@pytest.mark.parametrize("is_adopted", [True, False])
def test_a_pod_whose_task_has_not_begun_costs_no_try_though_its_container_started(
    *, is_adopted: bool
) -> None:
    """Airflow lets each task instance begin once, and its row says whether it has."""
    numbers = [launched(Ended(started=True), again=again, is_adopted=is_adopted) for again in range(4)]
    assert numbers == [1, 2, 3, None]


@pytest.mark.parametrize("fault", [Fault.WORKLOAD, Fault.CALLER])
@pytest.mark.parametrize("started", [True, False])
def test_what_is_not_the_infrastructures_fault_is_reported(fault: Fault, *, started: bool) -> None:
    assert launched(Ended(started=started, fault=fault), is_adopted=True) is None


@pytest.mark.parametrize("found", [row("running"), row("queued", dispatched="d2"), row("scheduled")])
@pytest.mark.parametrize("started", [True, False])
def test_a_task_that_does_not_wait_for_the_pod_gets_no_other(found: TaskRow, *, started: bool) -> None:
    assert launched(Ended(started=started), found, is_adopted=True) is None


def test_a_revoked_dispatch_is_not_launched_again() -> None:
    assert launched(Ended(started=True), is_revoked=True) is None
    assert launched(Ended(), is_revoked=True, is_adopted=True) is None


class Waits:
    """A handle of a pod."""

    name = "pod-1"

    def __init__(self, waiting: str | None, uid: str = "u") -> None:
        self.waiting, self.uid = waiting, uid


class Of:
    """A handle of a run."""

    def __init__(self, pod: Waits | None) -> None:
        self.pod = pod


@pytest.mark.parametrize(
    ("handle", "why"),
    [
        (Waits("Unschedulable: no node"), "pod pod-1: Unschedulable: no node"),
        (Of(Waits("Unschedulable: no node")), "pod pod-1: Unschedulable: no node"),
        (Waits(None), ""),
        (Of(Waits(None, uid="")), "it has no pod yet"),
        (Of(None), "it has no pod yet"),
    ],
)
def test_a_dispatch_says_why_it_waits(handle: object, why: str) -> None:
    one = dispatch()
    one.handle = handle
    assert one.why_it_waits() == why


def test_a_dispatch_that_is_found_while_its_launch_waits_is_one() -> None:
    """Else its key would stay among the running ones, and Airflow would never queue the task again."""
    index, waiting, found = Dispatches(), dispatch(), dispatch()
    index.add(waiting)
    index.add(found)
    assert index.of_key("task") == (found,)
    assert index.remove(found)
