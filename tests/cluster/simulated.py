"""Simulated nodes: kwok acts as the kubelet of a node without processes, on the real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from control import Control

NODE = "simulated"
PLACEMENT = {
    "node_selector": {"kubernetes.io/hostname": NODE},
    "tolerations": [{"key": "simulated", "operator": "Exists"}],
}
"""Settings of a workload that runs on the simulated node."""

RUNNING_MS = 500
RUNNING = "simulated.podrunner.io/running"
"""Annotation with the time that a pod runs, if it is another one: a Go duration such as ``7.5s``."""

_STATUS = """
startTime: {{ Now | Quote }}
podIP: 10.200.0.1
phase: %(phase)s
conditions:
- {type: Ready, status: "%(ready)s", lastTransitionTime: {{ Now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: %(ready)s
  restartCount: 0
  state: %(state)s
{{ end }}
"""
_RUNNING = {"phase": "Running", "ready": "true", "state": "{running: {startedAt: {{ Now | Quote }}}}"}
_ENDED = {
    "phase": "Succeeded",
    "ready": "false",
    "state": "{terminated: {exitCode: 0, reason: Completed, "
    "startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }}}}",
}

_RUNS: dict[str, object] = {
    "durationMilliseconds": RUNNING_MS,
    "durationFrom": {"expressionFrom": f'.metadata.annotations["{RUNNING}"]'},
}


def stages() -> str:
    """Return kwok's configuration: a pod runs once it is bound, succeeds soon after, and goes when it is deleted."""
    phase = ".status.phase"
    return "\n---\n".join(
        json.dumps(stage)
        for stage in (
            _stage("run", [_is(phase, "Pending")], statusTemplate=_STATUS % _RUNNING),
            _stage("end", [_is(phase, "Running")], delay=_RUNS, statusTemplate=_STATUS % _ENDED),
            _stage("go", [], deleted=True, delete=True, finalizers={"empty": True}),
        )
    )


def _is(key: str, value: str) -> dict[str, object]:
    return {"key": key, "operator": "In", "values": [value]}


def _stage(
    name: str,
    when: list[dict[str, object]],
    *,
    deleted: bool = False,
    delay: dict[str, object] | None = None,
    **then: object,
) -> dict[str, object]:
    marked = {"key": ".metadata.deletionTimestamp", "operator": "Exists" if deleted else "DoesNotExist"}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": [marked, *when]},
            "delay": delay or {},
            "next": then,
        },
    }


@contextmanager
def simulated_node(control: Control, admin: httpx.Client) -> Iterator[None]:
    """Create a Ready node without processes for any number of pods; other pods are not scheduled to it."""
    label = {"kubernetes.io/hostname": NODE, "simulated": "true"}
    taint = {"key": "simulated", "value": "true", "effect": "NoSchedule"}
    node = {"metadata": {"name": NODE, "labels": label}, "spec": {"taints": [taint]}}
    (control.folder / "kwok.yaml").write_text(stages())
    control.start(
        "kwok", f"--config={control.folder}/kwok.yaml", "--manage-nodes-with-label-selector=simulated=true"
    )
    try:
        admin.post("/api/v1/nodes", json=node).raise_for_status()
        try:
            yield
        finally:
            admin.delete(f"/api/v1/nodes/{NODE}").raise_for_status()
    finally:
        control.stop("kwok")
