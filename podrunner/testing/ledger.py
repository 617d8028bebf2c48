"""Checks the promises in a scheduler's own test: one outcome for each pod, and nothing left.

The ledger notes each pod that the cluster stores, so that it knows what a scheduler may have missed. What the scheduler
took, it is handed. How a cluster is made and cleaned is :mod:`podrunner.testing.pytest_plugin`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from podrunner.local import LocalCluster

__all__ = ["Ledger"]

_KEY: Final = "podrunner.io/key"
_ATTEMPT: Final = "podrunner.io/attempt"
_RELAUNCH: Final = "podrunner.io/relaunch"
_REPORTED: Final = "podrunner.io/told"
_MANAGED_BY: Final = ("app.kubernetes.io/managed-by", "podrunner")
_LEFT: Final = ("pods", "secrets", "leases")
_POLL_S: Final = 0.02
_OPEN_FILES: Final = Path("/proc/self/fd")
_PACKAGE: Final = f"{Path(__file__).parents[1]}{os.sep}"
"""Where podrunner's own code is; a project's folder may be called podrunner too."""


class _Created(NamedTuple):
    """A pod that the cluster stored."""

    name: str
    uid: str
    attempt: tuple[str, str, str]

    def __str__(self) -> str:
        identity, attempt, relaunch = self.attempt
        again = f" (relaunch {relaunch})" if relaunch != "0" else ""
        return f"pod {self.name}, {identity} #{attempt}{again}"


class Ledger:
    """What a cluster stored and a process opened since the ledger was made.

    Args:
        cluster: A LocalCluster that runs.
        baseline: UIDs of objects that were there before and do not count.
    """

    def __init__(self, cluster: LocalCluster, baseline: frozenset[str] = frozenset()) -> None:
        self._cluster = cluster
        self._baseline = baseline
        self._created: list[_Created] = []
        self._threads = {*threading.enumerate()}
        self._files = {*_open_files()}
        self._end: Callable[[], None] = cluster.call(cluster.control.store.subscribe, "pods", self._note)

    def close(self) -> None:
        """Notes nothing more."""
        self._cluster.call(self._end)

    def _note(self, kind: str, pod: Mapping[str, Any]) -> None:
        metadata = pod["metadata"]
        said = metadata.get("annotations") or {}
        if kind == "ADDED" and _KEY in said:
            attempt = said[_KEY], said.get(_ATTEMPT, ""), said.get(_RELAUNCH, "0")
            name = f"{metadata['namespace']}/{metadata['name']}"
            self._created.append(_Created(name, metadata["uid"], attempt))

    @property
    def created(self) -> int:
        """How many pods of podrunner's the cluster has stored."""
        return len(self._created)

    def assert_promises_kept(self, taken: Iterable[Any], *, within_s: float = 5.0) -> None:
        """Checks that each pod has exactly one outcome that the scheduler took, and that nothing is left.

        Call it when the scheduler has ended and its runner is closed.

        Args:
            taken: What the scheduler took: the events of its runners (those without an outcome do not count), or the
                handles of its pods or runs. Either, not both.
            within_s: Seconds for sockets and threads that are being closed to be gone.

        Raises:
            AssertionError: A promise is broken; the message lists each case.
        """
        problems = [*self._about_outcomes(taken), *self._about_rest(within_s)]
        _fail(problems)

    def assert_one_outcome_each(self, taken: Iterable[Any]) -> None:
        """Checks the first half of :meth:`assert_promises_kept`: one launch of each attempt, one outcome for each pod.

        Args:
            taken: As there.

        Raises:
            AssertionError: A promise is broken.
        """
        _fail([*self._about_outcomes(taken)])

    def assert_nothing_left(self, *, within_s: float = 5.0) -> None:
        """Checks the other half: no pod, Secret or Lease is left, and no thread, socket, file or task.

        A pod that is kept after its outcome was reported, as failed pods are by default, is not counted.

        Args:
            within_s: As there.

        Raises:
            AssertionError: Something is left.
        """
        _fail([*self._about_rest(within_s)])

    # What is wrong

    def _about_outcomes(self, taken: Iterable[Any]) -> Iterator[str]:
        counts = Counter(_ends(taken))
        for pod in self._created:
            count = counts.pop(pod.uid, 0)
            if count == 0:
                yield f"{pod}: the scheduler took no outcome"
            elif count > 1:
                yield f"{pod}: the scheduler took {count} outcomes"
        for uid in counts:
            yield f"an outcome of a pod that was never there (UID {uid})"
        for attempt, count in Counter(pod.attempt for pod in self._created).items():
            if count > 1:
                yield f"{attempt[0]} #{attempt[1]}: launched {count} times"

    def _about_rest(self, within_s: float) -> Iterator[str]:
        until_s = time.monotonic() + within_s
        while (left := [*self._left()]) and time.monotonic() < until_s:
            time.sleep(_POLL_S)
        yield from left

    def _left(self) -> Iterator[str]:
        for resource in _LEFT:
            for found in self._cluster.call(self._cluster.control.store.list, resource):
                if _is_podrunners(found) and found["metadata"]["uid"] not in self._baseline:
                    place = f"{found['metadata']['namespace']}/{found['metadata']['name']}"
                    yield f"{resource.removesuffix('s')} {place} is left"
        for thread in threading.enumerate():
            if thread not in self._threads and thread.is_alive() and not _is_pooled(thread):
                yield f"thread {thread.name} is left"
        for opened in _open_files():
            if opened not in self._files:
                yield f"{opened} is left open"
        yield from _tasks_left()


def _fail(problems: list[str]) -> None:
    if problems:
        raise AssertionError("\n".join(["the promises are not kept:", *(f"- {each}" for each in problems)]))


def _ends(taken: Iterable[Any]) -> Iterator[str]:
    """Returns the UIDs of the outcomes: of events, of pods, and of all pods of runs."""
    for each in taken:
        pods = getattr(each, "pods", None)
        if pods is not None:
            yield from _ends(pods)
        elif each.outcome is not None and each.uid:
            yield each.uid


def _is_podrunners(found: Mapping[str, Any]) -> bool:
    metadata = found["metadata"]
    name, value = _MANAGED_BY
    is_ours = (metadata.get("labels") or {}).get(name) == value
    return is_ours and _REPORTED not in (metadata.get("annotations") or {})


def _is_pooled(thread: threading.Thread) -> bool:
    """Whether it is an idle worker of a pool of anyio, asyncio or trio, which ends later by itself."""
    return thread.name.startswith(("AnyIO worker thread", "asyncio_", "ThreadPoolExecutor", "Trio thread"))


def _open_files() -> Iterator[str]:
    """Returns the regular files and network sockets that the process has open, on systems that say so."""
    for link in _OPEN_FILES.iterdir() if _OPEN_FILES.is_dir() else ():
        try:
            target = str(link.readlink())
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:") and (name := _network_socket(int(link.name))) is not None:
            yield f"{target} {name}"
        elif target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/memfd:")):
            yield f"file {target}"


def _network_socket(number: int) -> str | None:
    """Returns the addresses of a network socket; None: it is none, or is closed by now."""
    try:
        with socket.socket(fileno=os.dup(number)) as found:
            if found.family not in {socket.AF_INET, socket.AF_INET6}:
                return None
            return f"at {found.getsockname()[:2]}"
    except OSError:
        return None


def _tasks_left() -> Iterator[str]:
    """Returns the tasks that podrunner has in the event loop that runs here; of trio there can be none."""
    import asyncio

    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return
    for task in tasks:
        code = getattr(task.get_coro(), "cr_code", None)
        if code is not None and code.co_filename.startswith(_PACKAGE) and not task.done():
            yield f"task {task.get_name()} is left"
