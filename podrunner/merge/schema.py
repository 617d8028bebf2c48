"""Which lists of Kubernetes' types are merged, and by which key.

The table follows the ``patchStrategy`` and ``patchMergeKey`` tags of Kubernetes 1.37 (``k8s.io/api`` core/v1,
apps/v1, batch/v1 and apimachinery's meta/v1). It holds only the fields that lead to a merged list: any other field is
merged if it is an object, and replaced if it is a list (``command``, ``tolerations``, ``projected.sources`` …).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Field", "Fields", "fields_of"]


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is merged.

    Attributes:
        merge_key: The member that names an element of the list; None if the field is no list of objects.
        scalars: Whether the field is a list of scalars that is merged as a set.
        fields: The table of the object, or of the list's elements.
    """

    merge_key: str | None = None
    scalars: bool = False
    fields: Mapping[str, Field] | None = None


Fields: TypeAlias = Mapping[str, Field]


def _by(key: str, fields: Fields | None = None) -> Field:
    return Field(merge_key=key, fields=fields)


def _inside(**fields: Field) -> Field:
    return Field(fields=fields)


_SET = Field(scalars=True)
_METADATA = _inside(ownerReferences=_by("uid"), finalizers=_SET)
_CONDITIONS = _inside(conditions=_by("type"))

_CONTAINER: Fields = {
    "ports": _by("containerPort"),
    "env": _by("name"),
    "volumeMounts": _by("mountPath"),
    "volumeDevices": _by("devicePath"),
}
_VOLUME: Fields = {"ephemeral": _inside(volumeClaimTemplate=_inside(metadata=_METADATA))}
_POD_SPEC = _inside(
    volumes=_by("name", _VOLUME),
    initContainers=_by("name", _CONTAINER),
    containers=_by("name", _CONTAINER),
    ephemeralContainers=_by("name", _CONTAINER),
    imagePullSecrets=_by("name"),
    hostAliases=_by("ip"),
    topologySpreadConstraints=_by("topologyKey"),
    schedulingGates=_by("name"),
    resourceClaims=_by("name"),
    evictionResponders=_by("name"),
)
_POD_STATUS = _inside(
    conditions=_by("type"),
    hostIPs=_by("ip"),
    podIPs=_by("ip"),
    resourceClaimStatuses=_by("name"),
    nodeAllocatableResourceClaimStatuses=_by(
        "resourceClaimName", {"mapping": _by("name"), "overhead": _by("name")}
    ),
)
_POD_TEMPLATE = _inside(metadata=_METADATA, spec=_POD_SPEC)
_WORKLOAD_SPEC = _inside(template=_POD_TEMPLATE)

_OBJECT: Fields = {"metadata": _METADATA}

_KINDS: Mapping[str, Fields] = {
    "Pod": {"metadata": _METADATA, "spec": _POD_SPEC, "status": _POD_STATUS},
    "PodTemplate": {"metadata": _METADATA, "template": _POD_TEMPLATE},
    "PersistentVolumeClaim": {
        "metadata": _METADATA,
        "status": _inside(conditions=_by("type"), healthStatus=_inside(healthConditions=_by("status"))),
    },
    "Service": {
        "metadata": _METADATA,
        "spec": _inside(ports=_by("port")),
        "status": _CONDITIONS,
    },
    "ServiceAccount": {"metadata": _METADATA, "secrets": _by("name")},
    "Node": {
        "metadata": _METADATA,
        "spec": _inside(podCIDRs=_SET),
        "status": _inside(conditions=_by("type"), addresses=_by("type")),
    },
    "Namespace": {"metadata": _METADATA, "status": _CONDITIONS},
    "ReplicationController": {"metadata": _METADATA, "spec": _WORKLOAD_SPEC, "status": _CONDITIONS},
    "ReplicaSet": {"metadata": _METADATA, "spec": _WORKLOAD_SPEC, "status": _CONDITIONS},
    "Deployment": {"metadata": _METADATA, "spec": _WORKLOAD_SPEC, "status": _CONDITIONS},
    "StatefulSet": {"metadata": _METADATA, "spec": _WORKLOAD_SPEC, "status": _CONDITIONS},
    "DaemonSet": {"metadata": _METADATA, "spec": _WORKLOAD_SPEC, "status": _CONDITIONS},
    "Job": {"metadata": _METADATA, "spec": _WORKLOAD_SPEC, "status": _CONDITIONS},
    "CronJob": {
        "metadata": _METADATA,
        "spec": _inside(jobTemplate=_inside(metadata=_METADATA, spec=_WORKLOAD_SPEC)),
    },
}


def fields_of(kind: str) -> Fields:
    """Return the table of a kind; for an unknown kind, the table of every object's metadata."""
    return _KINDS.get(kind, _OBJECT)
