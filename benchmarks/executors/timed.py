"""Both executors, each writing how long its heartbeats take into ``$HEARTBEATS``."""

from __future__ import annotations

import os
import time
from pathlib import Path

from airflow.providers.cncf.kubernetes.executors.kubernetes_executor import KubernetesExecutor
from podrunner.integrations.airflow import PodRunnerExecutor

__all__ = ["TimedKubernetesExecutor", "TimedPodRunnerExecutor"]


class _Timed:
    def heartbeat(self) -> None:
        began = time.perf_counter()
        super().heartbeat()  # type: ignore[misc]  # of the executor beside it
        with Path(os.environ["HEARTBEATS"]).open("a", encoding="utf-8") as beats:
            beats.write(f"{time.time()} {time.perf_counter() - began}\n")


class TimedPodRunnerExecutor(_Timed, PodRunnerExecutor):
    """podrunner's."""


class TimedKubernetesExecutor(_Timed, KubernetesExecutor):
    """The provider's."""
