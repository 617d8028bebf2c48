"""A scheduler that may be killed at any moment, and goes on when it is started again.

It stores each outcome before it asks for more.

Usage: python examples/deliver_taken.py [podrunner.toml]

Without a configuration the pods run on this machine and end with the program. scheduler.db has what is begun and done.
"""

from __future__ import annotations

import sqlite3
import sys
import time

import podrunner

HEARTBEAT_S = 0.2
TRIES = 3
# The second task fails at its first try only.
TASKS = {"extract": "sleep 1", "load": 'sleep 1; test "$TRY" -gt 1', "report": "sleep 2", "mail": "true"}

given = podrunner.RunnerConfig.from_file(sys.argv[1]) if len(sys.argv) > 1 else None
config = (given or podrunner.RunnerConfig(cluster="local")).with_changes(
    outcome_delivery="taken",  # the default
    delete_pods_on_failure=True,
    adopt_every_s=30,  # finds what a predecessor had stored, and did not come to delete
)
db = sqlite3.connect("scheduler.db")
db.executescript("""
    CREATE TABLE IF NOT EXISTS attempts (task TEXT, attempt INTEGER, PRIMARY KEY (task, attempt));
    CREATE TABLE IF NOT EXISTS outcomes (
        uid TEXT PRIMARY KEY, task TEXT, attempt INTEGER, category TEXT, exit_code INTEGER
    );
""")


def begin(task: str, attempt: int) -> None:
    """Note that an attempt is to be run: before it is submitted."""
    db.execute("INSERT OR IGNORE INTO attempts VALUES (?, ?)", (task, attempt))


def unfinished() -> list[tuple[str, int]]:
    """Return the attempts that have begun and have no outcome."""
    return db.execute(
        "SELECT task, attempt FROM attempts EXCEPT SELECT task, attempt FROM outcomes"
    ).fetchall()


def store(events: list[podrunner.RunnerEvent]) -> None:
    """Store outcomes, and what follows from them, in one transaction. One that comes again changes nothing."""
    with db:
        for event in events:
            if event.outcome is None:
                continue
            task, attempt, outcome = event.key.parts["task"], event.key.attempt, event.outcome
            row = (event.uid or str(event.key), task, attempt, outcome.category, outcome.exit_code)
            new = db.execute("INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?, ?, ?)", row).rowcount
            if new and not outcome.succeeded and attempt < TRIES:
                begin(task, attempt + 1)


def workload(task: str, attempt: int) -> podrunner.Workload:
    """Return what to run: after a restart, of the same key and attempt."""
    return podrunner.Workload(
        key=podrunner.WorkloadKey({"task": task}, attempt=attempt),
        command=["sh", "-c", TASKS[task]],
        env={"TRY": str(attempt)},
    )


with db:
    for task in TASKS:
        begin(task, 1)
with podrunner.PodRunner(
    config, on_exit="detach"
) as runner:  # an error here leaves the pods to the next start
    runner.adopt()
    submitted: set[tuple[str, int]] = set()
    print(f"{len(unfinished())} attempts to do", flush=True)
    while due := unfinished():
        for task, attempt in due:
            if (task, attempt) not in submitted:
                runner.submit(workload(task, attempt))
                submitted.add((task, attempt))
        time.sleep(HEARTBEAT_S)
        events = runner.poll_events()  # coming back for more delivers what is stored by now
        store(events)
        for event in events:
            if event.kind is podrunner.EventKind.LOST:
                sys.exit(f"another scheduler has {event.key}: {event.message}")
    # Nothing is left to run. What was stored last, and what was adopted, is delivered.
    runner.wait_all()
    while events := runner.poll_events():
        store(events)
        runner.wait_all()
    runner.wait_all()  # the pods of the last batch are deleted

for task, attempt, category in db.execute(
    "SELECT task, attempt, category FROM outcomes ORDER BY task, attempt"
):
    print(f"{task} #{attempt} {category}")
