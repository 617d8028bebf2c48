"""A made-up night of a workflow engine, the same each time: most pods succeed, some wait, fail and are tried again."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from podrunner.gantt.records import PodRecord

__all__ = ["HOSTILE", "night"]

BEGINS_S = 1_795_831_200.0  # 2026-11-28 02:00 UTC
HOSTILE = "</script><script>window.hostile=1</script><img src=x onerror=window.hostile=1>"
ENDS = (
    ("failed", "workload", "container base ended with exit code 3"),
    ("oom-killed", "workload", "container base went over its memory limit of 512Mi"),
    ("evicted", "infrastructure", "Evicted: The node was low on resource: memory."),
    ("preempted", "infrastructure", "Preempted by a pod of higher priority"),
    ("node-lost", "infrastructure", "node worker-2 has not reported for 300 s"),
)
FINAL = (
    ("image", "configuration", 'ErrImagePull: failed to pull image "registry.example/load:8": not found'),
    ("unschedulable", "infrastructure", "0/3 nodes are available: 3 Insufficient cpu."),
    ("cancelled", "caller", "cancelled by its owner"),
)
TASKS = ("extract", "clean", "join", "load", "report")


def night(workloads: int) -> list[PodRecord]:
    """Return the pods of so many workloads, over ten minutes."""
    random = Random(workloads)
    return [each for number in range(workloads) for each in _tries(number, workloads, random)]


def _tries(number: int, workloads: int, random: Random) -> Iterator[PodRecord]:
    task = f"dag_id=nightly,task_id={TASKS[number % len(TASKS)]}-{number // len(TASKS):02}"
    key = HOSTILE if number == 33 else task
    at = BEGINS_S + 480 * number / workloads
    for attempt in (1, 2, 3):
        made = _pod(key, attempt, number, at, random)
        yield made
        if made.category in {"", "succeeded", "image", "unschedulable", "cancelled"}:
            return
        at = (made.finished or at) + 4


def _pod(key: str, attempt: int, number: int, at: float, random: Random) -> PodRecord:
    luck = random.random()
    outcome = (
        ("succeeded", "", "")
        if luck > 0.22
        else ENDS[int(luck / 0.18 * 5)]
        if luck < 0.18
        else FINAL[number % 3]
    )
    created = at + random.uniform(0.5, 9)
    scheduled = created + random.uniform(0.3, 8)
    initializing = scheduled + random.uniform(1, 5) if number % 4 == 0 else None
    initialized = initializing + random.uniform(2, 7) if initializing else None
    started = (initialized or scheduled) + random.uniform(1, 9)
    finished = started + random.uniform(15, 95)
    facts = {"key": key, "attempt": attempt, "namespace": "airflow", "pod": f"nightly-{number:04}-{attempt}"}
    times = {"submitted": at, "created": created, "scheduled": scheduled, "seen": BEGINS_S + 600}
    node = f"worker-{random.randrange(1, 4)}"
    if outcome[0] in {"image", "unschedulable"}:
        waited = {"deleted": created + 60, "gone": created + 62}
        where = {"node": node} if outcome[0] == "image" else {"scheduled": None}
        return PodRecord(**{**facts, **times, **waited, **where}, uid=f"{number}-{attempt}", **_end(outcome))
    ran = {"initializing": initializing, "initialized": initialized, "started": started, "node": node}
    if finished > BEGINS_S + 600:
        return PodRecord(**{**facts, **times, **ran}, uid=f"{number}-{attempt}", status="Running")
    over = {"finished": finished, "deleted": finished + 1, "gone": finished + random.uniform(3, 9)}
    exit_code = {"succeeded": 0, "failed": 3, "oom-killed": 137}.get(outcome[0])
    return PodRecord(
        **{**facts, **times, **ran, **over}, uid=f"{number}-{attempt}", exit_code=exit_code, **_end(outcome)
    )


def _end(outcome: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("category", "fault", "message"), outcome, strict=True))
