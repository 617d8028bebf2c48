"""The shape of a row in the table of Airflow's options, and the versions that have it.

What belongs here: the records, and whether a version has one. The rows are in the modules beside this one; what an
option does in a given file does not belong here (``podrunner.config.airflow.effects``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CORE",
    "DATABASE",
    "HYBRID",
    "KUBERNETES",
    "LOGGING",
    "REMOVED_IN_2",
    "REMOVED_IN_3",
    "FreeSection",
    "Kind",
    "Option",
    "Place",
    "Reader",
    "is_in",
]

REMOVED_IN_2 = "1.10"
"""The last version of what Airflow 2.0 removed."""

REMOVED_IN_3 = "2.11"
"""The last version of what Airflow 3.0 removed."""

Kind = Literal["text", "flag", "integer", "number", "csv", "json object", "json list"]
Reader = Literal["launcher", "worker", "airflow"]


def is_in(since: str, until: str, versions: Iterable[str]) -> bool:
    """Return whether at least one of some versions lies in a range.

    Args:
        since: The first version of the range.
        until: The last one; "": no end.
        versions: Exact versions (``2.9.2``) or lines of them (``2`` is any of them, ``1.10`` too).
    """
    return any(
        not _is_before(version, since) and not (until and _is_before(until, version)) for version in versions
    )


@lru_cache(maxsize=2048)
def _is_before(one: str, other: str) -> bool:
    """Compare two versions by the numbers that both have: 2 is neither before nor after 2.6."""
    pairs = zip(_numbers(one), _numbers(other), strict=False)
    return next((first < second for first, second in pairs if first != second), False)


def _numbers(version: str) -> list[int]:
    found = re.match(r"\d+(?:\.\d+)*", version, re.ASCII)
    return [int(part) for part in found[0].split(".")] if found else []


@dataclass(frozen=True, slots=True)
class Place:
    """A section in which Airflow looks for an option.

    Attributes:
        section: Its name.
        since: The first version that looks there.
        until: The last one; "": no end.
    """

    section: str
    since: str = "1.10"
    until: str = ""

    def is_read_by(self, versions: Iterable[str]) -> bool:
        """Return whether at least one of some versions looks here."""
        return is_in(self.since, self.until, versions)

    def is_surely_read_by(self, versions: Iterable[str]) -> bool:
        """Return whether all of some versions look here; a line, as ``2``, must do so as a whole."""
        return all(
            self.is_read_by((version,)) and len(_numbers(version)) >= len(_numbers(self.since))
            for version in versions
        )


KUBERNETES = (Place("kubernetes_executor", "2.5"), Place("kubernetes", "1.10", REMOVED_IN_3))
"""``[kubernetes]`` is the old name: read up to 2.11, and before 2.5 the only one."""

CORE = (Place("core"),)
LOGGING = (Place("logging", "2"), Place("core", "1.10", REMOVED_IN_3))
DATABASE = (Place("database", "2.3"), Place("core"))
HYBRID = (
    Place("celery_kubernetes_executor", "2.0", REMOVED_IN_3),
    Place("local_kubernetes_executor", "2.3", REMOVED_IN_3),
)


@dataclass(frozen=True, slots=True)
class Option:
    """One option of Airflow.

    Attributes:
        key: Its name.
        default: Airflow's own default, as text; "" is none.
        setting: podrunner's settings, dotted, with ', ' between them; None: podrunner does without the option.
        effect: What it does, or, if podrunner does without it, what to use instead and why.
        kind: How the text is read.
        decided: A function of ``conversion.py``, ``volumes.py`` or ``checks.py`` decides what becomes of the value, or
            what is reported; otherwise it goes into the setting as it is.
        since: The Airflow version that brought it, ``1.10.4`` for all before.
        until: The last version that has it; "": no end.
        provider: The version of the Kubernetes provider that brought it, where that is later than ``since``.
        places: The sections where it stands, newest first.
        in_template: The place in a pod template that has the option's role. Such an option shapes the pod, and has
            no effect beside a template; "": it does not shape the pod, or does so beside a template too.
        replaced_by: What later versions have instead of a removed option; "": nothing, or the pod template.
        reader: ``launcher``: the executor, here podrunner; ``worker``: the task's process, which reads its own
            configuration; ``airflow``: Airflow's other processes. The last two are never podrunner's to do.
        aliases: Older names.
        own_default: podrunner's default holds where the file does not set the option, not Airflow's.
        later_defaults: Airflow's defaults in later versions, where they are others.
    """

    key: str
    default: str
    setting: str | None
    effect: str
    kind: Kind = "text"
    decided: bool = False
    since: str = "1.10.4"
    until: str = ""
    provider: str = ""
    places: tuple[Place, ...] = KUBERNETES
    in_template: str = ""
    replaced_by: str = ""
    reader: Reader = "launcher"
    aliases: tuple[str, ...] = ()
    own_default: bool = False
    later_defaults: tuple[str, ...] = ()

    @property
    def section(self) -> tuple[str, ...]:
        """The names of the sections where it stands, newest first."""
        return tuple(place.section for place in self.places)

    @property
    def is_direct(self) -> bool:
        """Whether the value goes into the setting as it is."""
        return self.setting is not None and not self.decided

    def is_in(self, versions: Iterable[str]) -> bool:
        """Return whether at least one of some versions has it."""
        return is_in(self.since, self.until, versions)


@dataclass(frozen=True, slots=True)
class FreeSection:
    """A section whose keys are the user's own; Airflow 2.0 removed all of them.

    Attributes:
        name: The section.
        setting: podrunner's setting that takes its entries.
        effect: What it does.
        in_template: The place in a pod template that has its role.
    """

    name: str
    setting: str
    effect: str
    in_template: str
