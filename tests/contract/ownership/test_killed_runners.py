"""Runners are killed; the next one leaves nothing of them: as real processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from podrunner import AsyncPodRunner, RunnerConfig
from tests.contract.ownership.test_same_attempt import LAUNCHED, Script
from tests.support.event_loops import asyncio_only
from tests.support.waiting import until, until_blocking

pytestmark = [pytest.mark.processes, pytest.mark.anyio]
anyio_backend = asyncio_only

LEASE_S = 8
"""Short, for the test's sake, yet a busy machine may well stop a process for seconds; the difference of clocks (5 s)
comes to it."""


def names(cluster: Any, path: str) -> list[str]:
    with cluster.http() as http:
        items = http.get(path).raise_for_status().json()["items"]
    return [item["metadata"]["name"] for item in items]


def cursors(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if ".cursor" in path.name]


@pytest.mark.timeout(180)
async def test_three_killed_runners_leave_nothing(cluster, kubeconfig, namespace, tmp_path):
    """H10: their pods are adopted; then no Lease, cursor file or Secret of them is left."""
    logs = tmp_path / "logs"
    config = {
        "kubeconfig": str(kubeconfig),
        "namespace": namespace,
        "image": cluster.image,
        "credentials": {"PASSWORD": "hunter2"},
        "logs": {"folder": str(logs)},
    }
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    for number in range(3):
        kill_one(tmp_path / f"{number}.json", number, config)
    assert len(names(cluster, leases)) == len(cursors(logs)) == len(names(cluster, secrets)) == 3

    settings = config | {"lease_duration_s": LEASE_S, "adopt_every_s": 1}
    async with AsyncPodRunner(RunnerConfig(cluster="kubeconfig", **settings)) as runner:
        outcomes = {}

        def adopted() -> bool:
            outcomes.update({event.name: event.outcome for event in runner.poll_events() if event.outcome})
            return len(outcomes) == 3

        await until(adopted, within_s=60, every_s=0.2)
        assert all(outcome.succeeded for outcome in outcomes.values())
        await until(lambda: len(names(cluster, leases)) == 1, within_s=60, every_s=0.5)
        assert runner.poll_events() is not None  # delivers what was read before
        await until(lambda: not names(cluster, secrets), within_s=60, every_s=0.5)
        assert cursors(logs) == []
        assert names(cluster, f"/api/v1/namespaces/{namespace}/pods") == []
    assert names(cluster, leases) == []
    assert sorted(path.read_text() for path in logs.rglob("*.log")) == [f"line of {n}\n" for n in range(3)]


def kill_one(settings: Path, number: int, config: dict[str, Any]) -> None:
    """A runner with a generated name launches a pod, follows its log, and is killed."""
    given = {
        "face": ("blocking", "async")[number % 2],
        "shell": f"echo line of {number}; sleep 3",
        "job": str(number),
        "config": config | {"lease_duration_s": LEASE_S},
    }
    settings.write_text(json.dumps(given))
    folder = Path(config["logs"]["folder"])
    script = Script(settings)
    try:
        assert script.line()["state"] == LAUNCHED
        until_blocking(lambda: len(cursors(folder)) > number)
    finally:
        script.kill()
