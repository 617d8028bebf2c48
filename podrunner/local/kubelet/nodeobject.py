"""The Node object of this machine."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

from podrunner.local.kubelet.container import time_text

if TYPE_CHECKING:
    from podrunner.local.kubelet.context import Node

__all__ = ["ISOLATION_ANNOTATION", "capacity_here", "node_object"]

ISOLATION_ANNOTATION = "local.podrunner.io/isolation"
PODS = "110000"
"""A node of a cluster takes 110 pods by default; scripted ones come in thousands, and they cost nothing."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def capacity_here() -> dict[str, str]:
    """Return what this machine has, as quantities."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    except (ValueError, OSError):
        memory = 8 << 20
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory}Ki",
        "ephemeral-storage": "100Gi",
        "pods": PODS,
    }


def node_object(node: Node) -> dict[str, Any]:
    """Return the Node object to store."""
    machine = platform.machine()
    architecture = _ARCHITECTURES.get(machine, machine)
    system = platform.system().lower()
    labels = {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": system,
        "kubernetes.io/arch": architecture,
    }
    return {
        "metadata": {
            "name": node.name,
            "labels": {**labels, "node-role.kubernetes.io/control-plane": ""},
            "annotations": {ISOLATION_ANNOTATION: str(node.isolation)},
        },
        "spec": {},
        "status": {
            "capacity": dict(node.capacity),
            "allocatable": dict(node.capacity),
            "conditions": [_condition(kind, now=time_text(node.now())) for kind in _CONDITIONS],
            "addresses": [
                {"type": "InternalIP", "address": node.ip},
                {"type": "Hostname", "address": node.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
            "nodeInfo": _info(architecture, system),
        },
    }


_CONDITIONS = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}


def _condition(kind: str, *, now: str) -> dict[str, str]:
    status, reason, message = _CONDITIONS[kind]
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return {"type": kind, "status": status, **times, "reason": reason, "message": message}


def _info(architecture: str, system: str) -> dict[str, str]:
    return {
        "architecture": architecture,
        "bootID": "",
        "containerRuntimeVersion": "podrunner://local",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": "v1.34.4+podrunner",
        "machineID": "",
        "operatingSystem": system,
        "osImage": platform.platform(),
        "systemUUID": "",
    }
