"""The runner's configuration from Airflow's.

What belongs here: which sections are read, and what an executor needs beside them. Airflow's interface does not
(``executor.py``).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf as global_conf

from podrunner import RunnerConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["config_of", "local_env", "sections_of"]

_SECTIONS = ("core", "logging", "kubernetes_executor", "podrunner")
"""What a worker's pod depends on. Not ``database``: a worker of Airflow 3 speaks with the API server only."""
_SECRETS = (
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__CORE__SQL_ALCHEMY_CONN",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
)
_FOR_PROGRAMS = frozenset({"LANG", "LC_ALL", "PATH", "PYTHONPATH", "TZ", "VIRTUAL_ENV"})


def config_of(
    conf: Any, *, version: str, owner: str, team: str | None, cluster: str | None, environ: Mapping[str, str]
) -> RunnerConfig:
    """Return the configuration of a scheduler's runner.

    Args:
        conf: Airflow's configuration, a team's where there are teams.
        version: Airflow's version.
        owner: The runner's name.
        team: The team; None: there are none.
        cluster: ``local`` for a LocalCluster of the scheduler's own; None: the configuration decides.
        environ: The environment of the scheduler.

    Raises:
        ConfigError: A value is wrong.
    """
    sections = sections_of(conf)
    own = sections.get("podrunner", {})
    settings: dict[str, Any] = {
        "airflow.version": version,
        "owner": owner,
        "outcome_delivery": "acknowledged",
        "logs.folder": own.get("logs__folder") or own.get("logs.folder"),
    }
    if "scope" not in own:
        settings["scope"] = f"airflow-{team}" if team else "airflow"
    if cluster == "local":
        settings |= {"cluster": "local", "env": {**local_env(environ), **_env_of(own)}}
    return RunnerConfig.from_airflow_conf(sections, overrides=settings)


def sections_of(conf: Any) -> dict[str, dict[str, str]]:
    """Return the sections that matter as Airflow has read them, a team's own values first.

    Airflow hides what it knows to be secret; none of that belongs into a pod.
    """
    known = global_conf.as_dict(display_sensitive=False)
    return {section: _options(conf, section, known.get(section) or {}) for section in _SECTIONS}


def _options(conf: Any, section: str, known: Mapping[str, Any]) -> dict[str, str]:
    shown = {option: str(value) for option, value in known.items()}
    if conf.team_name is None:
        return shown
    own = {option: conf.get(section, option, fallback=None) for option in shown}
    return {**shown, **{option: value for option, value in own.items() if value is not None}}


def _env_of(own: Mapping[str, str]) -> dict[str, str]:
    return dict(json.loads(own["env"])) if own.get("env") else {}


def local_env(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of a LocalCluster's workers: the scheduler's own, without its secrets."""
    return {
        name: value
        for name, value in environ.items()
        if name in _FOR_PROGRAMS or (name.startswith("AIRFLOW") and not name.startswith(_SECRETS))
    }
