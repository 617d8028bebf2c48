"""wait, as people type it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from podrunner import PodRunner, Workload
from tests.contract.cli.conftest import PODRUNNER


@pytest.fixture
def runner(config) -> Iterator[PodRunner]:
    """A runner whose pods stay when they have ended."""
    with PodRunner(config.with_changes(delete_pods=False), on_exit="cancel") as runner:
        yield runner


def _workload(name: str, script: str) -> Workload:
    return Workload(key={"run": name}, command=["sh", "-c", script], labels={"batch": "one"})


def test_pods_that_run_and_end(environment, here, runner) -> None:
    """One waits for the first to run, then both for their ends, whose exit code is that of the one that fails."""
    gate = "until [ -e go ]; do sleep 0.05; done"
    failing, other = (
        runner.launch(_workload("failing", f"{gate}; exit 7")),
        runner.launch(_workload("other", gate)),
    )
    assert here("wait", "failing", "other", "--for", "running").returncode == 0
    with subprocess.Popen(
        [*PODRUNNER, "wait", "-l", "batch=one"], env=environment, stdout=subprocess.PIPE, text=True
    ) as waiting:
        for pod in (other, failing):
            assert pod.exec(["touch", "go"]).exit_code == 0
        said, _ = waiting.communicate(timeout=150)
    assert waiting.returncode == 7
    assert sorted(line.split(":")[0] for line in said.splitlines()) == [
        f'pod "{failing.name}" failed',
        f'pod "{other.name}" succeeded',
    ]
    assert here("wait", "other", "--for", "succeeded").returncode == 0
    assert here("wait", "--all", "--for", "succeeded").returncode == 1
    document = json.loads(here("wait", "failing", "--json").stdout)
    assert [(each["state"], each["outcome"]["exit_code"]) for each in document["pods"]] == [("failed", 7)]


def test_time_that_is_over_and_pods_that_are_deleted(environment, here, runner) -> None:
    pod = runner.launch(_workload("endless", 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done'))
    with pod.logs() as lines:
        next(iter(lines))
    ended = here("wait", "endless", "--timeout", "1s")
    assert (ended.returncode, pod.name in ended.stderr) == (124, True)
    with subprocess.Popen(
        [*PODRUNNER, "wait", "endless", "--for", "succeeded"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as waiting:
        pod.delete(grace_period_s=0)
        waiting.communicate(timeout=150)
    assert waiting.returncode in {1, 66}  # 66: the pod was gone before the command had asked for it


def test_what_cannot_be_waited_for(here) -> None:
    assert here("wait", "nope").returncode == 66
    assert here("wait", "-l", "batch=none").returncode == 66
    assert here("wait").returncode == 64
    assert here("wait", "x", "--all").returncode == 64
    assert here("wait", "x", "--timeout", "soon").returncode == 64
