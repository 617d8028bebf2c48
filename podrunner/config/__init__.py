"""Room 1, config: everything that can be said about how pods are run, and the sources that say it.

What belongs here: the settings (``model.py`` and what it is made of: pure) and their sources
(``airflow.cfg``, podrunner's own files, the environment). Acting on a setting does not belong here.
"""

from podrunner.config.airflow_settings import (
    AirflowSettings,
    DagsFromClaim,
    DagsFromGit,
    DagsFromHostPath,
    DagsInImage,
    DagSource,
    LogsInEmptyDir,
    LogsOnClaim,
    LogsOnHostPath,
    LogVolume,
)
from podrunner.config.findings import ConfigWarning, Finding, LoadedConfig
from podrunner.config.model import LOCAL_IMAGE, RunnerConfig, SecretRef
from podrunner.config.policies import LogSettings, PendingPolicy, RetrySettings, TcpKeepalive, WatchSettings

__all__ = [
    "LOCAL_IMAGE",
    "AirflowSettings",
    "ConfigWarning",
    "DagSource",
    "DagsFromClaim",
    "DagsFromGit",
    "DagsFromHostPath",
    "DagsInImage",
    "Finding",
    "LoadedConfig",
    "LogSettings",
    "LogVolume",
    "LogsInEmptyDir",
    "LogsOnClaim",
    "LogsOnHostPath",
    "PendingPolicy",
    "RetrySettings",
    "RunnerConfig",
    "SecretRef",
    "TcpKeepalive",
    "WatchSettings",
]
