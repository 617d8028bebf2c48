"""Airflow's keys of the workloads that pods run.

What belongs here: Airflow's classes. Which parts of podrunner's key they are made of is in ``launch.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.models.callback import CallbackKey
from airflow.models.connection_test import ConnectionTestKey
from airflow.models.taskinstancekey import TaskInstanceKey

from podrunner.integrations.airflow.launch import key_of_pod, other_key_of_pod

if TYPE_CHECKING:
    from podrunner import WorkloadKey

__all__ = ["airflow_key_of", "is_callback"]

_OTHERS = {"ExecuteCallback": CallbackKey, "TestConnection": ConnectionTestKey}


def airflow_key_of(key: WorkloadKey) -> Any:
    """Return Airflow's key of what a pod runs: a task instance, a callback or a connection test; None: none of them."""
    parts = key_of_pod(key)
    if parts is not None:
        return TaskInstanceKey(**parts)
    kind, identifier = other_key_of_pod(key) or ("", "")
    return _OTHERS[kind](identifier) if kind in _OTHERS else None


def is_callback(key: Any) -> bool:
    """Return whether a key of Airflow's is a callback's."""
    return isinstance(key, CallbackKey)
