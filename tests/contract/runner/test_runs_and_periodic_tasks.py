"""Runs, the sweep of kept pods, and the order of submissions, by the blocking face on a cluster."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from podrunner import Category, PodRunner, RetryPolicy, Workload
from podrunner.builder.labels import ATTEMPT
from podrunner.config import RunnerConfig
from podrunner.errors import QueueFullError

pytestmark = [pytest.mark.processes]


def shell(name: str, script: str, **fields) -> Workload:
    return Workload(key={"test": name}, command=["sh", "-c", script], **fields)


def test_a_run_goes_on_until_a_pod_succeeds(config: RunnerConfig):
    """P4, promise 1: each try is a pod of its own, and knows which."""
    attempt = {
        "name": "ATTEMPT",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{ATTEMPT}']"}},
    }
    knows_it = {"spec": {"containers": [{"name": "base", "env": [attempt]}]}}
    policy = RetryPolicy(attempts=5, wait=0.05, retry_if=lambda outcome: outcome.exit_code == 1)
    with PodRunner(config) as runner:
        run = runner.run(shell("run", 'test "$ATTEMPT" = 3', overrides=knows_it), retry=policy)
        assert run.wait(45).succeeded
        assert [pod.key.attempt for pod in run.pods] == [1, 2, 3]
        assert run.pod == run.pods[-1]
        assert run.outcome is not None


def test_a_run_is_cancelled(config: RunnerConfig):
    """C3."""
    with PodRunner(config) as runner:
        run = runner.run(shell("cancelled", "sleep 60"))
        while run.pod is None or run.pod.phase != "Running":
            time.sleep(0.02)
        run.cancel(grace_period_s=0)
        assert run.wait(30).category is Category.CANCELLED


def test_kept_pods_are_swept(config: RunnerConfig):
    """A4: the server chooses by its own selectors what is not running."""
    config = config.with_changes(kept_pods_max_count=1, kept_pods_sweep_every_s=0.2)
    with PodRunner(config) as runner:
        lasting = runner.launch(shell("lasting", "sleep 60"))
        for number in range(3):
            runner.launch(shell(f"failed {number}", "exit 1")).wait(30)
        deadline = time.monotonic() + 30
        while len(runner.pods()) > 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert lasting in runner.pods()
        lasting.cancel(grace_period_s=0)


def test_a_place_in_line_is_waited_for(config: RunnerConfig):
    config = config.with_changes(max_active_pods=1, submit_queue_size=1)
    with PodRunner(config) as runner:
        first = runner.submit(shell("first", "until [ -e go ]; do sleep 0.05; done"))
        while first.phase != "Running":
            time.sleep(0.02)
        runner.submit(shell("second", "true"))
        with pytest.raises(QueueFullError):
            runner.submit(shell("third", "true"))
        with ThreadPoolExecutor() as pool:
            third = pool.submit(runner.submit_when_room, shell("third", "true"), timeout_s=50)
            assert first.exec(["touch", "go"]).exit_code == 0
            assert third.result().wait(50).succeeded
