"""What Airflow asks of an executor that was never started: a running task's log, and the command line's commands.

The API server and the command line construct executors for it. Nothing is opened here: no runner, no thread.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from airflow import __version__ as airflow_version

from podrunner.integrations.airflow.causes import ExplainingExecutor
from podrunner.integrations.airflow.settings import config_of, log_file
from podrunner.integrations.airflow.task_log import shown_log

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

    from podrunner import RunnerConfig
    from podrunner.integrations.airflow.task_log import Shown

__all__ = ["ConfiguredExecutor"]

_READER = "airflow-api-server"
"""The owner's name in the configuration of a process that only reads logs; it owns nothing."""


class ConfiguredExecutor(ExplainingExecutor):
    """An executor that knows its cluster from Airflow's configuration."""

    cluster: ClassVar[str | None] = None
    """The setting ``cluster`` for all executors of this class; None: the configuration's."""

    def config_for(self, owner: str) -> RunnerConfig:
        """Return the configuration of a runner of that name.

        Raises:
            ConfigError: A value is wrong.
        """
        return config_of(
            self.conf,
            version=airflow_version,
            owner=owner,
            team=self.team_name,
            cluster=self.cluster,
            environ=os.environ,
        )

    def get_task_log(self, ti: TaskInstance, try_number: int) -> Shown:
        """Return messages and the log of a running task's pod; the API server calls this."""
        return shown_log(ti, try_number, config=lambda: self.config_for(_READER), file=log_file)

    @staticmethod
    def get_cli_commands() -> list[Any]:
        """Return the commands of Airflow's provider for Kubernetes, if it is installed: they find the pods too."""
        with suppress(ImportError):
            from airflow.providers.cncf.kubernetes.cli.definition import get_kubernetes_cli_commands

            return list(get_kubernetes_cli_commands())
        return []
