"""The pods of the stub server: what a real API server makes of a manifest, and the status at each stage. Pure.

A pod is about as large as a real one (5 to 6 KB): managedFields of two writers, a defaulted specification, conditions.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["FINAL", "Stage", "admitted", "status_of"]

Json = dict[str, Any]
Stage = int
SCHEDULED: Final = 1
FINAL: Final = 4
"""The stages: 0 pending, 1 scheduled, 2 being created, 3 running, 4 over."""

NODE: Final = "node-017.pool-batch.example.internal"
_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_ONLY_WHILE_RUNNING: Final = ("Ready", "ContainersReady")
_IMAGE_ID: Final = "registry.example.com/data/worker@sha256:" + "4" * 64
_CONTAINER_ID: Final = "containerd://" + "5" * 64
_TOKEN_MOUNT: Final = {
    "name": "kube-api-access-x7k2p",
    "readOnly": True,
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
}
_TOKEN_SOURCES: Final = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
            ]
        }
    },
]
_DEFAULTS: Final = {
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
    "enableServiceLinks": True,
    "tolerations": [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    ],
}
_CONTAINER_DEFAULTS: Final = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}


def _managed_fields() -> list[Json]:
    """Return what a server notes about the fields of two writers, about 2.5 KB."""
    spec = ("command", "env", "image", "imagePullPolicy", "name", "resources", "terminationMessagePath")
    of_client = {"f:metadata": _names("annotations", "labels", "name"), "f:spec": _names(*spec, "volumes")}
    of_kubelet = {
        "f:status": {f'k:{{"type":"{name}"}}': _names("lastProbeTime", "status") for name in _CONDITIONS}
    }
    return [
        {
            "manager": name,
            "operation": "Update",
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        for name, fields in (("podrunner", of_client), ("kubelet", of_kubelet))
    ]


def _names(*names: str) -> Json:
    return {f"f:{name}": {".": {}, **{f"f:{name}-{part}": {} for part in range(4)}} for name in names}


_MANAGED_FIELDS: Final = _managed_fields()


def admitted(manifest: Json, *, namespace: str, uid: str, now: str) -> Json:
    """Return the pod that a server keeps for a manifest: identity, defaults, a pending status."""
    given = dict(manifest["metadata"])
    meta = {  # in the order in which a real server writes it, which decoders may expect
        "name": given.pop("name"),
        "namespace": namespace,
        "uid": uid,
        "resourceVersion": "",
        "generation": 1,
        "creationTimestamp": now,
        **given,
        "managedFields": _MANAGED_FIELDS,
    }
    spec = {**_DEFAULTS, **manifest["spec"]}
    spec["containers"] = [
        {**_CONTAINER_DEFAULTS, **each, "volumeMounts": [*each.get("volumeMounts", []), _TOKEN_MOUNT]}
        for each in spec["containers"]
    ]
    token = {"name": "kube-api-access-x7k2p", "projected": {"sources": _TOKEN_SOURCES, "defaultMode": 420}}
    spec["volumes"] = [*spec.get("volumes", []), token]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": meta,
        "spec": spec,
        "status": status_of(0, name="", image="", now=now),
    }


def status_of(
    stage: Stage, *, name: str, image: str, now: str, exit_code: int = 0, started: str = "", reason: str = ""
) -> Json:
    """Return the status of a pod of one container.

    Args:
        stage: Of the pod.
        name: Of the container.
        image: Of the container.
        now: The present time as a stamp.
        exit_code: How it ended, at the last stage.
        started: When it started, from the running stage on.
        reason: Why the pod as a whole failed; "": it did not.
    """
    if stage == 0:
        return {"phase": "Pending", "qosClass": "BestEffort"}
    if stage == SCHEDULED:
        scheduled = _condition("PodScheduled", now, is_true=True)
        return {"phase": "Pending", "conditions": [scheduled], "qosClass": "BestEffort"}
    running = stage == FINAL - 1
    conditions = [
        _condition(each, now, is_true=running or each not in _ONLY_WHILE_RUNNING) for each in _CONDITIONS
    ]
    status = {
        "phase": _phase(stage, exit_code),
        "conditions": conditions,
        "hostIP": "10.0.3.17",
        "hostIPs": [{"ip": "10.0.3.17"}],
        "startTime": started or now,
        "containerStatuses": [_container(stage, name, image, now, exit_code, started)],
        "qosClass": "BestEffort",
    }
    if stage >= FINAL - 1:
        status |= {"podIP": "10.244.1.17", "podIPs": [{"ip": "10.244.1.17"}]}
    return status | ({"reason": reason} if reason else {})


def _phase(stage: Stage, exit_code: int) -> str:
    if stage < FINAL:
        return "Running" if stage == FINAL - 1 else "Pending"
    return "Failed" if exit_code else "Succeeded"


def _condition(name: str, now: str, *, is_true: bool) -> Json:
    status = "True" if is_true else "False"
    return {"type": name, "status": status, "lastProbeTime": None, "lastTransitionTime": now}


def _container(stage: Stage, name: str, image: str, now: str, exit_code: int, started: str) -> Json:
    running = stage == FINAL - 1
    states: dict[Stage, Json] = {
        2: {"waiting": {"reason": "ContainerCreating"}},
        3: {"running": {"startedAt": started}},
        4: {
            "terminated": {
                "exitCode": exit_code,
                "reason": "Error" if exit_code else "Completed",
                "startedAt": started,
                "finishedAt": now,
                "containerID": _CONTAINER_ID,
            }
        },
    }
    found: Json = {
        "name": name,
        "state": states[stage],
        "lastState": {},
        "ready": running,
        "started": running,
        "restartCount": 0,
        "image": image,
        "imageID": _IMAGE_ID if stage >= FINAL - 1 else "",
    }
    return found | ({"containerID": _CONTAINER_ID} if stage >= FINAL - 1 else {})
