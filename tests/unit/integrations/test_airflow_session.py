"""The executor's runner: opened anew under a new name, and the verdicts about dead schedulers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from podrunner.errors import ConfigError, PodrunnerError, TransportError
from podrunner.integrations.airflow.session import RunnerSession, dead_owners, owner_of


class Runner:
    """A runner that notes what it is asked; ``fails``: what the next call of ``adopt`` raises."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.lease = "held"
        self.fails: PodrunnerError | None = None
        self.verdicts: list[list[str]] = []
        self.is_open = False

    def __enter__(self) -> None:
        self.is_open = True

    def __exit__(self, *_: object) -> None:
        self.is_open = False

    def health(self) -> Any:
        return SimpleNamespace(lease=self.lease)

    def adopt(self, *, owners: list[str]) -> list[str]:
        self.verdicts.append(owners)
        if self.fails is not None:
            error, self.fails = self.fails, None
            raise error
        return ["a pod"]


class Makes:
    """Makes runners; those named in ``broken`` cannot be opened."""

    def __init__(self) -> None:
        self.made: list[Runner] = []
        self.error: PodrunnerError | None = None

    def __call__(self, owner: str) -> Any:
        if self.error is not None:
            raise self.error
        self.made.append(Runner(owner))
        return self.made[-1]


@pytest.fixture
def makes() -> Makes:
    return Makes()


@pytest.fixture
def session(makes: Makes) -> RunnerSession:
    opened = RunnerSession(makes, "airflow-scheduler-7")
    opened.open()
    return opened


def test_only_schedulers_that_are_not_alive_are_dead() -> None:
    assert dead_owners([3, 4, None, 3], alive={4, 7}) == {"airflow-scheduler-3"}


def test_each_team_of_a_scheduler_has_an_owner_of_its_own() -> None:
    assert len({owner_of(7), owner_of(7, "a"), owner_of(7, "b")}) == 3
    assert dead_owners([3], alive=set(), team="a") == {owner_of(3, "a")}


def test_a_lost_lease_is_followed_by_a_runner_of_another_name_that_takes_over(
    session: RunnerSession, makes: Makes
) -> None:
    assert not session.is_lost()
    makes.made[0].lease = "another runner has it"
    assert session.is_lost()
    assert session.reopen()
    first, second = makes.made
    assert (first.is_open, second.is_open, second.owner) == (False, True, "airflow-scheduler-7-2")
    assert session.adopt() == ["a pod"]
    assert second.verdicts == [["airflow-scheduler-7"]]


def test_a_runner_that_cannot_be_opened_is_tried_again(session: RunnerSession, makes: Makes) -> None:
    makes.made[0].lease = "another runner has it"
    makes.error = TransportError("not now")
    assert session.is_lost()
    assert not session.reopen()
    assert session.adopt({"airflow-scheduler-3"}) is None
    assert session.is_lost()
    makes.error = None
    assert session.reopen()
    assert session.adopt() == ["a pod"]
    assert makes.made[-1].verdicts == [["airflow-scheduler-3", "airflow-scheduler-7"]]


def test_a_wrong_configuration_is_not_tried_again(session: RunnerSession, makes: Makes) -> None:
    makes.error = ConfigError("no such option")
    with pytest.raises(ConfigError):
        session.reopen()


def test_a_verdict_lasts_until_it_was_carried_out(session: RunnerSession, makes: Makes) -> None:
    runner = makes.made[0]
    runner.fails = TransportError("not now")
    assert session.adopt({"airflow-scheduler-3"}) is None
    assert session.adopt() == ["a pod"]
    assert session.adopt() == ["a pod"]
    assert runner.verdicts == [["airflow-scheduler-3"], ["airflow-scheduler-3"], []]


def test_no_runner_is_declared_dead_by_itself(session: RunnerSession, makes: Makes) -> None:
    session.adopt({"airflow-scheduler-7"})
    assert makes.made[0].verdicts == [[]]


def test_a_closed_session_closes_its_runner_once(session: RunnerSession, makes: Makes) -> None:
    session.close()
    session.close()
    assert not makes.made[0].is_open
    assert session.runner is None
