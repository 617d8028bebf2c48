"""What podrunner reads of a pod: small records, decoded from the wire by name.

Each class lists only the fields that some decision reads; whatever else the server sends is skipped by the decoder
and never held. The names are those of the Kubernetes API (core/v1), in Python's spelling. No logic belongs here
but reading: what a status *means* is ``podrunner.outcome.classify``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import force_setattr

__all__ = [
    "ContainerSpec",
    "ContainerState",
    "ContainerStateRunning",
    "ContainerStateTerminated",
    "ContainerStateWaiting",
    "ContainerStatus",
    "Event",
    "ObjectMeta",
    "ObjectReference",
    "OwnerReference",
    "Pod",
    "PodCondition",
    "PodSpec",
    "PodStatus",
    "RestartRule",
]


class _Record(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """The base of all records: immutable, wire names in camel case, unknown fields skipped."""


class OwnerReference(_Record, frozen=True):
    """An object that owns another."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(_Record, frozen=True):
    """Identity of an object. Times are RFC 3339 strings as the server wrote them.

    ``generation`` counts the changes of a pod's spec from 1 on; servers before 1.33 do not count (KEP-5067): 0.
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    finalizers: list[str] | None = None
    owner_references: list[OwnerReference] | None = None


class ContainerStateWaiting(_Record, frozen=True):
    """The container does not run yet, or waits to be restarted."""

    reason: str | None = None
    message: str | None = None


class ContainerStateRunning(_Record, frozen=True):
    """The container runs since ``started_at``."""

    started_at: str | None = None


if TYPE_CHECKING:
    _ExitCode = int | None
else:
    _ExitCode = Any  # read from whatever was written: one odd value must not make the whole pod unreadable


class ContainerStateTerminated(_Record, frozen=True):
    """The container's process ended. ``exit_code`` is None if none was written, or one that is no whole number."""

    exit_code: _ExitCode = None
    signal: int | None = None
    reason: str | None = None
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    def __post_init__(self) -> None:
        """Drop an exit code that is none."""
        if type(self.exit_code) is not int:
            force_setattr(self, "exit_code", None)


class ContainerState(_Record, frozen=True):
    """One of the three is set; none of them means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(_Record, frozen=True):
    """The state of one container, now and before its last restart."""

    name: str = ""
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    container_id: str | None = msgspec.field(default=None, name="containerID")


class PodCondition(_Record, frozen=True):
    """A condition of the pod: ``PodScheduled``, ``DisruptionTarget`` and others."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


class PodStatus(_Record, frozen=True):
    """The part of a pod that the kubelet and the scheduler write."""

    phase: str = "Pending"
    reason: str | None = None
    message: str | None = None
    start_time: str | None = None
    conditions: list[PodCondition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class RestartRule(_Record, frozen=True):
    """One rule of KEP-5307: what the kubelet does after some exit codes, which it alone weighs.

    ``action`` is ``Restart``, of the container alone, or ``RestartAllContainers``, of the whole pod (KEP-5532).
    """

    action: str = ""


class ContainerResources(_Record, frozen=True):
    """What a container, or a pod, asks for and may use at most, such as ``{"memory": "512Mi"}``."""

    requests: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None  # a quantity that is no text must not make the whole pod unreadable


class ContainerSpec(_Record, frozen=True):
    """Name of a container; ``restart_policy == "Always"`` makes an init container a native sidecar (KEP-753).

    On a plain container (KEP-5307) the policy, and its rules, come before the pod's.
    """

    name: str = ""
    restart_policy: Literal["Always"] | str | None = None  # noqa: PYI051  # the known value, and any later one
    restart_policy_rules: list[RestartRule] | None = None
    resources: ContainerResources | None = None

    @property
    def memory_limit(self) -> str | None:
        """The limit of memory, as it was written; None: none is known."""
        limits = self.resources.limits if self.resources is not None else None
        found = limits.get("memory") if limits else None
        return found if isinstance(found, str) else None


class PodSpec(_Record, frozen=True):
    """The few fields of the spec that decisions read."""

    node_name: str | None = None
    restart_policy: str = "Always"
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int | None = None
    containers: list[ContainerSpec] | None = None
    init_containers: list[ContainerSpec] | None = None
    resources: ContainerResources | None = None


class Pod(_Record, frozen=True):
    """A pod as podrunner holds it."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ObjectReference(_Record, frozen=True):
    """What an event is about. ``field_path`` names a container: ``spec.containers{NAME}``."""

    field_path: str | None = None


class Event(_Record, frozen=True):
    """A core/v1 Event about a pod, as evidence. ``count`` is how often it was seen."""

    involved_object: ObjectReference = ObjectReference()

    type: str = ""
    reason: str = ""
    message: str = ""
    count: int = 1
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
