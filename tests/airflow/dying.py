"""An executor that dies when a test says so, right after it has polled the ends of pods and before they are stored."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from podrunner.integrations.airflow import PodRunnerExecutor

__all__ = ["DIES", "DyingExecutor"]

DIES = "dies-after-polling"
"""The file in ``AIRFLOW_HOME`` that says so."""


class DyingExecutor(PodRunnerExecutor):
    """As the executor, but for that."""

    def _report(self, *args: Any) -> None:
        dies = Path(os.environ["AIRFLOW_HOME"], DIES)
        if dies.exists():
            dies.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        super()._report(*args)
