"""Cells of the kinds that only a whole cluster has."""

from __future__ import annotations

import pytest
from podrunner.local.api.encoding.ages import seconds_of
from podrunner.local.api.encoding.tables import columns, row
from podrunner.local.api.resources import BY_STORAGE

CREATED = "2026-01-31T00:00:00Z"
NOW = seconds_of("2026-01-31T00:05:00Z")


def cells(storage, name="x", **fields):
    meta = {"name": name, "creationTimestamp": CREATED, **fields.pop("metadata", {})}
    return row(BY_STORAGE[storage], {"metadata": meta, **fields}, now=NOW)["cells"]


NODE = {
    "metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge"}},
    "spec": {"unschedulable": True},
    "status": {
        "conditions": [{"type": "Ready", "status": "False"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {
            "kubeletVersion": "v1",
            "osImage": "os",
            "kernelVersion": "k",
            "containerRuntimeVersion": "c",
        },
    },
}
VOLUME = {
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": "n", "name": "c"},
        "storageClassName": "fast",
        "volumeMode": "Filesystem",
    },
    "status": {"phase": "Bound"},
}
CLAIM = {
    "metadata": {"deletionTimestamp": CREATED},
    "spec": {"volumeName": "v", "storageClassName": "fast"},
    "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
}
SUBJECTS = [
    {"kind": "User", "name": "u"},
    {"kind": "Group", "name": "g"},
    {"kind": "ServiceAccount", "name": "a", "namespace": "n"},
]
BINDING = {"roleRef": {"kind": "Role", "name": "r"}, "subjects": SUBJECTS}
PORTS = [{"port": 80, "protocol": "TCP"}, {"port": 81, "nodePort": 30000, "protocol": "UDP"}]
SERVICE = {
    "spec": {"type": "NodePort", "clusterIPs": ["10.1.1.1"], "ports": PORTS, "selector": {"b": "2", "a": "1"}}
}
ADDRESSES = [{"ip": f"10.0.0.{number}"} for number in range(4)]
CLASS = {
    "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "p",
    "allowVolumeExpansion": True,
}
SERIES = {
    "involvedObject": {"kind": "Node"},
    "eventTime": CREATED,
    "series": {"count": 7, "lastObservedTime": CREATED},
}


@pytest.mark.parametrize(
    ("storage", "obj", "expected"),
    [
        (
            "nodes",
            NODE,
            [
                "x",
                "NotReady,SchedulingDisabled",
                "control-plane,edge",
                "5m",
                "v1",
                "10.0.0.1",
                "<none>",
                "os",
                "k",
                "c",
            ],
        ),
        (
            "nodes",
            {},
            ["x", "Unknown", "<none>", "5m", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
        ),
        (
            "persistentvolumes",
            VOLUME,
            ["x", "1Gi", "RWO,RWX", "Retain", "Bound", "n/c", "fast", "<unset>", "", "5m", "Filesystem"],
        ),
        (
            "persistentvolumeclaims",
            CLAIM,
            ["x", "Terminating", "v", "1Gi", "RWO", "fast", "<unset>", "5m", "<unset>"],
        ),
        ("rolebindings", BINDING, ["x", "Role/r", "5m", "u", "g", "n/a"]),
        (
            "services",
            SERVICE,
            ["x", "NodePort", "10.1.1.1", "<none>", "80/TCP,81:30000/UDP", "5m", "a=1,b=2"],
        ),
        (
            "services",
            {"spec": {"type": "ExternalName", "externalName": "e"}},
            ["x", "ExternalName", "<none>", "e", "<none>", "5m", "<none>"],
        ),
        (
            "services",
            {"spec": {"type": "LoadBalancer"}},
            ["x", "LoadBalancer", "<none>", "<pending>", "<none>", "5m", "<none>"],
        ),
        (
            "endpoints",
            {"subsets": [{"addresses": ADDRESSES, "ports": [{"port": 1}]}]},
            ["x", "10.0.0.0:1,10.0.0.1:1,10.0.0.2:1 + 1 more...", "5m"],
        ),
        ("endpoints", {"subsets": [{"addresses": ADDRESSES[:1]}]}, ["x", "10.0.0.0", "5m"]),
        ("endpoints", {}, ["x", "<none>", "5m"]),
        ("storageclasses", CLASS, ["x (default)", "p", "Delete", "Immediate", True, "5m"]),
        ("priorityclasses", {"value": 5, "preemptionPolicy": "Never"}, ["x", 5, False, "5m", "Never"]),
        ("namespaces", {"status": {"phase": "Active"}}, ["x", "Active", "5m"]),
        ("roles", {}, ["x", CREATED]),
        ("events", SERIES, ["5m", "", "", "node", "", "", "", "5m", "7", "x"]),
        (
            "resourcequotas",
            {"status": {"hard": {"pods": "2", "limits.cpu": "4"}, "used": {"pods": "1"}}},
            ["x", "pods: 1/2", "limits.cpu: 0/4", "5m"],
        ),
    ],
)
def test_cells(storage, obj, expected):
    assert (
        cells(
            storage, **{key: dict(value) if isinstance(value, dict) else value for key, value in obj.items()}
        )
        == expected
    )


@pytest.mark.parametrize("storage", sorted(name for name, kind in BY_STORAGE.items() if kind.stored))
def test_each_row_has_a_cell_for_each_column(storage):
    if storage == "pods":
        return
    assert len(cells(storage)) == len(columns(BY_STORAGE[storage]))


def test_a_pod_that_is_over_says_so_in_its_row():
    made = row(BY_STORAGE["pods"], {"metadata": {"name": "p"}, "status": {"phase": "Failed"}}, now=NOW)
    assert made["conditions"][0]["reason"] == "Failed"
