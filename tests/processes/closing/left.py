"""What the API server still has of a runner that was closed, by plain HTTP."""

from __future__ import annotations

from typing import Any

import httpx
from tests.processes.delivery.campaign import Place

__all__ = ["in_cluster", "listed", "running"]

OVER = frozenset({"Succeeded", "Failed"})


def listed(http: httpx.Client, place: Place, kind: str = "pods") -> list[dict[str, Any]]:
    """Return the objects of a kind in the namespace of the place."""
    group = "apis/coordination.k8s.io/v1" if kind == "leases" else "api/v1"
    answer = http.get(f"/{group}/namespaces/{place.namespace}/{kind}").raise_for_status()
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def running(http: httpx.Client, place: Place) -> list[str]:
    """Return the names of the pods that run or may begin to: what is over stays until its outcome was delivered."""
    return [pod["metadata"]["name"] for pod in listed(http, place) if not _is_over(pod)]


def _is_over(pod: dict[str, Any]) -> bool:
    """Whether a pod has ended, or was deleted before it began: its node has still to take leave of it."""
    status = pod.get("status", {})
    has_begun = any("waiting" not in each["state"] for each in status.get("containerStatuses", ()))
    return status.get("phase") in OVER or ("deletionTimestamp" in pod["metadata"] and not has_begun)


def in_cluster(place: Place) -> list[str]:
    """Return what is left there: pods that are not over, and Leases."""
    with place.open_http() as http:
        return [*running(http, place), *(each["metadata"]["name"] for each in listed(http, place, "leases"))]
