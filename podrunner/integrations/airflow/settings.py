"""The runner's configuration from Airflow's.

What belongs here: which sections are read, and what an executor needs beside them. Airflow's interface does not
(``executor.py``).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.configuration import AIRFLOW_HOME
from airflow.configuration import conf as global_conf
from airflow.utils.helpers import log_filename_template_renderer

from podrunner import RunnerConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["config_of", "installation_of", "local_env", "local_folder", "log_file", "scope_of", "sections_of"]

_SECTIONS = ("core", "logging", "kubernetes_executor", "podrunner")
"""What a worker's pod depends on. Not ``database``: a worker of Airflow 3 speaks with the API server only."""
_COMMON = ("core", "logging")
_OF_THE_SCHEDULER = ("executor", "multi_team", "parallelism")
"""Options of ``[core]`` by which the scheduler chooses this executor and bounds it: no pod depends on them."""
_SECRETS = (
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__CORE__SQL_ALCHEMY_CONN",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__WEBSERVER__SECRET_KEY",  # that of [api] before 3.0.2
)
_PLACES_OF_DATABASES = frozenset({"host", "hostaddr", "port", "service", "unix_socket"})
"""Parameters of a URL that has no host: libpq's, and those of MySQL's drivers."""
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
    sections = sections_of(conf, environ)
    own = sections.get("podrunner", {})
    settings: dict[str, Any] = {
        "airflow.version": version,
        "owner": owner,
        "outcome_delivery": "acknowledged",
        "run_retry.attempts": 1,  # Airflow itself decides whether there is another try
        "adopt_every_s": None,  # Airflow's heartbeats say which schedulers are dead, not Leases
        "logs.folder": own.get("logs__folder") or own.get("logs.folder"),
    }
    if "scope" not in own:
        settings["scope"] = scope_of(global_conf.get("database", "sql_alchemy_conn"), team)
    if cluster == "local":
        settings["cluster"] = "local"
        if not own.get("local__folder"):
            settings["local.folder"] = str(local_folder())
    made = RunnerConfig.from_airflow_conf(sections, overrides=settings)
    return made.with_changes(env={**local_env(environ), **made.env}) if cluster == "local" else made


def installation_of(database: str) -> str:
    """Return what tells an installation from all others: a digest of the place of its database.

    Args:
        database: Its URL. User and password do not count: they may change; of its parameters, those that say where it
            is.
    """
    scheme, _, rest = database.partition("://")
    path, _, query = rest.partition("?")
    parameters = sorted(each for each in query.split("&") if each.partition("=")[0] in _PLACES_OF_DATABASES)
    place = "?".join((path.rpartition("@")[2], *parameters))
    return hashlib.sha256(f"{scheme.partition('+')[0]}://{place}".encode()).hexdigest()[:8]


def scope_of(database: str, team: str | None) -> str:
    """Return the scope of an installation: it takes over pods of its own schedulers only, whose jobs it knows.

    Other installations have schedulers of the same numbers, and may use the same namespace.

    Args:
        database: The URL of the installation's database.
        team: The team; None: there are none.
    """
    return f"airflow-{installation_of(database)}" + (f"-{team}" if team else "")


def sections_of(conf: Any, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the sections that matter as Airflow has read them.

    A team has its own sections ``[kubernetes_executor]`` and ``[podrunner]`` whole, as for Airflow's executors: what it
    does not set there is not the common value but the default. ``[core]`` and ``[logging]`` are common to all teams.
    Airflow hides what it knows to be secret; none of that belongs into a pod.
    """
    known = global_conf.as_dict(display_sensitive=False)
    shown = {section: _texts(known.get(section)) for section in _SECTIONS}
    for option in _OF_THE_SCHEDULER:
        shown["core"].pop(option, None)
    if conf.team_name is None:
        return shown
    own = {section: _own(conf, section, known, environ) for section in _SECTIONS}
    return {**own, **{section: {**shown[section], **own[section]} for section in _COMMON}}


def _texts(options: Mapping[str, Any] | None) -> dict[str, str]:
    return {option: str(value) for option, value in (options or {}).items()}


def _own(conf: Any, section: str, known: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return a team's own values, of which Airflow has no list: ``[TEAM=SECTION]``, ``AIRFLOW__TEAM___SECTION__…``."""
    variables = f"AIRFLOW__{conf.team_name.upper()}___{section.upper()}__"
    in_file = known.get(f"{conf.team_name}={section}", ())
    in_environ = (name.removeprefix(variables).lower() for name in environ if name.startswith(variables))
    return _texts({option: conf.get(section, option) for option in (*in_file, *in_environ)})


def log_file(ti: Any, try_number: int) -> Path:
    """Return where this process finds the log of a task instance's try if it shares the workers' log folder."""
    folder = Path(global_conf.get("logging", "base_log_folder")).expanduser()
    name: str = log_filename_template_renderer()(ti=ti, try_number=try_number)
    return folder / name


def local_folder() -> Path:
    """Return where the executor's own LocalCluster is: kubectl and the API server find its kubeconfig there."""
    return Path(AIRFLOW_HOME, "podrunner")


def local_env(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of a LocalCluster's workers: the scheduler's own, without its secrets."""
    return {
        name: value
        for name, value in environ.items()
        if name in _FOR_PROGRAMS or (name.startswith("AIRFLOW") and not name.startswith(_SECRETS))
    }
