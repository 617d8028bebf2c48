"""Executors for Airflow 3: each task in a pod of podrunner's.

``[core] executor = podrunner.integrations.airflow.PodRunnerExecutor`` is the one setting. ``LocalPodRunnerExecutor`` is
the same on a LocalCluster, for a machine without Kubernetes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podrunner.integrations.airflow.executor import LocalPodRunnerExecutor, PodRunnerExecutor

__all__ = ["LocalPodRunnerExecutor", "PodRunnerExecutor"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.executor"), name)
