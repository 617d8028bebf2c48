"""Airflow's options, one by one: default, podrunner's setting, effect. What loading and the docs share.

What belongs here: the whole of the tables. How several options become one setting is in
``airflow_conversion.py``.
"""

from __future__ import annotations

from podrunner.config.airflow_executor_options import EXECUTOR_OPTIONS
from podrunner.config.airflow_option_types import KUBERNETES_SECTIONS, FreeSection, Option
from podrunner.config.airflow_worker_options import WORKER_OPTIONS

__all__ = [
    "FREE_SECTIONS",
    "KUBERNETES_SECTIONS",
    "OPTIONS",
    "SENSITIVE",
    "FreeSection",
    "Option",
    "options_of",
]

FREE_SECTIONS = (
    FreeSection("kubernetes_secrets", "secret_env", "`NAME = secret=key`: a variable from a Secret"),
    FreeSection("kubernetes_environment_variables", "env", "variables of the worker, in plain text"),
    FreeSection(
        "kubernetes_node_selectors", "node_selector", "the node selector, where the task brings none"
    ),
    FreeSection("kubernetes_annotations", "annotations", "annotations, where the task brings none"),
    FreeSection("kubernetes_labels", "labels", "labels; the task's win, then those of its identity"),
)

SENSITIVE = frozenset({"sql_alchemy_conn", "git_password"})
"""Options that may also be written ``<key>_cmd`` and ``<key>_secret``, as in Airflow's own list."""

OPTIONS: tuple[Option, ...] = (*WORKER_OPTIONS, *EXECUTOR_OPTIONS)


def options_of(section: str) -> tuple[Option, ...]:
    """Return the options that may stand in a section."""
    return tuple(option for option in OPTIONS if section in option.section)
