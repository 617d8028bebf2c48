"""A small scheduler: tasks that wait for others and are tried again. Outcomes are kept in a file of SQLite.

It needs no cluster. Its tests, ``test_dag_scheduler.py``, use podrunner's pytest plugin.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import podrunner

HEARTBEAT_S = 0.05
_TABLE = "create table if not exists ended (task, attempt, category, charged, primary key (task, attempt))"


@dataclass(frozen=True)
class Task:
    """What to run, which tasks must have succeeded before, and how often it may fail by its own fault."""

    command: Sequence[str]
    after: Sequence[str] = ()
    tries: int = 2


class Scheduler:
    """Runs tasks. One that is restarted with the same file goes on where the last one ended."""

    def __init__(self, tasks: Mapping[str, Task], config: podrunner.RunnerConfig, file: Path) -> None:
        self.tasks, self.config, self.file = tasks, config, file
        self.taken: list[podrunner.RunnerEvent] = []

    def run(self) -> dict[str, str]:
        """Run all tasks; return each one's end: ``succeeded``, ``failed``, ``skipped``."""
        with closing(sqlite3.connect(self.file)) as ended, podrunner.PodRunner(self.config) as runner:
            ended.execute(_TABLE)
            running = {pod.key.parts["task"] for pod in runner.adopt()}
            while "open" in (states := {name: self.state(ended, name) for name in self.tasks}).values():
                for name in self.tasks:
                    if states[name] == "open" and name not in running and self.may_begin(states, name):
                        runner.submit(self.workload(ended, name))
                        running.add(name)
                for event in runner.poll_events():
                    self.taken.append(event)
                    if event.outcome is not None:
                        running.discard(event.key.parts["task"])
                        self.keep(ended, event.key, event.outcome)
                time.sleep(HEARTBEAT_S)
        return states

    def may_begin(self, states: Mapping[str, str], name: str) -> bool:
        return all(states[other] == "succeeded" for other in self.tasks[name].after)

    def state(self, ended: sqlite3.Connection, name: str) -> str:
        rows = ended.execute("select category, charged from ended where task = ?", (name,)).fetchall()
        if any(category == "succeeded" for category, _ in rows):
            return "succeeded"
        if sum(charged for _, charged in rows) >= self.tasks[name].tries:
            return "failed"
        before = {self.state(ended, other) for other in self.tasks[name].after}
        return "skipped" if before & {"failed", "skipped"} else "open"

    def workload(self, ended: sqlite3.Connection, name: str) -> podrunner.Workload:
        (last,) = ended.execute("select max(attempt) from ended where task = ?", (name,)).fetchone()
        key = podrunner.WorkloadKey({"task": name}, attempt=(last or 0) + 1)
        return podrunner.Workload(key=key, command=list(self.tasks[name].command))

    def keep(self, ended: sqlite3.Connection, key: podrunner.WorkloadKey, outcome: podrunner.Outcome) -> None:
        """Before the next ``poll_events`` delivers it. The infrastructure's faults are not charged."""
        charged = not outcome.succeeded and outcome.fault != "infrastructure"
        row = (key.parts["task"], key.attempt, str(outcome.category), charged)
        with ended:
            ended.execute("insert or ignore into ended values (?, ?, ?, ?)", row)


if __name__ == "__main__":
    dag = {
        "extract": Task(["true"]),
        "load": Task(["false"], after=["extract"]),
        "report": Task(["true"], after=["load"]),
    }
    with TemporaryDirectory() as folder:
        config = podrunner.RunnerConfig(cluster="local", delete_pods_on_failure=True)
        print(Scheduler(dag, config, Path(folder, "ended.db")).run())
