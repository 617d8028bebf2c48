"""Several schedulers on one cluster and one PostgreSQL: one dies or is stopped, and no task is lost or run twice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Scene

COUNT = 32


class Two:
    """A scene with two schedulers.

    Attributes:
        scene: The scene.
        jobs: The schedulers' jobs, by the names of their processes.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.jobs = {"scheduler": self._newest()}
        scene.airflow.start("scheduler#2")
        scene.until(lambda: self._newest() > self.jobs["scheduler"], "the second scheduler has a job")
        self.jobs["scheduler#2"] = self._newest()

    def _rows(self, statement: str) -> list[tuple[int, ...]]:
        assert self.scene.postgres is not None
        return self.scene.postgres.rows(statement)

    def _newest(self) -> int:
        ((job,),) = self._rows("SELECT max(id) FROM job WHERE job_type = 'SchedulerJob'")
        return job

    def queued_by(self, run: str) -> dict[int, int]:
        """Return how many task instances that are under way each scheduler has."""
        return dict(
            self._rows(
                "SELECT queued_by_job_id, count(*) FROM task_instance"  # type: ignore[arg-type]
                f" WHERE run_id = '{run}' AND state IN ('queued', 'running') GROUP BY 1"
            )
        )

    def busiest(self, run: str) -> str:
        """Return the name of the scheduler that has the most of them."""
        has = self.queued_by(run)
        return max(self.jobs, key=lambda name: has.get(self.jobs[name], 0))


@pytest.fixture
def two(scene: Scene) -> Iterator[Two]:
    """The scene with a second scheduler."""
    if scene.postgres is None:
        assert not os.environ.get("CI"), "there is no PostgreSQL (Debian: postgresql)"
        pytest.skip("there is no PostgreSQL (Debian: postgresql); on SQLite Airflow runs one scheduler only")
    made = Two(scene)
    yield made
    scene.airflow.kill("scheduler#2")


def check(scene: Scene, run: str) -> None:
    """Every task has run once, in its first try, and no pod is left."""
    assert scene.airflow.wait_run("crowd", run) == "success"
    tries = {(ti["state"], ti["try_number"]) for ti in scene.airflow.task_instances("crowd", run)}
    assert tries == {("success", 1)}
    assert scene.ran(run) == {f"{number}": 1 for number in range(COUNT)}
    scene.until_no_pod("crowd")


def begin(two: Two) -> tuple[str, str]:
    """Trigger the crowd; return the run, and the scheduler that has most of it when some run and more wait."""
    run = two.scene.airflow.trigger("crowd", {"count": COUNT})
    two.scene.until(lambda: len(two.scene.ran(run)) >= 4, "some run")
    assert sum(two.queued_by(run).values()) > COUNT // 2
    return run, two.busiest(run)


def test_the_tasks_of_a_killed_scheduler_finish_once_under_the_other(two: Two) -> None:
    run, busiest = begin(two)
    two.scene.airflow.kill(busiest)
    check(two.scene, run)
    two.scene.airflow.start(busiest)


def test_a_scheduler_that_was_stopped_while_the_other_took_over_does_nothing_twice(two: Two) -> None:
    """Its Lease is revoked, and it opens a runner anew."""
    run, busiest = begin(two)
    two.scene.airflow.pause(busiest)
    try:
        two.scene.until(lambda: two.jobs[busiest] not in two.queued_by(run), "the other has taken over")
    finally:
        two.scene.airflow.go_on(busiest)
    check(two.scene, run)
    assert "lost its Lease and is opened anew" in two.scene.airflow.output(busiest)
    assert two.scene.causes("crowd", run, "state mismatch") == []
