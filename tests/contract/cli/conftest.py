"""The command, as a user types it in the test's namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

PODRUNNER = [sys.executable, "-m", "podrunner.cli"]


@pytest.fixture
def environment(config) -> dict[str, str]:
    """The settings of the test's namespace, as a user would export them."""
    return {
        **os.environ,
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
            timeout=50,
            check=False,
            **options,
        )

    return run
