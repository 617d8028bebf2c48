"""podrunner: the pod launcher that schedulers embed. These are its public names, and nothing else is here.

Each name is loaded when it is first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podrunner.blocking import (
        Events,
        LogStream,
        Pod,
        PodRunner,
        Run,
        read_log,
    )
    from podrunner.builder import (
        Provenance,
        build_pod,
        explain_pod,
        pod_name,
    )
    from podrunner.config import (
        AirflowSettings,
        ConfigWarning,
        DagsFromClaim,
        DagsFromGit,
        DagsFromHostPath,
        DagsInImage,
        FailureRule,
        LocalSettings,
        LogSettings,
        LogsInEmptyDir,
        LogsOnClaim,
        LogsOnHostPath,
        OnExitCodes,
        OnPodCondition,
        PendingPolicy,
        RetrySettings,
        RunnerConfig,
        RunRetrySettings,
        SecretRef,
        TcpKeepalive,
        WatchSettings,
    )
    from podrunner.display import (
        Progress,
        ProgressCounts,
        ProgressDisplay,
        progress,
    )
    from podrunner.errors import PodrunnerError
    from podrunner.kube import ExecResult
    from podrunner.local import (
        Image,
        Lifecycle,
        LocalCluster,
    )
    from podrunner.logs import (
        CallableSink,
        FileLogSink,
        LocalFile,
        LogDocument,
        LogGap,
        LoggingSink,
        LogLine,
        LogPage,
        LogQuery,
        LogReader,
        LogStatus,
        ServerLog,
        StreamSink,
    )
    from podrunner.outcome import (
        Category,
        Evidence,
        Fault,
        Outcome,
        Stage,
        Timings,
        Waiting,
    )
    from podrunner.runner import (
        AsyncEvents,
        AsyncLogStream,
        AsyncPod,
        AsyncPodRunner,
        AsyncRun,
        ClosePolicy,
        EventKind,
        FailedLaunch,
        LaunchBatch,
        RetryPolicy,
        RunnerEvent,
        RunnerHealth,
    )
    from podrunner.workload import (
        Resources,
        Workload,
        WorkloadKey,
    )

__all__ = [
    "AirflowSettings",
    "AsyncEvents",
    "AsyncLogStream",
    "AsyncPod",
    "AsyncPodRunner",
    "AsyncRun",
    "CallableSink",
    "Category",
    "ClosePolicy",
    "ConfigWarning",
    "DagsFromClaim",
    "DagsFromGit",
    "DagsFromHostPath",
    "DagsInImage",
    "EventKind",
    "Events",
    "Evidence",
    "ExecResult",
    "FailedLaunch",
    "FailureRule",
    "Fault",
    "FileLogSink",
    "Image",
    "LaunchBatch",
    "Lifecycle",
    "LocalCluster",
    "LocalFile",
    "LocalSettings",
    "LogDocument",
    "LogGap",
    "LogLine",
    "LogPage",
    "LogQuery",
    "LogReader",
    "LogSettings",
    "LogStatus",
    "LogStream",
    "LoggingSink",
    "LogsInEmptyDir",
    "LogsOnClaim",
    "LogsOnHostPath",
    "OnExitCodes",
    "OnPodCondition",
    "Outcome",
    "PendingPolicy",
    "Pod",
    "PodRunner",
    "PodrunnerError",
    "Progress",
    "ProgressCounts",
    "ProgressDisplay",
    "Provenance",
    "Resources",
    "RetryPolicy",
    "RetrySettings",
    "Run",
    "RunRetrySettings",
    "RunnerConfig",
    "RunnerEvent",
    "RunnerHealth",
    "SecretRef",
    "ServerLog",
    "Stage",
    "StreamSink",
    "TcpKeepalive",
    "Timings",
    "Waiting",
    "WatchSettings",
    "Workload",
    "WorkloadKey",
    "build_pod",
    "explain_pod",
    "pod_name",
    "progress",
    "read_log",
]

_ROOMS = {
    "podrunner.blocking": (
        "Events",
        "LogStream",
        "Pod",
        "PodRunner",
        "Run",
        "read_log",
    ),
    "podrunner.builder": (
        "Provenance",
        "build_pod",
        "explain_pod",
        "pod_name",
    ),
    "podrunner.config": (
        "AirflowSettings",
        "ConfigWarning",
        "DagsFromClaim",
        "DagsFromGit",
        "DagsFromHostPath",
        "DagsInImage",
        "FailureRule",
        "LocalSettings",
        "LogSettings",
        "LogsInEmptyDir",
        "LogsOnClaim",
        "LogsOnHostPath",
        "OnExitCodes",
        "OnPodCondition",
        "PendingPolicy",
        "RetrySettings",
        "RunRetrySettings",
        "RunnerConfig",
        "SecretRef",
        "TcpKeepalive",
        "WatchSettings",
    ),
    "podrunner.display": (
        "Progress",
        "ProgressCounts",
        "ProgressDisplay",
        "progress",
    ),
    "podrunner.errors": ("PodrunnerError",),
    "podrunner.kube": ("ExecResult",),
    "podrunner.local": (
        "Image",
        "Lifecycle",
        "LocalCluster",
    ),
    "podrunner.logs": (
        "CallableSink",
        "FileLogSink",
        "LocalFile",
        "LogDocument",
        "LogGap",
        "LogLine",
        "LogPage",
        "LogQuery",
        "LogReader",
        "LogStatus",
        "LoggingSink",
        "ServerLog",
        "StreamSink",
    ),
    "podrunner.outcome": (
        "Category",
        "Evidence",
        "Fault",
        "Outcome",
        "Stage",
        "Timings",
        "Waiting",
    ),
    "podrunner.runner": (
        "AsyncEvents",
        "AsyncLogStream",
        "AsyncPod",
        "AsyncPodRunner",
        "AsyncRun",
        "ClosePolicy",
        "EventKind",
        "FailedLaunch",
        "LaunchBatch",
        "RetryPolicy",
        "RunnerEvent",
        "RunnerHealth",
    ),
    "podrunner.workload": (
        "Resources",
        "Workload",
        "WorkloadKey",
    ),
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
