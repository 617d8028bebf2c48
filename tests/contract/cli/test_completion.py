"""Completion in a real bash: the script, and the words of a cluster's pods."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from podrunner import PodRunner, Workload

ASK = """
eval "$(podrunner completion bash)"
COMP_WORDS=(podrunner delete "$1")
COMP_CWORD=2
_podrunner_completion podrunner
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not on this machine")
def test_bash_completes_the_names_of_pods(environment, config) -> None:
    with PodRunner(config.with_changes(delete_grace_period_s=1), on_exit="cancel") as runner:
        pod = runner.launch(Workload(key={"run": "reported"}, command=["sleep", "60"]))
        for _ in range(20):  # what takes longer than two seconds completes nothing, as on a busy machine
            found = _asked("repo", environment)
            if found.stdout.split():
                break
    assert found.stdout.split() == ["reported", pod.name]
    assert found.stderr == ""


def _asked(begun: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", ASK, "bash", begun],
        env={**environment, "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"},
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
