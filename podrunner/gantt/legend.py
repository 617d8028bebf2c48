"""How stages, faults and categories look: one table for all renderers. Colour never stands alone.

A stage has a pattern, a fault has a colour, and a category has a mark of one or two letters. Nothing is drawn here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from podrunner.gantt.records import Phase
from podrunner.outcome import Category

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.gantt.records import PodRecord

__all__ = ["LIVE", "MARKS", "PHASES", "TONES", "PhaseLook", "Tone", "mark_of", "tone_of"]


class PhaseLook(NamedTuple):
    """How a stage looks.

    Attributes:
        label: Its name in legends.
        letter: What stands for it in text.
        pattern: What its bar is filled with.
    """

    label: str
    letter: str
    pattern: str


class Tone(NamedTuple):
    """The colours of a fault, on a light and on a dark ground, after Okabe and Ito, for the colour-blind too.

    Attributes:
        label: Its name in legends.
        light: On a light ground.
        dark: On a dark ground.
    """

    label: str
    light: str
    dark: str


PHASES: Final[Mapping[Phase, PhaseLook]] = MappingProxyType(
    {
        Phase.QUEUED: PhaseLook("queued", ".", "outline"),
        Phase.SCHEDULING: PhaseLook("scheduling", "-", "hatch"),
        Phase.CREATING: PhaseLook("creating (volumes, image)", "=", "dots"),
        Phase.INITIALIZING: PhaseLook("initializing", "~", "cross"),
        Phase.RUNNING: PhaseLook("running", "#", "solid"),
        Phase.DELETING: PhaseLook("deleting", "x", "lines"),
    }
)

LIVE: Final = "live"
"""The tone of a pod without an outcome."""

TONES: Final[Mapping[str, Tone]] = MappingProxyType(
    {
        "": Tone("succeeded", "#00795a", "#2fc49a"),
        "workload": Tone("fault: workload", "#c23b22", "#ff7a5c"),
        "infrastructure": Tone("fault: infrastructure", "#b07500", "#f0b429"),
        "configuration": Tone("fault: configuration", "#8d4a9e", "#d79be6"),
        "caller": Tone("cancelled by its owner", "#5f6b7a", "#a5b1c0"),
        "unknown": Tone("fault: unknown", "#7a5a43", "#cfa98c"),
        LIVE: Tone("not over yet", "#1668ad", "#67b3f0"),
    }
)

MARKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Category.SUCCEEDED: "✓",
        Category.FAILED: "F",
        Category.OOM_KILLED: "M",
        Category.EVICTED: "E",
        Category.PREEMPTED: "P",
        Category.NODE_LOST: "N",
        Category.REJECTED_BY_NODE: "RN",
        Category.DEADLINE: "T",
        Category.IMAGE: "I",
        Category.CONTAINER_CONFIG: "CC",
        Category.INIT_FAILED: "IF",
        Category.UNSCHEDULABLE: "U",
        Category.STARTUP_TIMEOUT: "ST",
        Category.REJECTED_BY_API: "RA",
        Category.DELETED_BY_OTHERS: "D",
        Category.CANCELLED: "C",
        Category.UNKNOWN: "?",
    }
)
"""The mark of each category, at the end of its bar."""


def tone_of(record: PodRecord) -> str:
    """Return which tone a pod has: its fault's, that of a success, or that of a pod that is not over."""
    if not record.category:
        return LIVE
    if record.category == Category.SUCCEEDED:
        return ""
    return record.fault if record.fault in TONES else "unknown"


def mark_of(record: PodRecord) -> str:
    """Return the mark of a pod's category; "" while it is not over, and ``?`` for a category of a later version."""
    return MARKS.get(record.category, "?") if record.category else ""
