"""The blocking face: the runner's names, parameters, defaults and results, for code without an event loop.

No logic belongs here: each method is its signature and one call over the bridge to the asynchronous runner, which runs
on an event loop in a thread of its own. Streams cross the bridge in batches.
"""

from __future__ import annotations

from podrunner.blocking.log import read_log
from podrunner.blocking.pod import LogStream, Pod
from podrunner.blocking.run import Run
from podrunner.blocking.runner import Events, PodRunner, runner_behind

__all__ = ["Events", "LogStream", "Pod", "PodRunner", "Run", "read_log", "runner_behind"]
