"""The values of an outcome: its category and its fault.

The values are public: they are stored and compared by schedulers, and never renamed. Which pod gets which value is
decided in ``podrunner.outcome.rules``; nothing is decided here but the usual fault of a category.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["USUAL_FAULT", "Category", "Fault"]


class Category(StrEnum):
    """What became of a pod."""

    SUCCEEDED = "succeeded"
    """The main container ended with exit code 0."""
    FAILED = "failed"
    """The main container ended by itself with another exit code."""
    OOM_KILLED = "oom-killed"
    """A container went over its memory limit."""
    EVICTED = "evicted"
    """Moved off its node: pressure, a drain, the eviction API, a taint."""
    PREEMPTED = "preempted"
    """Made room for a pod of higher priority."""
    NODE_LOST = "node-lost"
    """Its node is gone, shut down, or silent for too long."""
    REJECTED_BY_NODE = "rejected-by-node"
    """The kubelet did not admit it (``OutOfcpu``, ``UnexpectedAdmissionError``, ``NodeAffinity``, …)."""
    DEADLINE = "deadline"
    """It ran longer than it may: ``activeDeadlineSeconds`` or podrunner's own limit."""
    IMAGE = "image"
    """An image could not be had."""
    CONTAINER_CONFIG = "container-config"
    """A container could not be made or started as it is specified."""
    INIT_FAILED = "init-failed"
    """An init container failed; the main one never ran."""
    UNSCHEDULABLE = "unschedulable"
    """No node took it within the grace time."""
    STARTUP_TIMEOUT = "startup-timeout"
    """It did not start in time, for no cause of its own category."""
    REJECTED_BY_API = "rejected-by-api"
    """The API server refused it; there never was a pod."""
    DELETED_BY_OTHERS = "deleted-by-others"
    """Another client deleted it before it ended."""
    CANCELLED = "cancelled"
    """Its owner ended it."""
    UNKNOWN = "unknown"
    """It is over, and the cluster's records do not say why."""


class Fault(StrEnum):
    """The party at fault for a pod that did not succeed."""

    WORKLOAD = "workload"
    """What runs in the container."""
    INFRASTRUCTURE = "infrastructure"
    """The cluster, or other people in it: the same pod may well succeed next time."""
    CONFIGURATION = "configuration"
    """What was asked for cannot run like that, however often it is tried."""
    CALLER = "caller"
    """No party's: the owner cancelled it."""
    UNKNOWN = "unknown"
    """No word of the cluster says whose: not the user's, and no outage that is known to pass."""


USUAL_FAULT: Mapping[Category, Fault | None] = MappingProxyType(
    {
        Category.SUCCEEDED: None,
        Category.FAILED: Fault.WORKLOAD,
        Category.OOM_KILLED: Fault.WORKLOAD,
        Category.EVICTED: Fault.INFRASTRUCTURE,
        Category.PREEMPTED: Fault.INFRASTRUCTURE,
        Category.NODE_LOST: Fault.INFRASTRUCTURE,
        Category.REJECTED_BY_NODE: Fault.INFRASTRUCTURE,
        Category.DEADLINE: Fault.WORKLOAD,
        Category.IMAGE: Fault.UNKNOWN,
        Category.CONTAINER_CONFIG: Fault.UNKNOWN,
        Category.INIT_FAILED: Fault.WORKLOAD,
        Category.UNSCHEDULABLE: Fault.INFRASTRUCTURE,
        Category.STARTUP_TIMEOUT: Fault.INFRASTRUCTURE,
        Category.REJECTED_BY_API: Fault.CONFIGURATION,
        Category.DELETED_BY_OTHERS: Fault.INFRASTRUCTURE,
        Category.CANCELLED: Fault.CALLER,
        Category.UNKNOWN: Fault.UNKNOWN,
    }
)
"""The fault that goes with a category unless the evidence says otherwise."""
