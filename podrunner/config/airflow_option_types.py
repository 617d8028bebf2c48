"""What is known about an option of Airflow: the records of the tables.

The tables are in ``airflow_worker_options.py`` and ``airflow_executor_options.py``; ``airflow_options.py``
joins them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["KUBERNETES_SECTIONS", "FreeSection", "Kind", "Option"]

KUBERNETES_SECTIONS = ("kubernetes_executor", "kubernetes")
"""The section of Airflow 2.5 and later, and its name before; the first wins where both say something."""

Kind = Literal["text", "flag", "integer", "csv", "json object", "json list"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option of Airflow.

    Attributes:
        key: Its name.
        default: Airflow's own default, as text; "" is none.
        setting: podrunner's settings, dotted, with ', ' between them; None: the option has no meaning here.
        effect: What it does, or, where it has no meaning, what stands in its place.
        kind: How the text is read.
        direct: The value goes into the setting as it is; otherwise a function of ``airflow_conversion``
            decides.
        since: The Airflow version that brought it, ``1.10.4`` for all before; ``provider``: Airflow 2 and
            later.
        section: ``kubernetes`` (both names of that section), or the sections where it stands, newest first.
        aliases: Older names.
        own_default: podrunner's default holds where the file says nothing, not Airflow's.
        later_default: Airflow's default in later versions, where that is another.
    """

    key: str
    default: str
    setting: str | None
    effect: str
    kind: Kind = "text"
    direct: bool = True
    since: str = "1.10.4"
    section: tuple[str, ...] = KUBERNETES_SECTIONS
    aliases: tuple[str, ...] = ()
    own_default: bool = False
    later_default: str = ""


@dataclass(frozen=True, slots=True)
class FreeSection:
    """A section whose keys are the user's own.

    Attributes:
        name: The section.
        setting: podrunner's setting that takes its entries.
        effect: What it does.
    """

    name: str
    setting: str
    effect: str
