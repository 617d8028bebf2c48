"""What Airflow's provider answered to a sample of cases, for the fast tier, which has no Airflow.

``nox -s airflow-parity -- --record`` records the answers anew, and those of the shapes with them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.airflow_parity.cases import LINES, Case
from tests.airflow_parity.named import NAMED, SHORT
from tests.airflow_parity.provider_process import Provider, provider
from tests.airflow_parity.shapes import SHAPES, line_of_shape, record_shape, shape

__all__ = ["SAMPLE", "answers", "environment", "record", "repeatable"]

GOLDEN = Path(__file__).parents[1] / "golden" / "airflow_parity"
SAMPLE: dict[str, tuple[Case, ...]] = {"2.11.2": NAMED, "3.3.2": SHORT}
"""The cases that are recorded. Both lines run the same provider, so the second has one of each kind only."""


def environment(line: str) -> str:
    """Return the interpreter of a line's environment, as ``nox -s airflow-parity`` names it."""
    return os.environ[f"AIRFLOW_PYTHON_{line.replace('.', '_')}"]


def answers(line: str) -> dict[str, dict[str, Any]]:
    """Return the recorded answers by the cases' names."""
    with (GOLDEN / f"{line}.jsonl").open() as lines:
        return dict(map(json.loads, lines))


def record(line: str, airflow: Provider) -> None:
    """Write the answers of a line's provider: one line per case, so that a change is a line of a diff."""
    GOLDEN.mkdir(exist_ok=True)
    with (GOLDEN / f"{line}.jsonl").open("w") as out:
        for case in SAMPLE[line]:
            answer = airflow.answer(case)
            out.write(json.dumps([case.name, repeatable(answer)], sort_keys=True, ensure_ascii=False) + "\n")
    for folder in sorted(SHAPES.iterdir()):
        if line_of_shape(folder) == line:
            record_shape(folder, repeatable(airflow.answer(shape(folder))))


def repeatable(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without the random characters at the end of the name."""
    metadata = answer["pod"]["metadata"] if "pod" in answer else {}
    if metadata.get("name"):
        metadata["name"] = metadata["name"].rpartition("-")[0] + "-" + "x" * 8
    return answer


def main() -> None:
    """Record both lines."""
    for line in LINES:
        with tempfile.TemporaryDirectory() as home, provider(environment(line), line, Path(home)) as airflow:
            record(line, airflow)
    sys.stdout.write(f"recorded in {GOLDEN} and {SHAPES}\n")


if __name__ == "__main__":
    main()
