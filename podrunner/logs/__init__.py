"""The log collector: every line once, in order, across broken connections; lost lines are reported as a gap.

Here belong following, resuming, sinks and reading back. What a log means does not: no line ever decides an
outcome.
"""

from __future__ import annotations

from podrunner.logs.collect import LogCollector, LogStatus
from podrunner.logs.container_state import ContainerView, PodState, container_view
from podrunner.logs.cursor import LogCursor
from podrunner.logs.files import FileLogSink, absolute_log_path, container_log_path, safe_log_path
from podrunner.logs.follow import ContainerFollower, LogSource, PodAddress
from podrunner.logs.limiter import LogStreamLimiter
from podrunner.logs.parsing import json_fields, level_of, prefixed
from podrunner.logs.reader import LogDocument, LogPage, LogReader, read_lines
from podrunner.logs.record import GapReason, LogBatch, LogGap, LogLine
from podrunner.logs.sinks import (
    AsyncStreamSink,
    CallableSink,
    LoggingSink,
    LogSink,
    SinkFactory,
    StreamSink,
)
from podrunner.logs.sources import (
    FoundLog,
    LocalFile,
    LogPlace,
    LogQuery,
    PodLog,
    ServerLog,
    configured_places,
)
from podrunner.logs.states import FollowLimits

__all__ = [
    "AsyncStreamSink",
    "CallableSink",
    "ContainerFollower",
    "ContainerView",
    "FileLogSink",
    "FollowLimits",
    "FoundLog",
    "GapReason",
    "LocalFile",
    "LogBatch",
    "LogCollector",
    "LogCursor",
    "LogDocument",
    "LogGap",
    "LogLine",
    "LogPage",
    "LogPlace",
    "LogQuery",
    "LogReader",
    "LogSink",
    "LogSource",
    "LogStatus",
    "LogStreamLimiter",
    "LoggingSink",
    "PodAddress",
    "PodLog",
    "PodState",
    "ServerLog",
    "SinkFactory",
    "StreamSink",
    "absolute_log_path",
    "configured_places",
    "container_log_path",
    "container_view",
    "json_fields",
    "level_of",
    "prefixed",
    "read_lines",
    "safe_log_path",
]
