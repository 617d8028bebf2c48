"""The executor's runner: opened, opened anew after a lost Lease, and asked to take over the pods of dead schedulers.

What belongs here: the runner's life, and which errors of the cluster the scheduler's loop outlives. Whatever may have
to wait for the cluster runs in a thread of its own. Airflow's interface and database do not belong here.
"""

from __future__ import annotations

import logging
import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from podrunner.errors import ConfigError, PodrunnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Executor

    from podrunner import Pod, PodRunner, WorkloadKey

__all__ = ["RunnerSession", "dead_owners", "owner_of"]

OpenRunner: TypeAlias = "Callable[[str], PodRunner]"
"""Constructs the runner of an owner's name; it is not entered yet."""
_OWN = frozenset({"held", "off"})
_owner = re.compile(
    r"airflow-(?P<installation>[0-9a-f]{8})-scheduler-(?P<job>[0-9]+)(?:-(?P<team>[^.]+))?(?:\.[0-9]+)?"
).fullmatch
_log = logging.getLogger(__name__)


def owner_of(installation: str, job_id: int | str, team: str | None = None, *, opened: int = 1) -> str:
    """Return the owner's name for the pods of a scheduler.

    Args:
        installation: Which Airflow: another one in the namespace may have a scheduler job of the same number, and the
            Lease of each owner there has its name.
        job_id: The scheduler job.
        team: The team; None: there are none. Each team of a scheduler has a runner of its own.
        opened: How many runners the scheduler has opened for it; each has a name of its own. Teams' names have no dot.
    """
    name = f"airflow-{installation}-scheduler-{job_id}" + (f"-{team}" if team else "")
    return name if opened == 1 else f"{name}.{opened}"


def dead_owners(*, alive: Collection[int], team: str | None, current: str) -> Callable[[str], bool]:
    """Return what says of an owner's name whether its runner is dead by Airflow's own heartbeats.

    An owner that is no scheduler's, or another team's, is none of this scheduler's business.

    Args:
        alive: The scheduler jobs that are alive, this one's included.
        team: This scheduler's team.
        current: The name of this scheduler's present runner: its earlier ones are dead.
    """
    mine = _owner(current)
    assert mine is not None, f"{current!r} is an owner's name"

    def is_dead(owner: str) -> bool:
        found = _owner(owner)
        if found is None or found["team"] != team or owner == current:
            return False
        return found["job"] == mine["job"] or int(found["job"]) not in alive

    return is_dead


class RunnerSession:
    """One runner at a time.

    Args:
        make: Constructs a runner of an owner's name.
        name: Gives the owner's name of the nth runner, from 1. Each name is used once.
        pool: Where calls wait for the cluster, one after the other; None: a thread of the session's own.
    """

    def __init__(self, make: OpenRunner, name: Callable[[int], str], *, pool: Executor | None = None) -> None:
        self._make = make
        self._name = name
        self._pool = pool or ThreadPoolExecutor(1, thread_name_prefix="podrunner-airflow")
        self._opened = 0
        self._runner: PodRunner | None = None
        self._opening: Future[PodRunner] | None = None

    @property
    def runner(self) -> PodRunner | None:
        """The runner; None: it is being opened anew."""
        return self._runner

    def open(self) -> None:
        """Open the first runner.

        Raises:
            PodrunnerError: The cluster cannot be reached as configured.
        """
        self._runner = self._open(None, self._next_name())

    def look(self) -> bool:
        """Find out whether the runner may still act, and see to it that there is one. It never waits.

        Returns:
            Whether the runner has been lost since the last look.

        Raises:
            ConfigError: The configuration has become wrong.
        """
        if self._runner is None:
            self._go_on_opening()
            return False
        lease = self._runner.health().lease
        if lease in _OWN:
            return False
        _log.error("This scheduler's runner lost its Lease and is opened anew: %s", lease)
        lost, self._runner = self._runner, None
        self._opening = self._pool.submit(self._open, lost, self._next_name())
        return True

    def _go_on_opening(self) -> None:
        if self._opening is None:
            self._opening = self._pool.submit(self._open, None, self._next_name())
        if not self._opening.done():
            return
        opening, self._opening = self._opening, None
        try:
            self._runner = opening.result()
        except ConfigError:
            raise
        except PodrunnerError as error:
            _log.warning("No runner; the next heartbeat tries again: %s", error)

    def _next_name(self) -> str:
        self._opened += 1
        return self._name(self._opened)

    def _open(self, lost: PodRunner | None, name: str) -> PodRunner:
        if lost is not None:
            _close(lost)
        runner = self._make(name)
        runner.__enter__()
        return runner

    def adopt(
        self, *, owners: Callable[[str], bool], which: Callable[[WorkloadKey], bool]
    ) -> Future[list[Pod]] | None:
        """Begin to take over pods.

        Args:
            owners: Whether the runner of this name is dead.
            which: Whether to take the pod of this key.

        Returns:
            The pods, later; None: there is no runner now.
        """
        if self._runner is None:
            return None
        return self._pool.submit(self._runner.adopt, owners=owners, which=which)

    def close(self) -> None:
        """Relinquish the pods to the next runner: they run on."""
        runner, self._runner = self._runner, None
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.add_done_callback(_close_unused)
        try:
            if runner is not None:
                runner.__exit__(None, None, None)
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _close(lost: PodRunner) -> None:
    """Close a runner that may not act any more: whatever it still raises changes nothing."""
    try:
        lost.__exit__(None, None, None)
    except PodrunnerError as error:
        _log.warning("The runner that lost its Lease has ended with an error: %s", error)


def _close_unused(opening: Future[PodRunner]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().__exit__(None, None, None)
