"""Room 2, the pod builder: makes a manifest of a workload and a configuration.

What belongs here: every decision about the content of a pod; one file per concern. All of it is pure: no I/O, no
clock, no random numbers, so the same input gives the same bytes. What does not belong here: reading templates
(``podrunner.config``, ``podrunner.workload``) and requests to a cluster (``podrunner.kube``, ``podrunner.launcher``).

Precedence, weakest first: template, configuration, workload, overrides, identity.
"""

from podrunner.builder.builder import PodBuilder, PodHook, build_plan, build_pod, check_config, pod_name
from podrunner.builder.explain import Provenance, explain_pod
from podrunner.builder.labels import safe_label
from podrunner.builder.manifest_hash import is_another_workload
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
    "check_config",
    "explain_pod",
    "is_another_workload",
    "pod_name",
    "read_ownership",
    "safe_label",
    "with_ownership",
]
