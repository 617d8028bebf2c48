"""The kinds of object that LocalCluster serves: names, groups, verbs, subresources.

This is the one table that routing, discovery, storage and printing read. What a kind *means* (its defaults, its
rules) does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ALL", "BY_PATH", "BY_STORAGE", "ResourceType", "Subresource", "group_versions"]

_EVERY_VERB = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object, such as ``pods/log``.

    Attributes:
        name: Last part of its path.
        kind: Kind that it reads or writes.
        verbs: What may be done with it.
        group: API group of ``kind``, where it is not that of its parent.
        version: Version of ``kind``, where it is not that of its parent.
    """

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One kind of object in one API group and version.

    Attributes:
        plural: Name in paths (``pods``).
        kind: Name in objects (``Pod``).
        group: API group, "" for the core.
        version: Version in that group.
        namespaced: Whether objects live in a namespace.
        short_names: What users type (``po``).
        verbs: Verbs served; a kind with only ``create`` is a question, never stored.
        subresources: Paths below an object.
        categories: Sets it belongs to, such as ``all``.
        storage: Name in the store; two views of one kind share it.
        selectable: Fields that a field selector may name, beside ``metadata.name`` and ``metadata.namespace``.
    """

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _EVERY_VERB
    subresources: tuple[Subresource, ...] = ()
    categories: tuple[str, ...] = ()
    selectable: tuple[str, ...] = field(default=())

    @property
    def storage(self) -> str:
        """Name in the store."""
        return self.plural

    @property
    def singular(self) -> str:
        """Lower-case kind, as discovery names it."""
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        """``v1``, or ``coordination.k8s.io/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored(self) -> bool:
        """Whether objects are kept: reviews are answered and forgotten."""
        return "get" in self.verbs

    def subresource(self, name: str) -> Subresource | None:
        """Return the subresource of that name, or None."""
        return next((each for each in self.subresources if each.name == name), None)


_READ_WRITE = ("get", "patch", "update")


def _status(kind: str) -> Subresource:
    return Subresource("status", kind, _READ_WRITE)


_POD_SUBRESOURCES = (
    Subresource("attach", "PodAttachOptions", ("create", "get")),
    Subresource("binding", "Binding", ("create",)),
    Subresource("eviction", "Eviction", ("create",), group="policy", version="v1"),
    Subresource("exec", "PodExecOptions", ("create", "get")),
    Subresource("log", "Pod", ("get",)),
    Subresource("portforward", "PodPortForwardOptions", ("create", "get")),
    _status("Pod"),
)
_POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)
_TOKEN = Subresource("token", "TokenRequest", ("create",), group="authentication.k8s.io", version="v1")
_FINALIZE = Subresource("finalize", "Namespace", ("update",))
_QUESTION = ("create",)
_RBAC = "rbac.authorization.k8s.io"
_AUTHENTICATION = "authentication.k8s.io"
_AUTHORIZATION = "authorization.k8s.io"

ALL: tuple[ResourceType, ...] = (
    ResourceType("bindings", "Binding", verbs=_QUESTION),
    ResourceType("configmaps", "ConfigMap", short_names=("cm",)),
    ResourceType("endpoints", "Endpoints", short_names=("ep",)),
    ResourceType("events", "Event", short_names=("ev",), selectable=_EVENT_FIELDS),
    ResourceType("limitranges", "LimitRange", short_names=("limits",)),
    ResourceType(
        "namespaces",
        "Namespace",
        namespaced=False,
        short_names=("ns",),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        subresources=(_FINALIZE, _status("Namespace")),
        selectable=("status.phase",),
    ),
    ResourceType(
        "nodes",
        "Node",
        namespaced=False,
        short_names=("no",),
        subresources=(_status("Node"),),
        selectable=("spec.unschedulable",),
    ),
    ResourceType(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short_names=("pvc",),
        subresources=(_status("PersistentVolumeClaim"),),
    ),
    ResourceType(
        "persistentvolumes",
        "PersistentVolume",
        namespaced=False,
        short_names=("pv",),
        subresources=(_status("PersistentVolume"),),
    ),
    ResourceType(
        "pods",
        "Pod",
        short_names=("po",),
        subresources=_POD_SUBRESOURCES,
        categories=("all",),
        selectable=_POD_FIELDS,
    ),
    ResourceType(
        "resourcequotas", "ResourceQuota", short_names=("quota",), subresources=(_status("ResourceQuota"),)
    ),
    ResourceType("secrets", "Secret", selectable=("type",)),
    ResourceType("serviceaccounts", "ServiceAccount", short_names=("sa",), subresources=(_TOKEN,)),
    ResourceType(
        "services",
        "Service",
        short_names=("svc",),
        subresources=(_status("Service"),),
        categories=("all",),
        selectable=("spec.clusterIP", "spec.type"),
    ),
    ResourceType(
        "selfsubjectreviews",
        "SelfSubjectReview",
        group=_AUTHENTICATION,
        namespaced=False,
        verbs=_QUESTION,
    ),
    ResourceType("tokenreviews", "TokenReview", group=_AUTHENTICATION, namespaced=False, verbs=_QUESTION),
    ResourceType(
        "localsubjectaccessreviews", "LocalSubjectAccessReview", group=_AUTHORIZATION, verbs=_QUESTION
    ),
    ResourceType(
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        group=_AUTHORIZATION,
        namespaced=False,
        verbs=_QUESTION,
    ),
    ResourceType(
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        group=_AUTHORIZATION,
        namespaced=False,
        verbs=_QUESTION,
    ),
    ResourceType(
        "subjectaccessreviews", "SubjectAccessReview", group=_AUTHORIZATION, namespaced=False, verbs=_QUESTION
    ),
    ResourceType("leases", "Lease", group="coordination.k8s.io"),
    ResourceType("events", "Event", group="events.k8s.io", short_names=("ev",), selectable=_EVENT_FIELDS),
    ResourceType("clusterrolebindings", "ClusterRoleBinding", group=_RBAC, namespaced=False),
    ResourceType("clusterroles", "ClusterRole", group=_RBAC, namespaced=False),
    ResourceType("rolebindings", "RoleBinding", group=_RBAC),
    ResourceType("roles", "Role", group=_RBAC),
    ResourceType(
        "priorityclasses", "PriorityClass", group="scheduling.k8s.io", namespaced=False, short_names=("pc",)
    ),
    ResourceType(
        "storageclasses", "StorageClass", group="storage.k8s.io", namespaced=False, short_names=("sc",)
    ),
)

BY_PATH: dict[tuple[str, str, str], ResourceType] = {
    (each.group, each.version, each.plural): each for each in ALL
}
"""(group, version, plural) → the type."""

BY_STORAGE: dict[str, ResourceType] = {each.storage: each for each in reversed(ALL)}
"""Name in the store → the type as it is stored; of two views, the core's."""


def group_versions() -> dict[str, list[str]]:
    """API groups served (without the core's "") and their versions, in the order of the table."""
    found: dict[str, list[str]] = {}
    for each in ALL:
        versions = found.setdefault(each.group, [])
        if each.version not in versions:
            versions.append(each.version)
    found.pop("", None)
    return found
