"""Draws what the terminal shows, by the code that shows it: ``python docs/terminal_picture.py`` writes the pictures.

``_static/terminal-get.svg`` is a picture of ``podrunner get -w``, ``_static/terminal-describe.svg`` of ``podrunner
describe``. A test compares their texts with what this makes.
"""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from podrunner.builder.labels import ATTEMPT, KEY, MANAGED_BY, MANAGER
from podrunner.cli.description import Description, Owner, lines_of
from podrunner.cli.live import frame_of
from podrunner.cli.rows import row_of
from podrunner.cli.stages_bar import stages_of
from podrunner.outcome.record import Event, Pod
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

STATIC = Path(__file__).parent / "_static"
WIDTH = 100
NOW = datetime(2026, 11, 28, 17, 30, tzinfo=UTC)
_FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Fonts of another host; without them the reader's own monospaced font is taken."""


def _ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pod(
    key: dict[str, str], age_s: int, status: dict[str, object], *, attempt: int = 1, node: str = "node-3"
) -> Pod:
    name = "-".join(key.values()).replace("_", "-")
    document = {
        "metadata": {
            "name": f"{name[:30]}-5d1c0f",
            "namespace": "jobs",
            "uid": f"8f2c41d0-{len(name):04d}",
            "creationTimestamp": _ago(age_s),
            "labels": {MANAGED_BY: MANAGER},
            "annotations": {KEY: json.dumps(key), ATTEMPT: str(attempt)},
        },
        "spec": {
            "nodeName": node or None,
            "restartPolicy": "Never",
            "containers": [{"name": "base", "resources": {"limits": {"memory": "512Mi"}}}],
        },
        "status": status,
    }
    return msgspec.convert(document, Pod)


def _status(phase: str, state: dict[str, object] | None, **more: object) -> dict[str, object]:
    statuses = [] if state is None else [{"name": "base", "ready": "running" in state, "state": state}]
    return {"phase": phase, "containerStatuses": statuses, **more}


def _ended(code: int, reason: str, *, begin_s: int, end_s: int) -> dict[str, object]:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": _ago(begin_s),
            "finishedAt": _ago(end_s),
        }
    }


def _condition(kind: str, status: str, at_s: int, reason: str = "", message: str = "") -> dict[str, object]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": _ago(at_s),
    }


def _task(name: str) -> dict[str, str]:
    return {"dag_id": "nightly", "task_id": name}


OOM = _pod(
    _task("join_orders"),
    1_260,
    _status(
        "Failed",
        _ended(137, "OOMKilled", begin_s=1_190, end_s=830),
        conditions=[_condition("PodScheduled", "True", 1_245)],
    ),
    attempt=2,
)
_NO_NODE = "0/5 nodes are available: 2 Insufficient memory, 3 node(s) had untolerated taint {gpu: true}."
PODS = [
    OOM,
    _pod(_task("load_orders"), 1_100, _status("Running", {"running": {"startedAt": _ago(1_000)}})),
    _pod(
        _task("publish"),
        700,
        _status(
            "Pending",
            {
                "waiting": {
                    "reason": "ImagePullBackOff",
                    "message": 'Back-off pulling image "registry.example/publish:v9": not found',
                }
            },
        ),
    ),
    _pod(
        _task("train_model"),
        420,
        _status(
            "Pending", None, conditions=[_condition("PodScheduled", "False", 420, "Unschedulable", _NO_NODE)]
        ),
        node="",
    ),
    _pod({"run": "backup"}, 300, _status("Failed", _ended(3, "Error", begin_s=290, end_s=200))),
    _pod(
        {"run": "report"},
        250,
        _status("Failed", None, reason="Evicted", message="The node was low on resource: memory."),
    ),
    _pod({"run": "hello"}, 9, _status("Succeeded", _ended(0, "Completed", begin_s=8, end_s=6))),
]
EVENTS = [
    Event(
        type="Normal",
        reason="Scheduled",
        message="Successfully assigned jobs/nightly-join-orders to node-3",
        last_timestamp=_ago(1_245),
    ),
    Event(
        type="Normal",
        reason="Pulling",
        message='Pulling image "registry.example/join:v4"',
        last_timestamp=_ago(1_240),
    ),
    Event(
        type="Normal", reason="Pulled", message="Successfully pulled image in 42s", last_timestamp=_ago(1_198)
    ),
    Event(type="Normal", reason="Started", message="Started container base", last_timestamp=_ago(1_190)),
]


def table() -> tuple[list[str], list[str]]:
    """Return the lines of ``podrunner get -w`` and their styles."""
    rows = [(row_of(pod, now=NOW), False) for pod in PODS]
    frame = frame_of(rows, wide=False, width=WIDTH, height=40)
    return ["$ podrunner get -w", *frame.lines], ["bold cyan", *frame.styles]


def page() -> tuple[list[str], list[str]]:
    """Return the lines of ``podrunner describe`` and their styles."""
    row = row_of(OOM, now=NOW)
    described = Description(
        row=row,
        pod=OOM,
        owner=Owner("scheduler-1", "nightly", "held", is_detached=False),
        stages=stages_of(OOM, EVENTS, now=NOW, is_over=True),
        events=EVENTS,
        log=["joined 1,200,000 of 4,000,000 rows", "joined 1,300,000 of 4,000,000 rows"],
        now=NOW,
    )
    lines = lines_of(described, width=WIDTH)
    return ["$ podrunner describe task_id=join_orders", *lines], ["bold cyan", *[""] * len(lines)]


def drawn(lines: Sequence[str], styles: Sequence[str], *, title: str) -> str:
    """Return a picture of lines on a terminal, without anything from another host."""
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    for line, style in zip(lines, styles, strict=True):
        console.print(Text(line, style=style), no_wrap=True, crop=True)
    return _FONT_FACE.sub("", console.export_svg(title=title, unique_id=title.replace(" ", "-")))


PICTURES = {
    "terminal-get.svg": (table, "podrunner get"),
    "terminal-describe.svg": (page, "podrunner describe"),
}

if __name__ == "__main__":
    for name, (made, title) in PICTURES.items():
        (STATIC / name).write_text(drawn(*made(), title=title) + "\n", encoding="utf-8")
