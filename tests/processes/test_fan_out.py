"""Fan-outs end: each pod's outcome comes, whatever the load, and on a line that changes bytes.

A LocalCluster in this process, as schedulers use it in their tests. ``ROUNDS=20`` plays more than one round of each.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from podrunner import AsyncPodRunner, RunnerConfig, Workload
from podrunner.local import LocalCluster
from podrunner.local.api.storage import watching
from tests.support.spoiling import SpoilingLine

ROUNDS = range(int(os.environ.get("ROUNDS", "1")))
PATIENCE_S = 60.0

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def workload(number: int, random: Random) -> Workload:
    life = {"running_s": random.random() / 2, "exit_code": number % 2}
    script = {"local.podrunner.io/script": json.dumps(life)}
    return Workload(key={"n": str(number)}, command=["true"], annotations=script)


async def fan_out(config: RunnerConfig, *, pods: int, seed: int) -> dict[str, int]:
    """Submits all, reads events until each has its outcome, and returns the exit codes by name."""
    random, codes = Random(seed), {}
    async with AsyncPodRunner(config) as runner, runner.events() as events:
        for number in range(pods):
            runner.submit(workload(number, random))
        while len(codes) < pods:
            with anyio.move_on_after(PATIENCE_S) as scope:
                batch = await events.next_batch()
            assert not scope.cancelled_caught, (len(codes), runner.health(), runner.pods())
            for event in batch:
                if event.outcome is not None:
                    assert event.name not in codes, "one outcome per pod"
                    codes[event.name] = event.outcome.exit_code
    return codes


def configured(kubeconfig: Path, **settings: Any) -> RunnerConfig:
    fields = {"cluster": "kubeconfig", "kubeconfig": kubeconfig, "image": "scripted", "max_active_pods": 50}
    return RunnerConfig(**fields, **settings)


@pytest.mark.parametrize("seed", ROUNDS)
async def test_a_fan_out_ends_though_bookmarks_and_changes_meet(monkeypatch: pytest.MonkeyPatch, seed: int):
    """Bookmarks each 20 ms do in seconds what bookmarks each minute do to a long fan-out on a busy machine."""
    monkeypatch.setitem(watching.Watch.__init__.__kwdefaults__, "bookmark_interval_s", 0.02)
    async with LocalCluster() as cluster:
        codes = await fan_out(configured(cluster.kubeconfig), pods=300, seed=seed)
    assert sorted(codes.values()) == [0] * 150 + [1] * 150


@pytest.mark.parametrize("seed", ROUNDS)
async def test_each_outcome_comes_on_a_line_that_changes_bytes(tmp_path: Path, seed: int):
    """One flipped bit per 40 kB, 8 events: each outcome comes, once.

    Nothing but TLS can protect what an outcome says: a digit that was changed in it is another digit.
    """
    async with LocalCluster(tls=False) as cluster:
        line = SpoilingLine(int(cluster.url.rpartition(":")[2]), seed=seed, every_bytes=40_000)
        with line.open():
            text = cluster.kubeconfig.read_text().replace(cluster.url, f"http://127.0.0.1:{line.port}")
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_text(text)
            quick = {"attempts": 20, "initial_s": 0.02, "max_s": 0.5}
            config = configured(
                kubeconfig,
                request_timeout_s=3,
                watch={"backoff_initial_s": 0.05, "backoff_max_s": 1, "inactivity_s": 5, "stale_after_s": 5},
                retry=quick,
                create_retry=quick,
                logs={"follow": "off"},
            )
            codes = await fan_out(config, pods=100, seed=seed)
    assert len(codes) == 100
    assert line.flips > 10
