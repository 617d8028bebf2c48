"""Whether an option of Airflow has an effect: by version, and by whether a pod template is named. Pure.

What belongs here: one decision, which the findings of a file and the table in the documentation share. What is said
about it does not belong here (``report.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from podrunner.config.airflow.options import is_in
from podrunner.config.airflow.options.record import REMOVED_IN_2
from podrunner.config.airflow.version import AirflowLine

if TYPE_CHECKING:
    from podrunner.config.airflow.options import Option

__all__ = ["Effect", "Scope", "effect_of"]


class Effect(StrEnum):
    """What becomes of an option."""

    EFFECT = "effect"
    """podrunner does what Airflow does with it."""
    TEMPLATE = "the template"
    """It shapes the pod, and the pod template does that instead, in Airflow too."""
    NO_EFFECT = "no effect"
    """Airflow acts on it; podrunner does without."""
    REPORTED = "reported"
    """It changes nothing here; what does not fit podrunner is reported."""
    WORKER = "the worker"
    """The worker reads it from its own configuration."""
    AIRFLOW = "Airflow"
    """Other processes of Airflow read it, and no launcher does."""
    ABSENT = "not in this version"


@dataclass(frozen=True, slots=True)
class Scope:
    """What decides about all options of a file.

    Attributes:
        versions: The versions or lines that are possible; one, where it is known.
        template: Whether a pod template is named.
    """

    versions: tuple[str, ...]
    template: bool = False

    @property
    def pod_from_template(self) -> bool:
        """Whether the pod is made of a template alone: one is named, or Airflow has had no other way since 2.0."""
        return self.template or not is_in("1.10", REMOVED_IN_2, self.versions)

    @property
    def airflow(self) -> str:
        """The name of these versions, for messages."""
        return f"Airflow {' or '.join(self.versions)}" if len(self.versions) < len(AirflowLine) else "Airflow"


def effect_of(option: Option, scope: Scope) -> Effect:
    """Return what becomes of an option in a file."""
    if option.in_template and scope.pod_from_template:
        return Effect.WORKER if option.reader == "worker" else Effect.TEMPLATE
    if not option.is_in(scope.versions):
        return Effect.ABSENT
    if option.setting is not None:
        return Effect.EFFECT
    return _without_setting(option)


def _without_setting(option: Option) -> Effect:
    if option.decided:
        return Effect.REPORTED
    readers = {"worker": Effect.WORKER, "airflow": Effect.AIRFLOW, "launcher": Effect.NO_EFFECT}
    return readers[option.reader]
