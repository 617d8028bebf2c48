"""Reasons that end a pod: the kubelet's, those of controllers and of events, and of the main container's end."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from podrunner.outcome.category import Category, Fault
from podrunner.outcome.tables.words import StatusReason, Word

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CONTAINER_ENDS",
    "DISRUPTIONS",
    "EVENTS",
    "EVICTION_WORDS",
    "REJECTION_WORDS",
    "STATUS_REASONS",
    "disruption",
    "status_reason",
]

_INFRA, _CONFIG, _UNKNOWN = Fault.INFRASTRUCTURE, Fault.CONFIGURATION, Fault.UNKNOWN
_REJECTED, _LOST, _EVICTED = Category.REJECTED_BY_NODE, Category.NODE_LOST, Category.EVICTED

_PREDICATES: Final = "pkg/kubelet/lifecycle/predicate.go"
_HANDLERS: Final = "pkg/kubelet/lifecycle/handlers.go"
_EVICTION: Final = "pkg/kubelet/eviction/helpers.go"
_PREEMPTION: Final = "pkg/scheduler/framework/preemption"
_SHUTDOWN: Final = "pkg/kubelet/nodeshutdown"
_DEVICES: Final = "pkg/kubelet/cm/devicemanager/manager.go"
_CPUS: Final = "pkg/kubelet/cm/cpumanager/policy_static.go"
_FILTERS: Final = "pkg/scheduler/framework/plugins/names/names.go (the kubelet's predicates)"
_TAINT_EVICTION: Final = "pkg/controller/tainteviction"
_DEVICE_TAINTS: Final = "pkg/controller/devicetainteviction (KEP-5055)"


def _by_reason(*entries: StatusReason) -> Mapping[str, StatusReason]:
    return MappingProxyType({entry.reason: entry for entry in entries})


STATUS_REASONS: Final = _by_reason(
    StatusReason("Evicted", _EVICTED, _INFRA, _EVICTION),
    StatusReason("Preempting", Category.PREEMPTED, _INFRA, "pkg/kubelet/preemption"),
    StatusReason("Preempted", Category.PREEMPTED, _INFRA, f"{_PREEMPTION} (the event's reason)"),
    StatusReason("NodeLost", _LOST, _INFRA, "pkg/util/node/node.go"),
    StatusReason("NodeShutdown", _LOST, _INFRA, f"{_SHUTDOWN} (not admitted)"),
    StatusReason("Shutdown", _LOST, _INFRA, f"{_SHUTDOWN} (to 1.21)"),
    StatusReason("Terminated", _LOST, _INFRA, _SHUTDOWN),
    StatusReason("DeadlineExceeded", Category.DEADLINE, Fault.WORKLOAD, "pkg/kubelet/active_deadline.go"),
    StatusReason("OutOf…", _REJECTED, _INFRA, f"{_PREDICATES} (OutOfcpu, OutOfmemory, OutOfpods, …)"),
    StatusReason("UnexpectedAdmissionError", _REJECTED, _UNKNOWN, f"{_PREDICATES}; pkg/kubelet/cm/admission"),
    StatusReason("NodeAffinity", _REJECTED, _INFRA, f"{_FILTERS}; the node's labels changed since"),
    StatusReason("NodeName", _REJECTED, _INFRA, _FILTERS),
    StatusReason("NodePorts", _REJECTED, _INFRA, _FILTERS),
    StatusReason("NodeUnschedulable", _REJECTED, _INFRA, _FILTERS),
    StatusReason("TaintToleration", _REJECTED, _INFRA, f"{_FILTERS}; cilium issue 43872"),
    StatusReason("TopologyAffinityError", _REJECTED, _INFRA, "pkg/kubelet/cm/topologymanager"),
    StatusReason("InvalidNodeInfo", _REJECTED, _INFRA, _PREDICATES),
    StatusReason("UnexpectedPredicateFailureType", _REJECTED, _UNKNOWN, _PREDICATES),
    StatusReason("UnknownReason", _REJECTED, _UNKNOWN, _PREDICATES),
    StatusReason("VolumeAttachmentLimitExceeded", _REJECTED, _INFRA, "pkg/kubelet/volumemanager"),
    StatusReason("PodFeatureUnsupported", _REJECTED, _INFRA, f"{_HANDLERS} (a node of another version)"),
    StatusReason(
        "PodLevelResourcesNotSupported", _REJECTED, _INFRA, f"{_HANDLERS} (a node of another version)"
    ),
    StatusReason(
        "SupplementalGroupsPolicyNotSupported", _REJECTED, _INFRA, f"{_PREDICATES} (another runtime)"
    ),
    StatusReason(
        "InitContainerRestartPolicyForbidden", _REJECTED, _INFRA, f"{_PREDICATES} (another version)"
    ),
    StatusReason(
        "PodOSSelectorNodeLabelDoesNotMatch",
        _REJECTED,
        _CONFIG,
        f"{_PREDICATES} (the pod's own label, which no scheduler reads)",
    ),
    StatusReason("PodOSNotSupported", _REJECTED, _CONFIG, _PREDICATES),
    StatusReason("AppArmor", _REJECTED, _CONFIG, _HANDLERS),
    StatusReason("SysctlForbidden", _REJECTED, _CONFIG, "pkg/kubelet/sysctl/allowlist.go"),
    StatusReason("SMTAlignmentError", _REJECTED, _CONFIG, _CPUS),
    StatusReason("ProviderFailed", _REJECTED, _UNKNOWN, "virtual-kubelet: node/pod.go (a virtual node)"),
    StatusReason("EmptyPodSharedPoolError", _REJECTED, _CONFIG, "pkg/kubelet/cm/admission/errors.go (1.36)"),
)
"""Reasons that the kubelet or a controller writes to the pod's own status.

The kubelet's list of its refusals is ``admissionRejectionReasons`` in pkg/kubelet/kubelet.go; the resource managers'
and the predicates' own names come besides. What the scheduler had checked before (affinity, ports, taints) fails at the
node only if that has changed since; what it does not check (the operating system, sysctls, AppArmor) is the pod's own.
"""

DISRUPTIONS: Final = _by_reason(
    StatusReason("PreemptionByScheduler", Category.PREEMPTED, _INFRA, f"{_PREEMPTION} (KEP-3329)"),
    StatusReason("EvictionByEvictionAPI", _EVICTED, _INFRA, "pkg/registry/core/pod/storage/eviction.go"),
    StatusReason("DeletionByTaintManager", _EVICTED, _INFRA, _TAINT_EVICTION),
    StatusReason("DeletionByDeviceTaintManager", _EVICTED, _INFRA, _DEVICE_TAINTS),
    StatusReason("DeletionByPodGC", _LOST, _INFRA, "pkg/controller/podgc/gc_controller.go"),
)
"""Reasons of the ``DisruptionTarget`` condition; ``TerminationByKubelet`` is left to the pod's own reason, which comes
with it."""

EVENTS: Final = _by_reason(
    StatusReason("Preempted", Category.PREEMPTED, _INFRA, _PREEMPTION),
    StatusReason("Evicted", _EVICTED, _INFRA, "pkg/kubelet/eviction"),
    StatusReason("NodeNotReady", _LOST, _INFRA, "pkg/controller/nodelifecycle"),
    StatusReason("TaintManagerEviction", _EVICTED, _INFRA, _TAINT_EVICTION),
    StatusReason("DeviceTaintManagerEviction", _EVICTED, _INFRA, _DEVICE_TAINTS),
)
"""Event reasons that say why a pod was deleted, the strongest first."""

CONTAINER_ENDS: Final = _by_reason(
    StatusReason(
        "OOMKilled", Category.OOM_KILLED, Fault.WORKLOAD, "containerd: internal/cri/server/events.go; cri-o"
    ),
    StatusReason(
        "ContainerStatusUnknown", _LOST, _INFRA, "pkg/kubelet/status/status_manager.go (not found again)"
    ),
)
"""Reasons of a container's end that say more than its exit code."""

EVICTION_WORDS: Final[tuple[Word, ...]] = (
    Word("exceeds the limit", Fault.WORKLOAD, _EVICTION),
    Word("exceeds the total limit", Fault.WORKLOAD, _EVICTION),
    Word("exceeded its local ephemeral storage limit", Fault.WORKLOAD, _EVICTION),
)
"""Words of an eviction for a limit of the pod's own."""

REJECTION_WORDS: Final[tuple[Word, ...]] = (
    Word("not enough free physical CPUs", _INFRA, _CPUS),
    Word("sum of exclusive container cpu requests equals pod budget", _CONFIG, _CPUS),
    Word("pod has shared init containers but no cpus available", _CONFIG, _CPUS),
    Word("maximum request size for shared resources", _CONFIG, "NVIDIA/k8s-device-plugin: internal/plugin"),
    Word("invalid request for sharing GPU", _CONFIG, "GKE: container-engine-accelerators, pkg/gpu/nvidia"),
    Word("requested number of devices unavailable", _INFRA, _DEVICES),
    Word("cannot allocate unregistered device", _INFRA, _DEVICES),
    Word("no healthy devices present", _INFRA, _DEVICES),
    Word("devices are no longer healthy", _INFRA, _DEVICES),
    Word("failed to write checkpoint file", _INFRA, _DEVICES),
    Word(
        "not enough cpus available to satisfy request", _INFRA, "pkg/kubelet/cm/cpumanager/cpu_assignment.go"
    ),
    Word("no NUMA nodes with enough memory", _INFRA, "pkg/kubelet/cm/memorymanager/policy_static.go"),
    Word("error finding a set of pods to preempt", _INFRA, "pkg/kubelet/preemption"),
    Word("rpc error", _INFRA, "grpc: status (of a device plugin)"),
)
"""Words of the kubelet that decide before the reason which it gives with them. Most of ``UnexpectedAdmissionError``, by
which it means an error that it could not categorize."""


def status_reason(reason: str) -> StatusReason | None:
    """Return the entry of a pod's status reason, by its name or its prefix; None if no entry has it."""
    if (known := STATUS_REASONS.get(reason)) is not None:
        return known
    prefixes = (entry for entry in STATUS_REASONS.values() if entry.reason.endswith("…"))
    return next((entry for entry in prefixes if reason.startswith(entry.reason[:-1])), None)


def disruption(reason: str) -> StatusReason:
    """Return the entry of a disruption's reason. A reason that no entry has is an eviction under its own name."""
    return DISRUPTIONS.get(reason) or StatusReason(reason, _EVICTED, _INFRA, "KEP-3329")
