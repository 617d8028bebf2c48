"""Runs tasks in the order of their dependencies, each in a pod. Needs podrunner[local], and no cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import podrunner


class Task(NamedTuple):
    """A shell command, and the tasks that must have succeeded before."""

    command: str
    after: tuple[str, ...] = ()


def run_flow(
    config: podrunner.RunnerConfig, flow: str, tasks: Mapping[str, Task]
) -> dict[str, podrunner.Outcome]:
    """Run the tasks; return the outcome of each one that could begin."""
    done: dict[str, podrunner.Outcome] = {}
    queued: set[str] = set()
    with podrunner.PodRunner(config) as runner:
        while True:
            for name, task in tasks.items():
                if name not in queued and all(one in done and done[one].succeeded for one in task.after):
                    key = {"flow": flow, "task": name}
                    runner.run(podrunner.Workload(key=key, command=["sh", "-c", task.command]))
                    queued.add(name)
            if len(done) == len(queued):
                return done
            for event in runner.poll_events():
                if event.outcome is not None and not event.will_retry:
                    done[event.key.parts["task"]] = event.outcome
            time.sleep(0.05)


if __name__ == "__main__":
    nightly = {
        "extract": Task("echo 3 rows"),
        "load": Task("echo loading; exit 2", after=("extract",)),
        "report": Task("echo done", after=("load",)),
    }
    for name, outcome in run_flow(podrunner.RunnerConfig(cluster="local"), "nightly", nightly).items():
        print(f"{name}: {outcome}", *outcome.log_tail)
