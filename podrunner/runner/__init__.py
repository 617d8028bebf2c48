"""The runner: wires builder, launcher, watch, outcome and logs, and owns the tasks. Its face is asynchronous.

What belongs here: the life of a runner and of each of its pods. What does not: every decision that a lower
layer makes, and the blocking face (``podrunner.blocking``).
"""

from __future__ import annotations

from podrunner.runner.batches import FailedLaunch, LaunchBatch
from podrunner.runner.closing import ClosePolicy
from podrunner.runner.completion import AsyncCompletions
from podrunner.runner.event_queue import AsyncEvents, put_back
from podrunner.runner.events import EventKind, RunnerEvent
from podrunner.runner.handles import AsyncPod
from podrunner.runner.health import RunnerHealth
from podrunner.runner.hooks import LogRead, OpenRunner, PodMove, RequestRetried, RunEnd, RunnerHooks
from podrunner.runner.log_stream import AsyncLogStream
from podrunner.runner.many import Group, Priority
from podrunner.runner.mapping import RunWindow
from podrunner.runner.progress import ProgressCounts
from podrunner.runner.retries import RetryPolicy
from podrunner.runner.run_handle import AsyncRun, peek_outcome, when_over
from podrunner.runner.runner import (
    AsyncPodRunner,
    LogSinks,
    carry_handles,
    has_events,
    health_at,
    run_window,
)

__all__ = [
    "AsyncCompletions",
    "AsyncEvents",
    "AsyncLogStream",
    "AsyncPod",
    "AsyncPodRunner",
    "AsyncRun",
    "ClosePolicy",
    "EventKind",
    "FailedLaunch",
    "Group",
    "LaunchBatch",
    "LogRead",
    "LogSinks",
    "OpenRunner",
    "PodMove",
    "Priority",
    "ProgressCounts",
    "RequestRetried",
    "RetryPolicy",
    "RunEnd",
    "RunWindow",
    "RunnerEvent",
    "RunnerHealth",
    "RunnerHooks",
    "carry_handles",
    "has_events",
    "health_at",
    "peek_outcome",
    "put_back",
    "run_window",
    "when_over",
]
