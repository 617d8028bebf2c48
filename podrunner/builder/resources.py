"""Converting resources to Kubernetes' form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podrunner.workload import Resources

__all__ = ["resource_requirements"]


def resource_requirements(resources: Resources) -> dict[str, Any]:
    """Return the ``resources`` of a container: requests and limits, each only if it is not empty."""
    requests = {
        "cpu": resources.cpu_request,
        "memory": resources.memory_request,
        "ephemeral-storage": resources.ephemeral_storage_request,
        **resources.requests,
    }
    limits = {
        "cpu": resources.cpu_limit,
        "memory": resources.memory_limit,
        "ephemeral-storage": resources.ephemeral_storage_limit,
        resources.gpu_resource: str(resources.gpu) if resources.gpu else None,
        **resources.limits,
    }
    both = {"requests": _given(requests), "limits": _given(limits)}
    return {name: amounts for name, amounts in both.items() if amounts}


def _given(amounts: dict[str, str | None]) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if amount is not None}
