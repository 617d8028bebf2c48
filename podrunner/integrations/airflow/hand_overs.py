"""Hand-overs: finding the pods of dispatches that this scheduler has been given, or whose runner it lost.

A search (an adoption) runs in a thread. A dispatch that is sought stays so until its pod is found, or until a search
that began later has found none: then nothing has begun, or it is over, and its task instance's row says which.

What belongs here: which dispatches are sought, when is searched, and what becomes of a dispatch without a pod.
Airflow's interface and database do not.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from concurrent.futures import CancelledError, wait
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from podrunner.errors import PodrunnerError
from podrunner.integrations.airflow.launch import DISPATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from concurrent.futures import Future

    from podrunner import Pod, WorkloadKey
    from podrunner.integrations.airflow.dispatches import TaskRow
    from podrunner.integrations.airflow.session import RunnerSession

__all__ = ["Fate", "HandOvers", "chosen", "fate_of"]

_RETRY_S = 5.0
"""After a search that failed, while dispatches are sought."""
_LAUNCHES_AGAIN = 5
"""Of one dispatch at most: a task whose pod is refused each time fails, and says why."""
_log = logging.getLogger(__name__)


class Fate(Enum):
    """What becomes of a dispatch that has no pod."""

    LAUNCH = "launch"
    """Its task has not begun: it is launched again, as the same dispatch of the same try."""
    FAIL = "fail"
    """Its task had begun, and its worker is gone."""
    FORGET = "forget"
    """It is over, or another scheduler's."""


def fate_of(dispatch: str, *, try_number: int, row: TaskRow | None, job: int) -> Fate:
    """Decide what becomes of a dispatch whose pod was sought and not found.

    Args:
        dispatch: Its id.
        try_number: The try that was dispatched.
        row: What the database says of the task instance now; None: it is gone.
        job: This scheduler's job.
    """
    if row is None or row.try_number != try_number or row.external_executor_id != dispatch:
        return Fate.FORGET
    if row.queued_by_job_id != job:
        return Fate.FORGET
    if row.state == "queued":
        return Fate.LAUNCH
    return Fate.FAIL if row.state in {"running", "restarting"} else Fate.FORGET


def chosen(sought: Collection[str], others: Collection[str] | None) -> Callable[[WorkloadKey], bool]:
    """Return what says which pods of dead schedulers are taken.

    Args:
        sought: The dispatches that this scheduler seeks.
        others: The dispatches under way that are other schedulers', or a dead one's until Airflow gives them away; all
            other pods are taken too, such as those of finished tasks. None: only what is sought is taken.
    """

    def is_wanted(key: WorkloadKey) -> bool:
        dispatch = key.parts.get(DISPATCH)
        if dispatch is None:
            return False  # another program's
        return dispatch in sought or (others is not None and dispatch not in others)

    return is_wanted


@dataclass(frozen=True, slots=True)
class _Search:
    pods: Future[list[Pod]]
    sought: frozenset[str]


class HandOvers:
    """The dispatches that are sought, and the searches for them.

    Args:
        session: The runner.
        every_s: Seconds between two searches for whatever dead schedulers have left.
        clock: Gives the present, in seconds.
    """

    def __init__(
        self, session: RunnerSession, *, every_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._every_s = every_s
        self._clock = clock
        self._next = clock()
        self._sought: dict[str, Any] = {}
        self._unfound: set[str] = set()
        self._searches: list[_Search] = []
        self._has_failed = False
        self._launched_again: Counter[str] = Counter()

    @property
    def is_searching(self) -> bool:
        """Whether pods may have been found that are not collected yet, such as by a search that failed halfway."""
        return bool(self._searches) or self._has_failed

    def seek(self, dispatches: Mapping[str, Any]) -> None:
        """Seek the pods of dispatches, given with their task instances' keys."""
        self._sought |= dispatches
        self._unfound -= dispatches.keys()
        if dispatches:
            self._next = self._clock()

    def forget(self, dispatch: str) -> None:
        """Seek a dispatch no more."""
        self._sought.pop(dispatch, None)
        self._unfound.discard(dispatch)

    def is_sought(self, dispatch: str) -> bool:
        """Return whether a dispatch is sought."""
        return dispatch in self._sought

    def is_unfound(self, dispatch: str) -> bool:
        """Return whether a dispatch that is sought has been searched for, and has no pod."""
        return dispatch in self._unfound

    def is_due(self) -> bool:
        """Return whether it is time to search."""
        return not self._searches and self._clock() >= self._next

    def begin(self, *, is_dead: Callable[[str], bool], others: Collection[str] | None) -> None:
        """Begin to search.

        Args:
            is_dead: Whether the runner of an owner's name is dead.
            others: As for :func:`chosen`.
        """
        sought = frozenset(self._sought)
        pods = self._session.adopt(owners=is_dead, which=chosen(sought, others))
        if pods is not None:
            self._searches.append(_Search(pods, sought))
        self._next = self._clock() + (self._every_s if pods is not None else _RETRY_S)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the searches that are under way; return whether all are over."""
        return not wait([search.pods for search in self._searches], timeout_s).not_done

    def lose(self) -> None:
        """Drop the searches: their runner is lost, and so is what they have found."""
        self._searches = []
        self._has_failed = False
        self._next = self._clock()

    def collect(self) -> list[Pod]:
        """Return the pods that have been found since the last call; their dispatches are sought no more."""
        over = [search for search in self._searches if search.pods.done()]
        self._searches = [search for search in self._searches if not search.pods.done()]
        return [pod for search in over for pod in self._found_by(search)]

    def _found_by(self, search: _Search) -> list[Pod]:
        try:
            found = search.pods.result()
        except (PodrunnerError, CancelledError) as error:
            _log.warning("Pods of dead schedulers are not taken over now; it is tried again: %s", error)
            self._has_failed = True
            if self._sought:
                self._next = min(self._next, self._clock() + _RETRY_S)
            return []
        self._has_failed = False  # it returns also what those before it had found
        self._unfound |= search.sought & self._sought.keys()
        for pod in found:
            self.forget(pod.key.parts.get(DISPATCH, ""))
        return found

    def unfound(self) -> dict[str, Any]:
        """Return the dispatches without a pod, with their task instances' keys."""
        return {dispatch: self._sought[dispatch] for dispatch in self._unfound}

    def settle(
        self, rows: Mapping[Any, TaskRow], *, job: int, known: Collection[str]
    ) -> list[tuple[Any, Fate]]:
        """Decide what becomes of the dispatches without a pod; they are sought no more.

        Args:
            rows: What the database says of their task instances, by the keys' ``primary``.
            job: This scheduler's job.
            known: Dispatches that have been launched meanwhile.

        Returns:
            The task instances' keys with what becomes of them.
        """
        fates: list[tuple[Any, Fate]] = []
        for dispatch, key in self.unfound().items():
            self.forget(dispatch)
            fate = fate_of(dispatch, try_number=key.try_number, row=rows.get(key.primary), job=job)
            if fate is Fate.FORGET or dispatch in known:
                continue
            self._launched_again[dispatch] += 1
            fates.append((key, Fate.FAIL if self._launched_again[dispatch] > _LAUNCHES_AGAIN else fate))
        return fates
