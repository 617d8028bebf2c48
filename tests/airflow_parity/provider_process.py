"""The provider's program as a process: one question, one answer."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.airflow_parity.cases import Case

__all__ = ["Provider", "provider"]

PROGRAM = Path(__file__).with_name("provider.py")


class Provider:
    """Builds the pods of cases by Airflow's own provider."""

    def __init__(self, process: subprocess.Popen[str], line: str) -> None:
        self._process = process
        self._line = line

    def answer(self, case: Case) -> dict[str, Any]:
        """Return ``{"pod": …, "args": …}``, or ``{"error": …}`` where the executor would fail the task."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(case.as_request(self._line)) + "\n")
        self._process.stdin.flush()
        text = self._process.stdout.readline()
        if not text:
            raise RuntimeError(f"the provider's program ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(text)
        if answer["airflow"] != self._line:
            raise RuntimeError(f"the environment has Airflow {answer['airflow']}, not {self._line}")
        return answer


@contextmanager
def provider(python: str, line: str, home: Path) -> Iterator[Provider]:
    """Start the program with an environment's interpreter, in a home of its own; its messages go into a file there."""
    environ = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(home), "HOME": str(home)}
    with (
        (home / "provider.log").open("w") as log,
        subprocess.Popen(
            [python, str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environ,
        ) as process,
    ):
        yield Provider(process, line)
        assert process.stdin is not None
        process.stdin.close()
