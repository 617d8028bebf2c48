"""Room 2, the pod builder: a workload and a configuration become a manifest.

What belongs here: every decision about what a pod looks like; one file per concern. All of it is pure: no
I/O, no clock, no random numbers, so the same input gives the same bytes. What does not belong here: reading
templates (``podrunner.config``, ``podrunner.workload``) and talking to a cluster (``podrunner.kube``,
``podrunner.launcher``).

The order in which settings win: template < configuration < workload < overrides < identity.
"""

from podrunner.builder.builder import PodBuilder, PodHook, build_plan, build_pod
from podrunner.builder.explain import Provenance, explain_pod
from podrunner.builder.labels import safe_label
from podrunner.builder.names import pod_name
from podrunner.builder.ownership_metadata import OwnershipMetadata, read_ownership, with_ownership
from podrunner.builder.plan import PodPlan

__all__ = [
    "OwnershipMetadata",
    "PodBuilder",
    "PodHook",
    "PodPlan",
    "Provenance",
    "build_plan",
    "build_pod",
    "explain_pod",
    "pod_name",
    "read_ownership",
    "safe_label",
    "with_ownership",
]
