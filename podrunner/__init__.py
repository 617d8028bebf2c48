"""podrunner: the pod launcher that schedulers embed. These are its public names, and nothing else is here.

Each name is loaded when it is first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podrunner.blocking import Events, LogStream, Pod, PodRunner
    from podrunner.builder import build_pod, explain_pod
    from podrunner.config import RunnerConfig
    from podrunner.errors import PodrunnerError
    from podrunner.kube import ExecResult
    from podrunner.local import LocalCluster
    from podrunner.logs import (
        CallableSink,
        FileLogSink,
        LocalFile,
        LogDocument,
        LogGap,
        LogLine,
        LogQuery,
        LogReader,
    )
    from podrunner.outcome import Category, Evidence, Fault, Outcome, Timings
    from podrunner.runner import (
        AsyncEvents,
        AsyncLogStream,
        AsyncPod,
        AsyncPodRunner,
        ClosePolicy,
        EventKind,
        LaunchBatch,
        RunnerEvent,
        RunnerHealth,
    )
    from podrunner.workload import Resources, Workload, WorkloadKey

__all__ = [
    "AsyncEvents",
    "AsyncLogStream",
    "AsyncPod",
    "AsyncPodRunner",
    "CallableSink",
    "Category",
    "ClosePolicy",
    "EventKind",
    "Events",
    "Evidence",
    "ExecResult",
    "Fault",
    "FileLogSink",
    "LaunchBatch",
    "LocalCluster",
    "LocalFile",
    "LogDocument",
    "LogGap",
    "LogLine",
    "LogQuery",
    "LogReader",
    "LogStream",
    "Outcome",
    "Pod",
    "PodRunner",
    "PodrunnerError",
    "Resources",
    "RunnerConfig",
    "RunnerEvent",
    "RunnerHealth",
    "Timings",
    "Workload",
    "WorkloadKey",
    "build_pod",
    "explain_pod",
]

_ROOMS = {
    "podrunner.blocking": ("Events", "LogStream", "Pod", "PodRunner"),
    "podrunner.builder": ("build_pod", "explain_pod"),
    "podrunner.config": ("RunnerConfig",),
    "podrunner.errors": ("PodrunnerError",),
    "podrunner.kube": ("ExecResult",),
    "podrunner.local": ("LocalCluster",),
    "podrunner.logs": (
        "CallableSink",
        "FileLogSink",
        "LocalFile",
        "LogDocument",
        "LogGap",
        "LogLine",
        "LogQuery",
        "LogReader",
    ),
    "podrunner.outcome": ("Category", "Evidence", "Fault", "Outcome", "Timings"),
    "podrunner.runner": (
        "AsyncEvents",
        "AsyncLogStream",
        "AsyncPod",
        "AsyncPodRunner",
        "ClosePolicy",
        "EventKind",
        "LaunchBatch",
        "RunnerEvent",
        "RunnerHealth",
    ),
    "podrunner.workload": ("Resources", "Workload", "WorkloadKey"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    room = _HOMES.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
