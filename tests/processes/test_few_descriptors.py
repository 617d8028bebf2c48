"""A scheduler that has too few file descriptors for its logs: each log is complete, or says what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.processes.delivery.campaign import Place, local_cluster

PODS, LINES, DESCRIPTORS = 60, 300, 64

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

WRITE = """
import time
for number in range({lines}):
    print(f"line {{number}}", flush=True)
    time.sleep(0.01)
"""
SCHEDULER = """
import json, logging, resource, sys
from collections import Counter
from pathlib import Path
import anyio
from podrunner import AsyncPodRunner, EventKind, RunnerConfig, Workload

logging.basicConfig(level=logging.WARNING)
kubeconfig, namespace, folder, pods, descriptors, script, backend = sys.argv[1:]

async def main():
    config = RunnerConfig(
        cluster="kubeconfig", kubeconfig=Path(kubeconfig), namespace=namespace, image="localhost/any",
        logs={"folder": Path(folder), "drain_timeout_s": 60.0},
    )
    async with AsyncPodRunner(config) as runner:
        workloads = [
            Workload(key={"n": str(n)}, command=[sys.executable, "-S", "-c", script], log_path=f"{n}.log")
            for n in range(int(pods))
        ]
        handles = [runner.submit(workload) for workload in workloads]
        outcomes = Counter([str((await pod.wait()).category) for pod in handles])
        await runner.wait_all()
        troubles = [str(it.message) for it in runner.poll_events() if it.kind is EventKind.LOG_TROUBLE]
        print(json.dumps({"outcomes": outcomes, "troubles": troubles}))

resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors),) * 2)
anyio.run(main, backend=backend)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A namespace in a LocalCluster that is a process of its own, with as many descriptors as it takes."""
    with local_cluster(tmp_path_factory.mktemp("cluster")) as fresh:
        yield fresh()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_log_is_complete_or_has_its_gap(place: Place, tmp_path: Path, backend: str):
    """H8: more logs than descriptors; no outcome suffers, and no line is missing in silence or there twice."""
    program, logs = tmp_path / "scheduler.py", tmp_path / "logs"
    program.write_text(SCHEDULER)
    arguments = [
        place.kubeconfig,
        place.namespace,
        logs,
        PODS,
        DESCRIPTORS,
        WRITE.format(lines=LINES),
        backend,
    ]
    done = subprocess.run(
        [sys.executable, str(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"outcomes": {"succeeded": PODS}, "troubles": []}, done.stderr[-4000:]
    texts = {path.name: path.read_text().splitlines() for path in logs.glob("*.log")}
    assert len(texts) == PODS
    assert {name: lines for name, lines in texts.items() if not is_honest(lines)} == {}


def is_honest(lines: list[str]) -> bool:
    """Whether each line is there once and in order, or a gap stands in its place."""
    expected = 0
    for line in lines:
        if line.startswith("*** Log gap"):
            expected = -1
            continue
        number = int(line.removeprefix("line "))
        if expected not in {-1, number}:
            return False
        expected = number + 1
    return expected in {-1, LINES}


def test_the_check_finds_what_is_missing():
    """The check of the test above can fail."""
    whole = [f"line {number}" for number in range(LINES)]
    assert is_honest(whole)
    assert is_honest([*whole[:5], "*** Log gap in container base (unwritten)", *whole[9:]])
    assert not is_honest([*whole[:5], *whole[9:]])
    assert not is_honest([*whole[:5], *whole[4:]])
    assert not is_honest(whole[:-1])
