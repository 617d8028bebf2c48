"""Which dispatches are sought, and what becomes of those that have no pod."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from podrunner import WorkloadKey
from podrunner.errors import TransportError
from podrunner.integrations.airflow.dispatches import TaskRow
from podrunner.integrations.airflow.hand_overs import Fate, HandOvers, chosen, fate_of

JOB, TRY = 7, 2


class Key(NamedTuple):
    """As much of Airflow's key as is read."""

    primary: str
    try_number: int = TRY


class Session:
    """Finds pods when the test says so."""

    def __init__(self) -> None:
        self.searches: list[tuple[Future[Any], Any, Any]] = []
        self.is_open = True

    def adopt(self, *, owners: Any, which: Any) -> Future[Any] | None:
        if not self.is_open:
            return None
        self.searches.append((Future(), owners, which))
        return self.searches[-1][0]

    def find(self, *dispatches: str) -> None:
        self.searches.pop(0)[0].set_result([pod(dispatch) for dispatch in dispatches])


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key_of(dispatch: str) -> WorkloadKey:
    return WorkloadKey({"task": "t", "dispatch": dispatch}, attempt=TRY)


def pod(dispatch: str) -> Any:
    return SimpleNamespace(key=key_of(dispatch))


def row(
    state: str | None = "queued", *, try_number: int = TRY, dispatched: str = "d1", job: int = JOB
) -> TaskRow:
    return TaskRow(state, try_number, dispatched, job)


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hand_overs(session: Session, clock: Clock) -> HandOvers:
    return HandOvers(session, every_s=300.0, clock=clock)  # type: ignore[arg-type]


def begin(hand_overs: HandOvers) -> None:
    hand_overs.begin(is_dead=lambda _: True, others=())


@pytest.mark.parametrize(
    ("state", "fate"),
    [
        ("queued", Fate.LAUNCH),
        ("running", Fate.FAIL),
        ("restarting", Fate.FAIL),
        ("success", Fate.FORGET),
        ("scheduled", Fate.FORGET),
        ("deferred", Fate.FORGET),
        (None, Fate.FORGET),
    ],
)
def test_a_dispatch_without_a_pod_is_launched_again_only_if_its_task_has_not_begun(
    state: str | None, fate: Fate
) -> None:
    assert fate_of("d1", try_number=TRY, row=row(state), job=JOB) is fate


@pytest.mark.parametrize(
    "other",
    [None, row(try_number=3), row(dispatched="d2"), row(job=8), row("running", job=8)],
    ids=["gone", "another try", "another dispatch", "another scheduler's", "runs elsewhere"],
)
def test_what_is_not_this_schedulers_any_more_is_left_alone(other: TaskRow | None) -> None:
    assert fate_of("d1", try_number=TRY, row=other, job=JOB) is Fate.FORGET


@pytest.mark.parametrize(
    ("dispatch", "others", "wanted"),
    [
        ("sought", None, True),
        ("sought", {"sought"}, True),
        ("finished", None, False),
        ("finished", {"theirs"}, True),
        ("theirs", {"theirs"}, False),
    ],
)
def test_pods_of_tasks_that_are_others_are_not_taken(
    dispatch: str, others: set[str] | None, *, wanted: bool
) -> None:
    assert chosen({"sought"}, others)(key_of(dispatch)) is wanted


def test_pods_that_are_found_are_sought_no_more(hand_overs: HandOvers, session: Session) -> None:
    hand_overs.seek({"d1": Key("a"), "d2": Key("b")})
    begin(hand_overs)
    assert (hand_overs.is_searching, hand_overs.collect(), hand_overs.unfound()) == (True, [], {})
    session.find("d1", "d3")
    assert [each.key for each in hand_overs.collect()] == [key_of("d1"), key_of("d3")]
    assert not hand_overs.is_searching
    assert hand_overs.unfound() == {"d2": Key("b")}
    assert hand_overs.is_unfound("d2")
    assert not hand_overs.is_sought("d1")


def test_a_dispatch_that_is_sought_later_waits_for_the_next_search(
    hand_overs: HandOvers, session: Session
) -> None:
    """Its pod may have been created after the first search had looked."""
    begin(hand_overs)
    hand_overs.seek({"d1": Key("a")})
    session.find()
    assert hand_overs.collect() == []
    assert hand_overs.unfound() == {}
    assert hand_overs.is_due()
    begin(hand_overs)
    session.find()
    hand_overs.collect()
    assert hand_overs.unfound() == {"d1": Key("a")}


def test_what_has_no_pod_is_settled_by_its_row(hand_overs: HandOvers, session: Session) -> None:
    hand_overs.seek({f"d{number}": Key(f"t{number}") for number in range(4)})
    begin(hand_overs)
    session.find()
    hand_overs.collect()
    rows = {
        "t0": row(dispatched="d0"),
        "t1": row("running", dispatched="d1"),
        "t2": row("success", dispatched="d2"),
        "t3": row(dispatched="d3"),
    }
    fates = hand_overs.settle(rows, job=JOB, known={"d3"})
    assert dict(fates) == {Key("t0"): Fate.LAUNCH, Key("t1"): Fate.FAIL}
    assert hand_overs.settle(rows, job=JOB, known=()) == []


def test_a_dispatch_is_not_launched_for_ever(hand_overs: HandOvers, session: Session) -> None:
    """The cluster may refuse it each time: the task fails with that."""
    fates = []
    for _ in range(6):
        hand_overs.seek({"d1": Key("a")})
        begin(hand_overs)
        session.find()
        hand_overs.collect()
        fates += [fate for _, fate in hand_overs.settle({"a": row()}, job=JOB, known=())]
    assert fates == [Fate.LAUNCH] * 5 + [Fate.FAIL]


def test_a_search_that_fails_is_no_answer(
    hand_overs: HandOvers, session: Session, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    hand_overs.seek({"d1": Key("a")})
    begin(hand_overs)
    session.searches.pop()[0].set_exception(TransportError("not now"))
    assert hand_overs.collect() == []
    assert "not now" in caplog.text
    assert (hand_overs.unfound(), hand_overs.is_sought("d1")) == ({}, True)
    assert not hand_overs.is_due()
    clock.now += 5
    assert hand_overs.is_due()


def test_a_failed_search_for_what_is_left_waits_for_its_turn(
    hand_overs: HandOvers, session: Session, clock: Clock
) -> None:
    begin(hand_overs)
    session.searches.pop()[0].cancel()
    assert hand_overs.collect() == []
    clock.now += 299
    assert not hand_overs.is_due()
    clock.now += 1
    assert hand_overs.is_due()


def test_searches_come_one_at_a_time(hand_overs: HandOvers, session: Session, clock: Clock) -> None:
    assert hand_overs.is_due()
    begin(hand_overs)
    clock.now += 1000
    assert not hand_overs.is_due()
    session.find()
    hand_overs.collect()
    assert hand_overs.is_due()


def test_without_a_runner_it_is_tried_again_soon(
    hand_overs: HandOvers, session: Session, clock: Clock
) -> None:
    session.is_open = False
    hand_overs.seek({"d1": Key("a")})
    begin(hand_overs)
    assert hand_overs.wait(0)
    assert not hand_overs.is_searching
    clock.now += 5
    assert hand_overs.is_due()


def test_what_a_failed_search_has_found_comes_with_the_next(hand_overs: HandOvers, session: Session) -> None:
    """The ends of its pods are held until then: they are of dispatches that are not known yet."""
    begin(hand_overs)
    session.searches.pop()[0].set_exception(TransportError("connection reset"))
    assert hand_overs.collect() == []
    assert hand_overs.is_searching
    begin(hand_overs)
    session.find("d1")
    assert [each.key for each in hand_overs.collect()] == [key_of("d1")]
    assert not hand_overs.is_searching


def test_what_a_lost_runner_has_found_is_sought_anew(hand_overs: HandOvers, session: Session) -> None:
    hand_overs.seek({"d1": Key("a")})
    begin(hand_overs)
    session.find("d1")
    hand_overs.lose()
    assert hand_overs.collect() == []
    assert hand_overs.is_sought("d1")
    assert not hand_overs.is_unfound("d1")


def test_a_revoked_dispatch_is_sought_no_more(hand_overs: HandOvers, session: Session) -> None:
    hand_overs.seek({"d1": Key("a")})
    begin(hand_overs)
    hand_overs.forget("d1")
    session.find()
    hand_overs.collect()
    assert hand_overs.unfound() == {}


def test_the_scheduler_waits_only_for_so_long(hand_overs: HandOvers, session: Session) -> None:
    begin(hand_overs)
    assert not hand_overs.wait(0)
    session.find()
    assert hand_overs.wait(0)
