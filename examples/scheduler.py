"""A scheduler in one page: three tasks, one of which needs another try, in a loop that never waits for Kubernetes."""

from __future__ import annotations

import time

import podrunner

HEARTBEAT_S = 0.2
TRIES = 3

config = podrunner.RunnerConfig(
    cluster="local",  # without it, the runner uses your kubeconfig or service account
    delete_pods_on_failure=True,
)
# The second task fails at its first try only.
tasks = {"extract": "true", "load": 'test "$TRY" -gt 1', "report": "echo done"}


def workload(task: str, attempt: int) -> podrunner.Workload:
    """One attempt of one task."""
    return podrunner.Workload(
        key=podrunner.WorkloadKey({"task": task}, attempt=attempt),
        command=["sh", "-c", tasks[task]],
        env={"TRY": str(attempt)},
    )


with podrunner.PodRunner(config) as runner:
    for task in tasks:
        runner.submit(workload(task, 1))
    open_tasks = set(tasks)
    while open_tasks:
        for event in runner.poll_events():
            if event.outcome is None:
                continue
            task, attempt, outcome = event.key.parts["task"], event.key.attempt, event.outcome
            again = not outcome.succeeded and attempt < TRIES
            print(f"{task} #{attempt}: {outcome.category}" + (", again" if again else ""))
            if again:
                runner.submit(workload(task, attempt + 1))
            else:
                open_tasks.discard(task)
        health = runner.health()
        if health.stale or health.lease not in {"held", "off"}:
            # Missing events do not mean that nothing happened.
            print(f"stale data or lost Lease: {health}")
        time.sleep(HEARTBEAT_S)
