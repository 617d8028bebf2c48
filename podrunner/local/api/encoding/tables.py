"""Tables as ``kubectl get`` prints them: the columns of each kind and the cells of each object.

kubectl prints what the server sends, so the columns are those of kube-apiserver 1.34. Objects in, cells out; which
objects, and how the table travels, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.local.api.encoding.ages import age
from podrunner.local.api.encoding.pod_rows import pod_cells, pod_conditions

if TYPE_CHECKING:
    from podrunner.local.api.resources import ResourceType

__all__ = ["columns", "row"]

Json = Mapping[str, Any]
Cells = Callable[[Json, float], list[Any]]
_NONE = "<none>"


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one kind is printed. A column is its name; ``+`` before it: only ``-o wide``; ``#``: an integer."""

    columns: tuple[str, ...]
    cells: Cells


def columns(kind: ResourceType) -> list[dict[str, Any]]:
    """Return ``columnDefinitions`` of a kind."""
    return [_column(text) for text in _layout(kind).columns]


def row(kind: ResourceType, obj: Json, *, now: float) -> dict[str, Any]:
    """Return one row, without its object; ``now`` is in seconds since the epoch."""
    made: dict[str, Any] = {"cells": _layout(kind).cells(obj, now)}
    if kind.storage == "pods" and pod_conditions(obj):
        made["conditions"] = pod_conditions(obj)
    return made


def _column(text: str) -> dict[str, Any]:
    name = text.lstrip("+#")
    return {
        "name": name,
        "type": _TYPES.get(name, "integer" if "#" in text else "string"),
        "format": "name" if name == "Name" else "",
        "description": f"{name} of the object",
        "priority": 1 if text.startswith("+") else 0,
    }


_TYPES = {"Global-Default": "boolean", "Created At": "date"}


def _layout(kind: ResourceType) -> _Layout:
    return _LAYOUTS.get(kind.storage, _PLAIN)


def _created(obj: Json) -> str | None:
    created: str | None = obj["metadata"].get("creationTimestamp")
    return created


def _simple(*readers: Callable[[Json], Any]) -> Cells:
    """Name, what the readers read, age."""
    return lambda obj, now: [
        obj["metadata"]["name"],
        *(read(obj) for read in readers),
        age(_created(obj), now),
    ]


def _at(*path: str, default: Any = "") -> Callable[[Json], Any]:
    def read(obj: Json) -> Any:
        found: Any = obj
        for part in path:
            found = (found or {}).get(part)
        return default if found is None or found == "" else found

    return read


def _count(*fields: str) -> Callable[[Json], int]:
    return lambda obj: sum(len(obj.get(field) or ()) for field in fields)


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(modes: list[str] | None) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or ()))


def _phase(obj: Json) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else str(_at("status", "phase")(obj))


def _class(obj: Json) -> str:
    old = (obj["metadata"].get("annotations") or {}).get("volume.beta.kubernetes.io/storage-class")
    return str(old or _at("spec", "storageClassName")(obj))


def _volume_cells(obj: Json, now: float) -> list[Any]:
    claim = _at("spec", "claimRef", default={})(obj)
    return [
        obj["metadata"]["name"],
        _at("spec", "capacity", "storage", default="0")(obj),
        _modes(_at("spec", "accessModes", default=[])(obj)),
        _at("spec", "persistentVolumeReclaimPolicy")(obj),
        _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        _at("spec", "volumeAttributesClassName", default="<unset>")(obj),
        _at("status", "reason")(obj),
        age(_created(obj), now),
        _at("spec", "volumeMode", default="<unset>")(obj),
    ]


def _claim_cells(obj: Json, now: float) -> list[Any]:
    bound = bool(_at("spec", "volumeName")(obj))
    return [
        obj["metadata"]["name"],
        _phase(obj),
        _at("spec", "volumeName")(obj),
        _at("status", "capacity", "storage", default="0")(obj) if bound else "",
        _modes(_at("status", "accessModes", default=[])(obj)) if bound else "",
        _class(obj),
        _at("spec", "volumeAttributesClassName", default="<unset>")(obj),
        age(_created(obj), now),
        _at("spec", "volumeMode", default="<unset>")(obj),
    ]


def _event_cells(obj: Json, now: float) -> list[Any]:
    about, source, series = obj.get("involvedObject") or {}, obj.get("source") or {}, obj.get("series") or {}
    first = age(obj.get("firstTimestamp") or obj.get("eventTime"), now)
    last = age(obj["lastTimestamp"], now) if obj.get("lastTimestamp") else first
    component = source.get("component") or obj.get("reportingComponent") or ""
    instance = source.get("host") or obj.get("reportingInstance") or ""
    return [
        age(series.get("lastObservedTime"), now) if series else last,
        obj.get("type", ""),
        obj.get("reason", ""),
        "/".join(part for part in (about.get("kind", "").lower(), about.get("name", "")) if part),
        about.get("fieldPath", ""),
        ", ".join(part for part in (component, instance) if part),
        obj.get("message", "").strip(),
        first,
        str(series.get("count") or obj.get("count") or 1),
        obj["metadata"]["name"],
    ]


def _node_cells(obj: Json, now: float) -> list[Any]:
    info = _at("status", "nodeInfo", default={})(obj)
    return [
        obj["metadata"]["name"],
        _node_status(obj),
        ",".join(_roles(obj["metadata"].get("labels") or {})) or _NONE,
        age(_created(obj), now),
        info.get("kubeletVersion", ""),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _node_status(obj: Json) -> str:
    conditions = {each["type"]: each["status"] for each in _at("status", "conditions", default=[])(obj)}
    words = "Unknown"
    if "Ready" in conditions:
        words = "Ready" if conditions["Ready"] == "True" else "NotReady"
    return f"{words},SchedulingDisabled" if _at("spec", "unschedulable")(obj) else words


def _roles(labels: Mapping[str, str]) -> list[str]:
    prefix = "node-role.kubernetes.io/"
    found = {key.removeprefix(prefix) for key in labels if key.startswith(prefix)}
    return sorted(found | {labels.get("kubernetes.io/role", "")} - {""})


def _address(obj: Json, kind: str) -> str:
    addresses = _at("status", "addresses", default=[])(obj)
    return next((each["address"] for each in addresses if each["type"] == kind), _NONE)


def _service_cells(obj: Json, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    ips = spec.get("clusterIPs") or ()
    return [
        obj["metadata"]["name"],
        spec.get("type", ""),
        ips[0] if ips else _NONE,
        _external(spec),
        ",".join(map(_port, spec.get("ports") or ())) or _NONE,
        age(_created(obj), now),
        selector or _NONE,
    ]


def _external(spec: Json) -> str:
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    nothing = "<pending>" if spec.get("type") == "LoadBalancer" else _NONE
    return ",".join(spec.get("externalIPs") or ()) or nothing


def _port(port: Json) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"


def _endpoints(obj: Json) -> str:
    found = [
        f"{address['ip']}:{port['port']}" if port else address["ip"]
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or (None,)
        for address in subset.get("addresses") or ()
    ]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) + more) or _NONE


def _quota_cells(obj: Json, now: float) -> list[Any]:
    hard, used = _at("status", "hard", default={})(obj), _at("status", "used", default={})(obj)
    shown = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    requests = [text for name, text in shown.items() if not name.startswith("limits.")]
    limits = [text for name, text in shown.items() if name.startswith("limits.")]
    return [obj["metadata"]["name"], ", ".join(requests), ", ".join(limits), age(_created(obj), now)]


def _binding_cells(obj: Json, now: float) -> list[Any]:
    ref, subjects = obj.get("roleRef") or {}, obj.get("subjects") or ()

    def named(kind: str) -> str:
        return ", ".join(_subject(each) for each in subjects if each.get("kind") == kind)

    role = f"{ref.get('kind', '')}/{ref.get('name', '')}"
    people = [named(kind) for kind in ("User", "Group", "ServiceAccount")]
    return [obj["metadata"]["name"], role, age(_created(obj), now), *people]


def _subject(subject: Json) -> str:
    if subject.get("kind") == "ServiceAccount":
        return f"{subject.get('namespace', '')}/{subject.get('name', '')}"
    return str(subject.get("name", ""))


def _class_cells(obj: Json, now: float) -> list[Any]:
    marks = obj["metadata"].get("annotations") or {}
    default = " (default)" if marks.get("storageclass.kubernetes.io/is-default-class") == "true" else ""
    return [
        obj["metadata"]["name"] + default,
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion", False)),
        age(_created(obj), now),
    ]


def _priority_cells(obj: Json, now: float) -> list[Any]:
    default = bool(obj.get("globalDefault", False))
    created = age(_created(obj), now)
    return [obj["metadata"]["name"], obj.get("value", 0), default, created, obj.get("preemptionPolicy", "")]


_PLAIN = _Layout(("Name", "Created At"), lambda obj, _now: [obj["metadata"]["name"], _created(obj)])
_BINDING = _Layout(("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"), _binding_cells)

_LAYOUTS: dict[str, _Layout] = {
    "pods": _Layout(
        ("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"),
        lambda obj, now: pod_cells(obj, now=now),
    ),
    "configmaps": _Layout(("Name", "Data", "Age"), _simple(_count("data", "binaryData"))),
    "secrets": _Layout(("Name", "Type", "Data", "Age"), _simple(_at("type"), _count("data"))),
    "namespaces": _Layout(("Name", "Status", "Age"), _simple(_at("status", "phase"))),
    "serviceaccounts": _Layout(("Name", "Secrets", "Age"), _simple(_count("secrets"))),
    "leases": _Layout(("Name", "Holder", "Age"), _simple(_at("spec", "holderIdentity"))),
    "endpoints": _Layout(("Name", "Endpoints", "Age"), _simple(_endpoints)),
    "resourcequotas": _Layout(("Name", "Request", "Limit", "Age"), _quota_cells),
    "persistentvolumes": _Layout(
        (
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "+VolumeMode",
        ),
        _volume_cells,
    ),
    "persistentvolumeclaims": _Layout(
        (
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "+VolumeMode",
        ),
        _claim_cells,
    ),
    "events": _Layout(
        (
            "Last Seen",
            "Type",
            "Reason",
            "Object",
            "+Subobject",
            "+Source",
            "Message",
            "+First Seen",
            "+Count",
            "+Name",
        ),
        _event_cells,
    ),
    "nodes": _Layout(
        (
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "+Internal-IP",
            "+External-IP",
            "+OS-Image",
            "+Kernel-Version",
            "+Container-Runtime",
        ),
        _node_cells,
    ),
    "services": _Layout(
        ("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"), _service_cells
    ),
    "rolebindings": _BINDING,
    "clusterrolebindings": _BINDING,
    "priorityclasses": _Layout(
        ("Name", "#Value", "Global-Default", "Age", "PreemptionPolicy"), _priority_cells
    ),
    "storageclasses": _Layout(
        ("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
        _class_cells,
    ),
}
