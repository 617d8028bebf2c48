"""The executor's runner: opened, opened anew after a lost Lease, and asked to take over the pods of dead schedulers.

What belongs here: the runner's life, and which errors of the cluster the scheduler's loop outlives. Airflow's interface
and database do not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias

from podrunner.errors import ConfigError, PodrunnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from podrunner import Pod, PodRunner

__all__ = ["RunnerSession", "dead_owners", "owner_of"]

OpenRunner: TypeAlias = "Callable[[str], PodRunner]"
"""Constructs the runner of an owner's name; it is not entered yet."""
_OWN = frozenset({"held", "off"})
_log = logging.getLogger(__name__)


def owner_of(job_id: int | str, team: str | None = None) -> str:
    """Return the owner's name for the pods of a scheduler; each team of a scheduler has a runner of its own."""
    return f"airflow-scheduler-{job_id}" + (f"-{team}" if team else "")


def dead_owners(jobs: Iterable[int | None], *, alive: set[int], team: str | None = None) -> set[str]:
    """Return the owners' names of schedulers that are dead by Airflow's own heartbeats.

    Args:
        jobs: The scheduler jobs in question; None: no scheduler has queued the task instance.
        alive: The scheduler jobs that are alive.
        team: The team.
    """
    return {owner_of(job, team) for job in jobs if job is not None and job not in alive}


class RunnerSession:
    """One runner at a time.

    Args:
        make: Constructs a runner of an owner's name.
        owner: The first runner's. Each name is used once: a later one has a number after it.
    """

    def __init__(self, make: OpenRunner, owner: str) -> None:
        self._make = make
        self._owner = owner
        self._opened = 0
        self._runner: PodRunner | None = None
        self._dead: set[str] = set()

    @property
    def runner(self) -> PodRunner | None:
        """The runner; None: it is not open, and the next ``reopen`` tries again."""
        return self._runner

    def open(self) -> None:
        """Open the runner.

        Raises:
            PodrunnerError: The cluster cannot be reached as configured.
        """
        self._opened += 1
        name = self._owner if self._opened == 1 else f"{self._owner}-{self._opened}"
        runner = self._make(name)
        runner.__enter__()
        self._runner = runner

    def is_lost(self) -> bool:
        """Return whether the runner may no longer act: it lost its Lease, or could not be opened anew."""
        if self._runner is None:
            return True
        lease = self._runner.health().lease
        if lease in _OWN:
            return False
        _log.error("This scheduler's runner lost its Lease and is opened anew: %s", lease)
        self._dead.add(self._runner.owner)
        return True

    def reopen(self) -> bool:
        """Open a runner in the place of one that lost its Lease; return whether that has worked."""
        self.close()
        try:
            self.open()
        except ConfigError:
            raise
        except PodrunnerError as error:
            _log.warning("No runner; the next heartbeat tries again: %s", error)
            return False
        return True

    def adopt(self, dead: Iterable[str] = ()) -> list[Pod] | None:
        """Take over the pods of owners that are dead, and of those whose Lease is over.

        Args:
            dead: Names of owners that are dead. If they cannot be adopted now, the next call adopts them too.

        Returns:
            The pods; None: it did not work.
        """
        self._dead |= set(dead)
        if self._runner is None:
            return None
        self._dead.discard(self._runner.owner)
        try:
            pods = self._runner.adopt(owners=sorted(self._dead))
        except PodrunnerError as error:
            _log.warning("Pods of dead schedulers are not taken over; the next check tries again: %s", error)
            return None
        self._dead = set()
        return pods

    def close(self) -> None:
        """Relinquish the pods to the next runner: they run on."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.__exit__(None, None, None)
