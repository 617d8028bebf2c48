"""What to run: the workload, its identity and its resources.

What belongs here: the values that a scheduler submits, checked when they are created, and their form in Airflow. What
does not: where and how pods run (``podrunner.config``) and the content of a pod (``podrunner.builder``). The only
files read are a workload's own and the pod template that it names, and only when the workload is created.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from podrunner.workload.key import WorkloadKey
from podrunner.workload.resources import Resources

if TYPE_CHECKING:
    from podrunner.workload.files import read_pod_template
    from podrunner.workload.model import Workload

__all__ = ["Resources", "Workload", "WorkloadKey", "read_pod_template"]

_LAZY = {
    "Workload": "model",
    "read_pod_template": "files",
}
"""Imported at the first use: the configuration needs the resources only."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
