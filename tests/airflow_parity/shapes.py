"""The inputs in ``tests/golden/airflow_shapes``: configurations and templates of the shapes that users have.

Each folder has an ``airflow.cfg``, mostly a ``pod_template.yaml``, a ``task.yaml`` (the line of Airflow, the task and
its ``pod_override``), and ``pod.json``: what Airflow's provider of that line answers, which ``recorded.py`` writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from tests.airflow_parity.cases import CFG, TEMPLATE, Case, Task

__all__ = ["SHAPES", "answer_of_shape", "line_of_shape", "record_shape", "shape"]

SHAPES = Path(__file__).parents[1] / "golden" / "airflow_shapes"
_ANSWER = "pod.json"


def shape(folder: Path) -> Case:
    """Return the case of a folder."""
    document = _document(folder)
    template = folder / TEMPLATE
    return Case(
        name=folder.name,
        task=Task(**document["task"]),
        cfg=(folder / CFG).read_text(),
        template=template.read_text() if template.exists() else None,
        pod_override=document.get("pod_override"),
    )


def line_of_shape(folder: Path) -> str:
    """Return the version of Airflow that the shape is compared with."""
    return str(_document(folder)["line"])


def answer_of_shape(folder: Path) -> dict[str, Any]:
    """Return what the provider answered when it was recorded."""
    answer: dict[str, Any] = json.loads((folder / _ANSWER).read_text())
    return answer


def record_shape(folder: Path, answer: dict[str, Any]) -> None:
    """Write the provider's answer."""
    (folder / _ANSWER).write_text(json.dumps(answer, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _document(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((folder / "task.yaml").read_text())
    return document
