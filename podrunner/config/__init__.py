"""Room 1, configuration: all settings of how pods are run, and the sources that they are read from.

What belongs here: the settings (``model.py`` and its parts: pure) and their sources (podrunner's own files, the
environment; ``airflow/`` for an ``airflow.cfg``). Acting on a setting does not belong here.

Imports lead one way, deferred ones included: ``loading`` → ``model`` → ``files`` → ``airflow.cfg`` and
``environment`` → ``builder`` → ``location``. Readers take the class of the settings that they build, so they need not
know the model.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from podrunner.config.airflow.settings import (
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
from podrunner.config.airflow.version import AirflowLine
from podrunner.config.failure_policy import FailureRule, OnExitCodes, OnPodCondition
from podrunner.config.findings import ConfigFinding, ConfigWarning
from podrunner.config.local import LocalSettings
from podrunner.config.model import LOCAL_IMAGE, RunnerConfig, SecretRef
from podrunner.config.origin import PodOrigin
from podrunner.config.policies import (
    LogSettings,
    PendingPolicy,
    RetrySettings,
    RunRetrySettings,
    TcpKeepalive,
    WatchSettings,
)

if TYPE_CHECKING:
    from podrunner.config.dump import as_data, as_toml, as_yaml
    from podrunner.config.loading import LoadedConfig, load_airflow_cfg, load_file
    from podrunner.config.pod_template import load_pod_template

__all__ = [
    "LOCAL_IMAGE",
    "AirflowLine",
    "AirflowSettings",
    "ConfigFinding",
    "ConfigWarning",
    "DagSource",
    "DagsFromClaim",
    "DagsFromGit",
    "DagsFromHostPath",
    "DagsInImage",
    "FailureRule",
    "LoadedConfig",
    "LocalSettings",
    "LogSettings",
    "LogVolume",
    "LogsInEmptyDir",
    "LogsOnClaim",
    "LogsOnHostPath",
    "OnExitCodes",
    "OnPodCondition",
    "PendingPolicy",
    "PodOrigin",
    "RetrySettings",
    "RunRetrySettings",
    "RunnerConfig",
    "SecretRef",
    "TcpKeepalive",
    "WatchSettings",
    "as_data",
    "as_toml",
    "as_yaml",
    "load_airflow_cfg",
    "load_file",
    "load_pod_template",
]

_LAZY = {
    "LoadedConfig": "loading",
    "as_data": "dump",
    "as_toml": "dump",
    "as_yaml": "dump",
    "load_airflow_cfg": "loading",
    "load_file": "loading",
    "load_pod_template": "pod_template",
}
"""Imported at the first use: reading and writing files needs parsers that most programs never use."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
