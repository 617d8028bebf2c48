"""Pods as the commands' tables show them: one of each kind that a user meets."""

from __future__ import annotations

import json

from msgspec.structs import replace
from podrunner.builder.labels import ATTEMPT, KEY, MANAGED_BY, MANAGER, OWNER, RELAUNCH, SCOPE
from podrunner.outcome.record import ContainerResources, ContainerSpec, Pod
from tests.support.pods import condition, disrupted, ended, pod, runs, waits

__all__ = ["ALL", "BACK_OFF", "EVICTED", "FAILED", "NODE_LOST", "OOM", "RUNNING", "UNSCHEDULABLE", "keyed"]


def keyed(
    found: Pod,
    key: dict[str, str],
    *,
    attempt: int = 1,
    relaunch: int = 0,
    scope: str = "default",
    name: str = "",
) -> Pod:
    """Return a pod as podrunner makes it."""
    annotations = {KEY: json.dumps(key), ATTEMPT: str(attempt), OWNER: "runner-1", SCOPE: scope}
    if relaunch:
        annotations[RELAUNCH] = str(relaunch)
    named = name or "-".join(key.values()) + f"-{attempt}f00"
    meta = replace(
        found.metadata, name=named, uid=f"uid-{named}", labels={MANAGED_BY: MANAGER}, annotations=annotations
    )
    return replace(found, metadata=meta)


def _task(name: str) -> dict[str, str]:
    return {"dag_id": "nightly_warehouse", "task_id": name}


_LIMITED = (ContainerSpec(name="base", resources=ContainerResources(limits={"memory": "512Mi"})),)
_NO_NODE = (
    "0/5 nodes are available: 2 Insufficient memory, 3 node(s) had untolerated taint {gpu: true}. preemption: 0/5 "
    "nodes are available: 5 Preemption is not helpful for scheduling."
)

RUNNING = keyed(pod("Running", runs("base")), _task("load_orders"))
UNSCHEDULABLE = keyed(
    pod(
        conditions=(condition("PodScheduled", "False", reason="Unschedulable", message=_NO_NODE),), node=None
    ),
    _task("train_model"),
)
BACK_OFF = keyed(
    pod("Pending", waits("base", "ImagePullBackOff", 'Back-off pulling image "registry.example/app:v9"')),
    _task("publish"),
)
OOM = keyed(
    pod("Failed", ended("base", 137, reason="OOMKilled"), containers=_LIMITED), _task("join"), attempt=2
)
EVICTED = keyed(
    pod("Failed", reason="Evicted", message="The node was low on resource: memory."), {"run": "report"}
)
NODE_LOST = keyed(
    pod("Failed", ended("base", 137), conditions=(disrupted("DeletionByPodGC", message="node not found"),)),
    {"run": "crawl"},
)
FAILED = keyed(pod("Failed", ended("base", 3)), {"run": "backup"})
SUCCEEDED = keyed(pod("Succeeded", ended("base")), {"run": "hello"})
ALL = [RUNNING, UNSCHEDULABLE, BACK_OFF, OOM, EVICTED, NODE_LOST, FAILED, SUCCEEDED]
