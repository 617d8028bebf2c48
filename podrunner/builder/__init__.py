"""Room 2, the pod builder: makes a manifest of a workload and a configuration.

What belongs here: every decision about the content of a pod; one file per concern. All of it is pure: no I/O, no
clock, no random numbers, so the same input gives the same bytes. What does not belong here: reading templates
(``podrunner.config``, ``podrunner.workload``) and requests to a cluster (``podrunner.kube``, ``podrunner.launcher``).

Precedence, weakest first: template, configuration, workload, overrides, identity.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_LAZY = {
    "OwnershipMetadata": "ownership_metadata",
    "PodBuilder": "builder",
    "PodHook": "builder",
    "PodPlan": "plan",
    "Provenance": "explain",
    "build_plan": "builder",
    "build_pod": "builder",
    "check_config": "builder",
    "explain_pod": "explain",
    "is_another_workload": "manifest_hash",
    "pod_name": "builder",
    "read_ownership": "ownership_metadata",
    "safe_label": "labels",
    "with_ownership": "ownership_metadata",
}
"""Imported at the first use: other rooms need the labels only, and a client builds no pod."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
