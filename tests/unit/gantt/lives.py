"""Records for the tests of the timeline."""

from __future__ import annotations

from typing import Any

from podrunner.gantt.records import PodRecord

__all__ = ["HOSTILE", "T0", "life"]

T0 = 1_790_000_000.0
HOSTILE = "job=</script><!--<script>alert(1)//\u2028'\"&\\ \x00\U0001f680 日本"
"""What breaks out of a script element, a string, an attribute, XML or a terminal, if it can."""


def life(key: str = "job=a", *, at: float = 0.0, **more: Any) -> PodRecord:
    """A pod that waited 1 s each for the runner, a node and its image, ran 5 s and was gone 2 s after that."""
    times = {
        "submitted": 0, "created": 1, "scheduled": 2, "started": 3, "finished": 8, "deleted": 8, "gone": 10,
    }  # fmt: skip
    stamps = {name: T0 + at + offset for name, offset in times.items()}
    facts = {"category": "succeeded", "seen": T0 + at + 10, "pod": "pod-a", "uid": f"uid-{key}-{at}"}
    return PodRecord(key=key, **{**stamps, **facts, **more})
