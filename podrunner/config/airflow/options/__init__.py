"""The table of Airflow's options: default, podrunner's setting, effect, versions. Loading and documentation share it.

What belongs here: facts, one row per option (``pods.py``, ``volumes.py``, ``launcher.py``, ``others.py``), and the
row's shape (``record.py``). How several options become one setting does not belong here
(``podrunner.config.airflow.conversion`` and ``volumes``).
"""

from __future__ import annotations

from functools import cache

from podrunner.config.airflow.options.launcher import LAUNCHER
from podrunner.config.airflow.options.others import OTHERS
from podrunner.config.airflow.options.pods import FREE_SECTIONS, PODS
from podrunner.config.airflow.options.record import FreeSection, Kind, Option, Place, is_in
from podrunner.config.airflow.options.volumes import DAGS_AND_LOGS

__all__ = [
    "FREE_SECTIONS",
    "GROUPS",
    "KUBERNETES_SECTIONS",
    "OPTIONS",
    "SENSITIVE",
    "FreeSection",
    "Kind",
    "Option",
    "Place",
    "is_in",
    "options_of",
]

KUBERNETES_SECTIONS = ("kubernetes_executor", "kubernetes")
"""The section of Airflow 2.5 and later, and its name before; the first wins where both set an option."""

SENSITIVE = frozenset({"sql_alchemy_conn", "git_password", "secret_key", "jwt_secret"})
"""Options that may also be written ``<key>_cmd`` and ``<key>_secret``, as in Airflow's own list."""

GROUPS = {
    "The worker's pod": PODS,
    "DAGs and logs": DAGS_AND_LOGS,
    "Access to the cluster, creating and deleting pods": LAUNCHER,
    "Other sections": OTHERS,
}
"""The options by what they are about, with titles for the documentation."""

OPTIONS: tuple[Option, ...] = tuple(option for group in GROUPS.values() for option in group)


@cache
def options_of(section: str) -> tuple[Option, ...]:
    """Return the options that may stand in a section."""
    return tuple(option for option in OPTIONS if section in option.section)
