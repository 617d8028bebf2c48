"""Defaults of fields that a writer left out (``pkg/apis/core/v1/defaults.go`` and its neighbours)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["containers_of", "default_pod", "set_defaults"]

Json = dict[str, Any]


def set_defaults(storage: str, obj: Json) -> None:
    """Fill in the defaults of a kind, in place."""
    if storage in _DEFAULTS:
        _DEFAULTS[storage](obj)


def containers_of(spec: Json) -> Iterator[Json]:
    """Containers, init containers and ephemeral containers of a pod spec."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def default_pod(pod: Json) -> None:
    """Fill in a pod's defaults."""
    spec = pod.setdefault("spec", {})
    for field, value in _POD.items():
        if spec.get(field) is None:
            spec[field] = value
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in containers_of(spec):
        _default_container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        _default_volume(volume)
    if (pod.get("status") or {}).get("qosClass") is None and "status" in pod:
        pod["status"]["qosClass"] = qos_class(spec)


_POD: Json = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}


def _default_container(container: Json, *, host_network: bool) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = _pull_policy(container.get("image") or "")
    if container.get("resources") is None:
        container["resources"] = {}
    _default_requests(container["resources"])
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network:
            port.setdefault("hostPort", port.get("containerPort"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name):
            _default_probe(container[name])
    for variable in container.get("env") or ():
        _default_variable(variable)


def _default_requests(resources: Json) -> None:
    """Set requests that are missing to the limits."""
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    missing = {name: value for name, value in limits.items() if name not in requests}
    if missing:
        resources["requests"] = {**requests, **missing}


def _pull_policy(image: str) -> str:
    name = image.rsplit("/", 1)[-1]
    tag = "" if "@" in name else name.partition(":")[2] or "latest"
    return "Always" if tag == "latest" else "IfNotPresent"


def _default_probe(probe: Json) -> None:
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(field):
            probe[field] = value
    if probe.get("httpGet"):
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")
    if probe.get("grpc"):
        probe["grpc"].setdefault("service", "")


def _default_variable(variable: Json) -> None:
    reference = (variable.get("valueFrom") or {}).get("fieldRef")
    if reference:
        reference.setdefault("apiVersion", "v1")
    resource = (variable.get("valueFrom") or {}).get("resourceFieldRef")
    if resource:
        resource.setdefault("divisor", "0")


_MODES = {
    "configMap": "defaultMode",
    "secret": "defaultMode",
    "projected": "defaultMode",
    "downwardAPI": "defaultMode",
}
_MODE_0644 = 0o644


def _default_volume(volume: Json) -> None:
    kinds = [name for name in volume if name != "name"]
    if not kinds:
        volume["emptyDir"] = {}
    for kind in kinds:
        if kind in _MODES and isinstance(volume[kind], dict):
            volume[kind].setdefault("defaultMode", _MODE_0644)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        _default_items(source.get("downwardAPI") or {})
    _default_items(volume.get("downwardAPI") or {})


def _default_items(source: Json) -> None:
    for item in source.get("items") or ():
        if item.get("fieldRef"):
            item["fieldRef"].setdefault("apiVersion", "v1")


def qos_class(spec: Json) -> str:
    """Return ``Guaranteed``, ``Burstable`` or ``BestEffort``, from cpu and memory of all containers."""
    resources = [
        each.get("resources") or {}
        for field in ("initContainers", "containers")
        for each in spec.get(field) or ()
    ]
    requested = [(each.get("requests") or {}, each.get("limits") or {}) for each in resources]
    counted = ("cpu", "memory")
    if not any(name in either for pair in requested for either in pair for name in counted):
        return "BestEffort"
    guaranteed = all(
        name in limits and requests.get(name, limits[name]) == limits[name]
        for requests, limits in requested
        for name in counted
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _default_secret(obj: Json) -> None:
    if not obj.get("type"):
        obj["type"] = "Opaque"


def _default_event(obj: Json) -> None:
    """Fill in the fields that Go always writes."""
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        obj.setdefault(field, None)
    obj.setdefault("source", {})
    obj.setdefault("reportingComponent", "")
    obj.setdefault("reportingInstance", "")


def _default_claim(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("volumeMode"):
        spec["volumeMode"] = "Filesystem"


def _default_volume_object(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    for field, value in (("persistentVolumeReclaimPolicy", "Retain"), ("volumeMode", "Filesystem")):
        if not spec.get(field):
            spec[field] = value
    if "hostPath" in spec:
        spec["hostPath"].setdefault("type", "")


def _default_class(obj: Json) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def _default_service(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _default_priority(obj: Json) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _default_subjects(obj: Json) -> None:
    (obj.get("roleRef") or {}).setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in {"User", "Group"}:
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


_DEFAULTS: dict[str, Callable[[Json], None]] = {
    "pods": default_pod,
    "secrets": _default_secret,
    "events": _default_event,
    "persistentvolumeclaims": _default_claim,
    "persistentvolumes": _default_volume_object,
    "storageclasses": _default_class,
    "services": _default_service,
    "priorityclasses": _default_priority,
    "rolebindings": _default_subjects,
    "clusterrolebindings": _default_subjects,
}
