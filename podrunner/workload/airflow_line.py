"""Airflow's three lines of versions, and the words by which a worker of each is started.

What belongs here: what both a workload and a configuration must agree on. Pure.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TASK_SDK", "AirflowLine", "line_of", "line_of_words"]


class AirflowLine(StrEnum):
    """A line of Airflow's versions. Workers of one line are started in one way; those of another line are not."""

    V1_10 = "1.10"
    V2 = "2"
    V3 = "3"


TASK_SDK = ("python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string")
"""What starts a worker of Airflow 3, before the task's workload (``workload_to_command_args`` of the provider)."""

_WORDS = (
    (("airflow", "run"), AirflowLine.V1_10),
    (("airflow", "tasks", "run"), AirflowLine.V2),
    (TASK_SDK[:3], AirflowLine.V3),
)
_VERSION = re.compile(r"(1\.10|[23])(?:\.\d+)*(?:(?:a|b|rc|\.dev|\.post)\d+)*(?:\+[\w.-]+)?", re.ASCII)


def line_of(version: str) -> AirflowLine:
    """Return the line of a version, such as ``2.9.2``, ``3.0.0rc1``, ``1.10`` or just ``3``.

    Raises:
        ValueError: It is of no line that podrunner knows.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        problem = f"{version[:40]!r} is no version of Airflow that podrunner knows"
        raise ValueError(f"{problem}; Write one of 1.10, 2 or 3, such as 2.9.2")
    return AirflowLine(found[1])


def line_of_words(words: Sequence[str]) -> AirflowLine | None:
    """Return the line whose worker a command or its arguments start; None: they start something else."""
    return next((line for begin, line in _WORDS if tuple(words[: len(begin)]) == begin), None)
