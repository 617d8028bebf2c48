"""Room 1, config: everything that can be said about how pods are run, and the sources that say it.

What belongs here: the settings (``model.py`` and what it is made of: pure) and their sources
(``airflow.cfg``, podrunner's own files, the environment). Acting on a setting does not belong here.
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
from podrunner.config.failure_policy import FailureRule, OnExitCodes, OnPodCondition
from podrunner.config.findings import ConfigFinding, ConfigWarning
from podrunner.config.model import LOCAL_IMAGE, RunnerConfig, SecretRef
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
    "LogSettings",
    "LogVolume",
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
"""Reading and writing files needs parsers that most programs never use: imported at the first use."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
