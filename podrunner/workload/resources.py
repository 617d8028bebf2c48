"""Resource requests and limits of a container, in Kubernetes' quantities."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from podrunner.kubernetes_models import KubernetesModel, is_model, manifest_of
from podrunner.quantity import parse_quantity
from podrunner.workload.validation import CheckedModel

__all__ = ["Quantity", "Resources"]


def _as_text(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number else value


def _checked(value: str) -> str:
    if value.startswith("-") or not _is_quantity(value):
        raise ValueError("must be a Kubernetes quantity of 0 or more, such as 500m, 2, 1.5, 512Mi or 1G")
    return value


def _is_quantity(value: str) -> bool:
    try:
        parse_quantity(value)
    except ValueError:
        return False
    return True


Quantity = Annotated[str, BeforeValidator(_as_text), AfterValidator(_checked)]
"""A Kubernetes quantity as text; a number is accepted too."""


class Resources(CheckedModel):
    """Requests and limits of the main container. None leaves the value to the template or the cluster.

    Attributes:
        cpu_request: CPUs to reserve (``500m`` is half of one).
        cpu_limit: CPUs it may use at most.
        memory_request: Memory to reserve (``512Mi``).
        memory_limit: Memory beyond which it is killed.
        ephemeral_storage_request: Local disk to reserve.
        ephemeral_storage_limit: Local disk beyond which the pod is evicted.
        gpu: Number of GPUs (a limit, which for extended resources is the request too).
        gpu_resource: The resource name of the cluster's device plugin.
        requests: Any other resource to reserve, by name.
        limits: Any other resource's limit, by name.
    """

    cpu_request: Quantity | None = None
    cpu_limit: Quantity | None = None
    memory_request: Quantity | None = None
    memory_limit: Quantity | None = None
    ephemeral_storage_request: Quantity | None = None
    ephemeral_storage_limit: Quantity | None = None
    gpu: Annotated[int, Field(ge=0)] | None = None
    gpu_resource: str = "nvidia.com/gpu"
    requests: dict[str, Quantity] = Field(default_factory=dict)
    limits: dict[str, Quantity] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _of_requirements(cls, value: Any) -> Any:
        return _attributes_of(value) if is_model(value) else value


_NAMED = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeral_storage"}


def _attributes_of(requirements: KubernetesModel) -> dict[str, Any]:
    """Return the attributes of resources that a ``V1ResourceRequirements`` gives."""
    given = manifest_of(requirements)
    if given.get("claims"):
        raise ValueError("has claims of dynamic resources, which podrunner sets only by overrides")
    return {**_amounts(given, "request"), **_amounts(given, "limit")}


def _amounts(given: dict[str, Any], kind: str) -> dict[str, Any]:
    amounts = given.get(f"{kind}s") or {}
    named = {f"{_NAMED[name]}_{kind}": amount for name, amount in amounts.items() if name in _NAMED}
    others = {name: amount for name, amount in amounts.items() if name not in _NAMED}
    return {**named, f"{kind}s": others} if others else named
