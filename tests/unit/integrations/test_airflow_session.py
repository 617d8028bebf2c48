"""The executor's runner: opened anew under a new name, and the verdicts about dead schedulers."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from types import SimpleNamespace
from typing import Any

import pytest
from podrunner.errors import ConfigError, PodrunnerError, TransportError
from podrunner.integrations.airflow.session import RunnerSession, dead_owners, owner_of
from podrunner.ownership.leases import lease_name

HERE = "0a1b2c3d"
JOB = 7


class Runner:
    """A runner that notes what it is asked."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.lease = "held"
        self.asked: list[dict[str, Any]] = []
        self.is_open = False
        self.closing_fails: PodrunnerError | None = None

    def __enter__(self) -> None:
        self.is_open = True

    def __exit__(self, *_: object) -> None:
        self.is_open = False
        if self.closing_fails is not None:
            raise self.closing_fails

    def health(self) -> Any:
        return SimpleNamespace(lease=self.lease)

    def adopt(self, **asked: Any) -> list[str]:
        self.asked.append(asked)
        return ["a pod"]


class Makes:
    """Makes runners, or raises ``error``."""

    def __init__(self) -> None:
        self.made: list[Runner] = []
        self.error: PodrunnerError | None = None

    def __call__(self, owner: str) -> Any:
        if self.error is not None:
            raise self.error
        self.made.append(Runner(owner))
        return self.made[-1]


class Later(Executor):
    """Calls what it was given when the test says so: a cluster that does not answer yet."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Any]] = []
        self.is_shut = False

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: function(*args, **kwargs)))
        return future

    def shutdown(self, *_: Any, **__: Any) -> None:
        self.is_shut = True

    def answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        for future, call in waiting:
            try:
                future.set_result(call())
            except PodrunnerError as error:
                future.set_exception(error)


@pytest.fixture
def makes() -> Makes:
    return Makes()


@pytest.fixture
def pool() -> Later:
    return Later()


@pytest.fixture
def session(makes: Makes, pool: Later) -> RunnerSession:
    opened = RunnerSession(makes, lambda number: owner_of(HERE, JOB, opened=number), pool=pool)
    opened.open()
    return opened


def lose(session: RunnerSession, makes: Makes) -> None:
    makes.made[-1].lease = "another runner has it"
    assert session.look()


@pytest.mark.parametrize(
    ("owner", "dead"),
    [
        ("airflow-0a1b2c3d-scheduler-3", True),
        ("airflow-0a1b2c3d-scheduler-3.2", True),
        ("airflow-0a1b2c3d-scheduler-4", False),
        ("airflow-0a1b2c3d-scheduler-4.2", False),
        ("airflow-0a1b2c3d-scheduler-7", True),
        ("airflow-0a1b2c3d-scheduler-7.2", False),
        ("airflow-0a1b2c3d-scheduler-3-a", False),
        ("another-scheduler-3", False),
        ("another", False),
    ],
)
def test_the_dead_are_schedulers_without_a_heartbeat_and_this_ones_earlier_runners(
    owner: str, *, dead: bool
) -> None:
    assert dead_owners(alive={4, JOB}, team=None, current=owner_of(HERE, JOB, opened=2))(owner) is dead


def test_each_team_of_a_scheduler_has_an_owner_of_its_own() -> None:
    names = {owner_of(HERE, JOB, team, opened=opened) for team in (None, "a", "b", "2") for opened in (1, 2)}
    assert len(names) == 8
    is_dead = dead_owners(alive=set(), team="a", current=owner_of(HERE, JOB, "a"))
    assert is_dead(owner_of(HERE, 3, "a"))
    assert not is_dead(owner_of(HERE, 3, "b"))
    assert not is_dead(owner_of(HERE, 3))


def test_schedulers_of_one_number_in_two_installations_have_leases_of_their_own() -> None:
    """Both count from 1, and may use one namespace: the second would not start while the first one lives."""
    here, there = (owner_of(installation, JOB) for installation in (HERE, "d3c2b1a0"))
    assert lease_name(here) != lease_name(there)


def test_a_moved_database_leaves_no_pod_of_the_dead() -> None:
    """Another place has another name; which pods are looked for is decided by the scope, which a setting keeps."""
    assert dead_owners(alive={JOB}, team=None, current=owner_of(HERE, JOB))(owner_of("d3c2b1a0", 3))


def test_a_lost_lease_is_followed_by_a_runner_of_another_name(
    session: RunnerSession, makes: Makes, pool: Later
) -> None:
    assert not session.look()
    lose(session, makes)
    assert session.runner is None
    pool.answer()
    assert not session.look()
    first, second = makes.made
    assert (first.is_open, second.is_open) == (False, True)
    assert (second.owner, session.runner) == ("airflow-0a1b2c3d-scheduler-7.2", second)


def test_nothing_waits_for_a_runner_that_is_being_opened(
    session: RunnerSession, makes: Makes, pool: Later
) -> None:
    """The scheduler's heartbeat goes on while the cluster does not answer."""
    lose(session, makes)
    for _ in range(3):
        assert not session.look()
        assert session.runner is None
        assert session.adopt(owners=bool, which=bool) is None
    assert len(pool.waiting) == 1


def test_a_runner_that_cannot_be_opened_is_tried_again(
    session: RunnerSession, makes: Makes, pool: Later
) -> None:
    lose(session, makes)
    makes.error = TransportError("not now")
    pool.answer()
    session.look()
    assert session.runner is None
    makes.error = None
    session.look()
    pool.answer()
    session.look()
    assert session.runner is not None
    assert session.runner.owner == "airflow-0a1b2c3d-scheduler-7.3"


def test_a_wrong_configuration_is_not_tried_again(session: RunnerSession, makes: Makes, pool: Later) -> None:
    lose(session, makes)
    makes.error = ConfigError("no such option")
    pool.answer()
    with pytest.raises(ConfigError):
        session.look()


def test_a_lost_runner_whose_end_fails_is_replaced_nevertheless(
    session: RunnerSession, makes: Makes, pool: Later, caplog: pytest.LogCaptureFixture
) -> None:
    makes.made[0].closing_fails = TransportError("no answer")
    lose(session, makes)
    pool.answer()
    session.look()
    assert session.runner is makes.made[1]
    assert "no answer" in caplog.text


def test_pods_are_taken_over_later(session: RunnerSession, makes: Makes, pool: Later) -> None:
    found = session.adopt(owners=bool, which=callable)
    assert found is not None
    assert not found.done()
    pool.answer()
    assert found.result() == ["a pod"]
    assert makes.made[0].asked == [{"owners": bool, "which": callable}]


def test_a_closed_session_closes_its_runner_once(session: RunnerSession, makes: Makes, pool: Later) -> None:
    session.close()
    session.close()
    assert not makes.made[0].is_open
    assert session.runner is None
    assert pool.is_shut


def test_a_runner_that_is_opened_after_the_end_is_closed(
    session: RunnerSession, makes: Makes, pool: Later
) -> None:
    lose(session, makes)
    session.close()
    pool.answer()
    assert [runner.is_open for runner in makes.made] == [False, False]


def test_what_cannot_be_opened_after_the_end_is_no_matter(
    session: RunnerSession, makes: Makes, pool: Later
) -> None:
    lose(session, makes)
    makes.error = TransportError("not now")
    session.close()
    pool.answer()
    assert session.runner is None
