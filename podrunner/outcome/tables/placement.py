"""The scheduler's messages about pods that fit nowhere, cause by cause, and the taints that it names.

Infrastructure: what other pods hold, and nodes that are ill, cordoned or on their way out; it may pass while the pod
waits. Configuration: what the pod asks for, and no node offers.
"""

from __future__ import annotations

import re
from typing import Final

from podrunner.outcome.category import Fault
from podrunner.outcome.tables.words import Word

__all__ = ["ADMIN_TAINT", "PLACEMENT_WORDS", "TAINT_WORDS"]

_INFRA, _CONFIG, _OPEN = Fault.INFRASTRUCTURE, Fault.CONFIGURATION, Fault.UNKNOWN

_PLUGINS: Final = "pkg/scheduler/framework/plugins"
_VOLUMES: Final = f"{_PLUGINS}/volumebinding"
_DRA: Final = f"{_PLUGINS}/dynamicresources"
_TAINTS: Final = "k8s.io/api: core/v1/well_known_taints.go"
_CLOUD: Final = "k8s.io/cloud-provider: api/well_known_taints.go"
_AUTOSCALER: Final = "kubernetes/autoscaler: cluster-autoscaler/utils/taints/taints.go"


def _taint(key: str, source: str, *, prefix: bool = False) -> Word:
    """Return the entry of a taint, as 1.30 to 1.33 print it: ``untolerated taint {KEY: VALUE}``."""
    end = "" if prefix else r"[:}=]"
    shown = f"{key}…" if prefix else key
    return Word(f"untolerated taint {{{shown}}}", _INFRA, source, r"taint \{" + re.escape(key) + end)


TAINT_WORDS: Final[tuple[Word, ...]] = (
    _taint("node.kubernetes.io/not-ready", _TAINTS),
    _taint("node.kubernetes.io/unreachable", _TAINTS),
    _taint("node.kubernetes.io/unschedulable", _TAINTS),
    _taint("node.kubernetes.io/memory-pressure", _TAINTS),
    _taint("node.kubernetes.io/disk-pressure", _TAINTS),
    _taint("node.kubernetes.io/pid-pressure", _TAINTS),
    _taint("node.kubernetes.io/network-unavailable", _TAINTS),
    _taint("node.kubernetes.io/out-of-service", _TAINTS),
    _taint("node.cloudprovider.kubernetes.io/uninitialized", _CLOUD),
    _taint("node.cloudprovider.kubernetes.io/shutdown", _CLOUD),
    _taint("ToBeDeletedByClusterAutoscaler", _AUTOSCALER),
    _taint("DeletionCandidateOfClusterAutoscaler", _AUTOSCALER),
    _taint("startup-taint.cluster-autoscaler.kubernetes.io/", _AUTOSCALER, prefix=True),
    _taint("status-taint.cluster-autoscaler.kubernetes.io/", _AUTOSCALER, prefix=True),
    _taint("ignore-taint.cluster-autoscaler.kubernetes.io/", _AUTOSCALER, prefix=True),
    _taint("karpenter.sh/disrupted", "kubernetes-sigs/karpenter: pkg/apis/v1/taints.go"),
    _taint("karpenter.sh/disruption", "kubernetes-sigs/karpenter: pkg/apis/v1beta1/taints.go"),
    _taint("karpenter.sh/unregistered", "kubernetes-sigs/karpenter: pkg/apis/v1/taints.go"),
    _taint("node.cilium.io/agent-not-ready", "cilium: pkg/defaults/node.go"),
    _taint("ebs.csi.aws.com/agent-not-ready", "aws-ebs-csi-driver: pkg/driver/node.go"),
    _taint("aws-node-termination-handler/", "aws-node-termination-handler: pkg/node/node.go", prefix=True),
    _taint("cloud.google.com/impending-node-termination", "GKE: graceful node termination"),
)
"""Taints that controllers set by a node's condition, and take off again."""

ADMIN_TAINT: Final = Word(
    "untolerated taint {…}: any other",
    _CONFIG,
    f"{_PLUGINS}/tainttoleration (1.30 to 1.33)",
    r"taint \{",
)

PLACEMENT_WORDS: Final[tuple[Word, ...]] = (
    *TAINT_WORDS,
    ADMIN_TAINT,
    Word("had untolerated taint(s)", _OPEN, f"{_PLUGINS}/tainttoleration (1.34 and later name no taint)"),
    # capacity
    Word("no nodes available to schedule pods", _INFRA, "pkg/scheduler/scheduler.go"),
    Word("Insufficient …", _INFRA, f"{_PLUGINS}/noderesources/fit.go", r"(?<![\w./-])Insufficient \S"),
    Word("Too many pods", _INFRA, f"{_PLUGINS}/noderesources/fit.go"),
    Word("cannot fit resource", _INFRA, _DRA),
    Word("cannot allocate all claims", _INFRA, _DRA),
    Word("cannot schedule extended resource claim", _INFRA, _DRA),
    Word("resourceclaim in use", _INFRA, _DRA),
    Word("resourceclaim not available on the node", _INFRA, _DRA),
    Word("is in the process of being allocated", _INFRA, _DRA),
    Word("node(s) exceed max volume count", _INFRA, f"{_PLUGINS}/nodevolumelimits/csi.go"),
    Word("node(s) did not have enough free storage", _INFRA, f"{_VOLUMES}/binder.go"),
    Word("node(s) didn't have free ports", _INFRA, f"{_PLUGINS}/nodeports/node_ports.go"),
    Word("node(s) had no available disk", _INFRA, f"{_PLUGINS}/volumerestrictions"),
    Word("access mode already in-use by another pod", _INFRA, f"{_PLUGINS}/volumerestrictions"),
    Word("didn't satisfy existing pods anti-affinity rules", _INFRA, f"{_PLUGINS}/interpodaffinity"),
    # nodes that are not well
    Word("node(s) were unschedulable", _INFRA, f"{_PLUGINS}/nodeunschedulable"),
    Word("node(s) had unknown conditions", _INFRA, f"{_PLUGINS}/nodeunschedulable"),
    # quotas of a scheduler
    Word("because ElasticQuota", _INFRA, "kubernetes-sigs/scheduler-plugins: pkg/capacityscheduling"),
    # what the pod asks for
    Word("didn't match Pod's node affinity/selector", _CONFIG, f"{_PLUGINS}/nodeaffinity"),
    Word("didn't match scheduler-enforced node affinity", _CONFIG, f"{_PLUGINS}/nodeaffinity"),
    Word("pod affinity terms conflict", _CONFIG, f"{_PLUGINS}/nodeaffinity"),
    Word(
        "didn't satisfy plugin(s) [NodeAffinity …]",
        _CONFIG,
        "pkg/scheduler/schedule_one.go",
        r"didn't satisfy plugin(\(s\))? \[?(NodeAffinity|VolumeBinding)",
    ),
    Word("didn't match the requested node name", _CONFIG, f"{_PLUGINS}/nodename"),
    Word("didn't match pod affinity rules", _CONFIG, f"{_PLUGINS}/interpodaffinity"),
    Word("didn't match pod anti-affinity rules", _CONFIG, f"{_PLUGINS}/interpodaffinity"),
    Word("didn't match pod topology spread constraints", _CONFIG, f"{_PLUGINS}/podtopologyspread"),
    Word("didn't match Pod's required features", _CONFIG, f"{_PLUGINS}/nodedeclaredfeatures (1.35)"),
    # volumes and claims
    Word('persistentvolumeclaim "…" not found', _CONFIG, f"{_VOLUMES}/volume_binding.go"),
    Word("had volume node affinity conflict", _CONFIG, f"{_VOLUMES}/binder.go (before 1.33)"),
    Word("didn't match PersistentVolume's node affinity", _CONFIG, f"{_VOLUMES}/binder.go"),
    Word("had no available volume zone", _CONFIG, f"{_PLUGINS}/volumezone"),
    Word('resourceclaim "…" not found', _CONFIG, _DRA, r'resourceclaim(\.resource\.k8s\.io)? "…" not found'),
    Word("device class … does not exist", _CONFIG, _DRA),
    Word("pod has unbound immediate PersistentVolumeClaims", _OPEN, f"{_VOLUMES}/volume_binding.go"),
    Word("didn't find available persistent volumes to bind", _OPEN, f"{_VOLUMES}/binder.go"),
    Word("bound to non-existent", _OPEN, f"{_VOLUMES}"),
    Word('persistentvolumeclaim "…" is being deleted', _OPEN, f"{_VOLUMES}/volume_binding.go"),
    Word("waiting for ephemeral volume controller to create", _INFRA, f"{_VOLUMES}/volume_binding.go"),
)
"""Causes of ``FitError``. The first entry that is found in a cause decides about that cause."""
