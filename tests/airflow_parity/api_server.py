"""What the API server says to a pod: the rules that LocalCluster has of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from podrunner.local.api.registry.defaults import default_pod
from podrunner.local.api.validation.kinds import validate_create

__all__ = ["refusals"]


def refusals(pod: dict[str, Any]) -> list[str]:
    """Return why the API server refuses to create a pod, whatever its name; empty: it does not."""
    created = deepcopy(pod)
    created["metadata"]["name"] = "any"
    default_pod(created)
    return [f"{error.field}: {error.message}" for error in validate_create("pods", created)]
