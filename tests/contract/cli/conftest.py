"""The command, as a user types it in the test's namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from podrunner.cli.app import app
from podrunner.cli.failures import chief, ending_of
from typer.testing import CliRunner

PODRUNNER = [sys.executable, "-m", "podrunner"]


@pytest.fixture
def environment(config) -> dict[str, str]:
    """The settings of the test's namespace, as a user would export them; pytest-xdist sets the width of a terminal."""
    return {
        **{name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}},
        "PODRUNNER_KUBECONFIG": str(config.kubeconfig),
        "PODRUNNER_CLUSTER": "kubeconfig",
        "PODRUNNER_NAMESPACE": config.namespace,
        "PODRUNNER_IMAGE": config.image or "",
        "PODRUNNER_IMAGE_PULL_POLICY": "IfNotPresent",
    }


@pytest.fixture
def podrunner(environment) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command to its end."""

    def run(*words: str, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PODRUNNER, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            **options,
        )

    return run


@pytest.fixture
def here(environment, monkeypatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command to its end in this process, which takes a second less: for what no signal and no pipe decides."""
    for name in {"COLUMNS", "LINES"} & set(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:  # noqa: A002  # as above
        result = CliRunner().invoke(app, words, input=input)
        code, said = result.exit_code, result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            ending = ending_of(chief(result.exception))
            code, said = ending.code, said + "".join(f"podrunner: {line}\n" for line in ending.lines)
        return subprocess.CompletedProcess([*words], code, result.stdout, said)

    return run
