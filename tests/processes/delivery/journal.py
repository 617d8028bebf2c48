"""What a scheduler remembers across its death: a file of JSON lines, each on the disk before the next step.

All lives of a round share one journal. It keeps each delivery of an outcome, also a repeated one: the judge compares
them. What a scheduler acts on is the first delivery (:class:`Ledger`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from podrunner import WorkloadKey
from podrunner.outcome import Outcome
from tests.processes.delivery.plan import Attempt, Round

__all__ = ["Journal", "Ledger", "place_of", "read_lines", "told"]

Record = dict[str, Any]


def read_lines(path: Path) -> list[Record]:
    """Return the records of a file of JSON lines; of a file that is not there: none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def place_of(key: WorkloadKey) -> tuple[int, int]:
    """Return task and attempt."""
    return int(key.parts["task"]), key.attempt


def told(outcome: Outcome) -> Record:
    """Return what a scheduler stores of an outcome: whatever a repeated delivery must say too."""
    return {
        "category": str(outcome.category),
        "fault": None if outcome.fault is None else str(outcome.fault),
        "started": outcome.started,
        "retryable": outcome.retryable,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "container": outcome.container,
        "reason": outcome.reason,
    }


class Journal:
    """Appends records; each call returns when they are on the disk.

    Args:
        path: The file.
        life: Stands in each record.
    """

    def __init__(self, path: Path, *, life: int) -> None:
        self._life = life
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def write(self, records: Iterable[Record]) -> None:
        """Append records in one write, with the time of a clock that all processes of the machine share."""
        stamp = {"at_ns": time.monotonic_ns(), "life": self._life}
        lines = [json.dumps({**record, **stamp}) + "\n" for record in records]
        if lines:
            os.write(self._file, "".join(lines).encode())
            os.fsync(self._file)


class Ledger:
    """What is begun and what is done, of one round.

    Args:
        path: The journal's file.
        plan: The round.
        life: Which of its lives this is.
    """

    def __init__(self, path: Path, plan: Round, *, life: int) -> None:
        self._plan = plan
        self._last = set({attempt.task: attempt.number for attempt in plan.attempts}.items())
        records = read_lines(path)
        self._journal = Journal(path, life=life)
        self._stored = {(each["task"], each["attempt"]) for each in records if each["what"] == "outcome"}

    @property
    def is_done(self) -> bool:
        """Whether each task has its last outcome."""
        return self._last <= self._stored

    def due(self) -> list[Attempt]:
        """Return the attempts to begin: of each task that is not done the one after the last that has an outcome."""
        undone = {task for task, _ in self._last - self._stored}
        reached = dict(sorted(self._stored))
        return [
            each
            for each in self._plan.attempts
            if each.task in undone and each.number == reached.get(each.task, 0) + 1
        ]

    def begin(self, attempts: Iterable[Attempt]) -> None:
        """Note that attempts are about to be submitted."""
        self._journal.write({"what": "begun", "task": each.task, "attempt": each.number} for each in attempts)

    def store(self, key: WorkloadKey, uid: str, outcome: Outcome, *, replayed: bool) -> None:
        """Store an outcome. One that is stored already is noted once more and changes nothing."""
        place = place_of(key)
        record = {"what": "outcome", "task": place[0], "attempt": place[1], "uid": uid, "replayed": replayed}
        self._journal.write([{**record, "outcome": told(outcome), "said": str(outcome)}])
        self._stored.add(place)

    def note(self, what: str, said: str) -> None:
        """Note something else."""
        self._journal.write([{"what": what, "said": said}])
