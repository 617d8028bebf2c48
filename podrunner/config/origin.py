"""What the pods of a configuration are made of, as far as its sources say it.

What belongs here: the record, for programs that show it. The pod itself is made in ``podrunner.builder``.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PodOrigin"]


@dataclass(frozen=True, slots=True)
class PodOrigin:
    """What the pods of an ``airflow.cfg`` are made of.

    Attributes:
        airflow_versions: The version of Airflow, exact or just its line; all lines that are possible, if the file
            does not say it.
        template_file: The path of the pod template; None: the file names none.
    """

    airflow_versions: tuple[str, ...]
    template_file: str | None = None
