"""Three schedulers as real processes: one dies, one is stopped past its lease, and nothing is lost or told twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCHEDULER = Path(__file__).with_name("scheduler.py")
PODS = 300
SHARE = PODS // 3


class Scheduler:
    """One process, and what it wrote down."""

    def __init__(self, name: str, numbers: range, *, kubeconfig: Path, namespace: str, folder: Path) -> None:
        self.name = name
        self._record = folder / f"{name}.jsonl"
        self._errors = (folder / f"{name}.err").open("w+")
        words = [kubeconfig, namespace, name, numbers.start, numbers.stop, self._record]
        self.process = subprocess.Popen(
            [sys.executable, str(SCHEDULER), *map(str, words)], stderr=self._errors, stdin=subprocess.DEVNULL
        )

    def lines(self, *kinds: str) -> list[dict[str, str]]:
        if not self._record.exists():
            return []
        lines = map(json.loads, self._record.read_text().splitlines())
        return [line for line in lines if not kinds or line["kind"] in kinds]

    def has(self, kind: str) -> bool:
        """Whether such a line is there, of a process that lives."""
        assert self.process.poll() is None, self.errors()
        return bool(self.lines(kind))

    def told(self) -> Counter[str]:
        """How often each pod's outcome was reported here."""
        return Counter(line["uid"] for line in self.lines("finished"))

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(20)
        self._errors.close()


@contextmanager
def embedded_cluster(folder: Path) -> Iterator[Path]:
    """``podrunner local up`` as a process: the kubeconfig."""
    kubeconfig = folder / "kubeconfig"
    command = [sys.executable, "-m", "podrunner.cli", "local", "up", "--kubeconfig", str(kubeconfig)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(kubeconfig.exists, within_s=40)
        yield kubeconfig
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def until(condition: Callable[[], object], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.05)


def pods_left(kubeconfig: Path, namespace: str) -> list[str]:
    import httpx
    import yaml

    document = yaml.safe_load(kubeconfig.read_text())
    token = document["users"][0]["user"]["token"]
    url = f"{document['clusters'][0]['cluster']['server']}/api/v1/namespaces/{namespace}/pods"
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(url, headers=headers, verify=False, trust_env=False, timeout=30)
    return [pod["metadata"]["name"] for pod in answer.raise_for_status().json()["items"]]


@pytest.fixture
def schedulers(tmp_path: Path) -> Iterator[tuple[list[Scheduler], Path]]:
    with embedded_cluster(tmp_path) as kubeconfig:
        started = [
            Scheduler(
                name,
                range(number * SHARE, (number + 1) * SHARE),
                kubeconfig=kubeconfig,
                namespace="default",
                folder=tmp_path,
            )
            for number, name in enumerate(["living", "killed", "stopped"])
        ]
        try:
            yield started, kubeconfig
        finally:
            for scheduler in started:
                scheduler.end()


@pytest.mark.processes
@pytest.mark.timeout(240)
def test_one_dies_and_one_is_stopped_past_its_lease(schedulers):
    """A1, A3, A5: 300 pods finish once, each is reported by one owner, and none is left."""
    (living, killed, stopped), kubeconfig = schedulers
    everyone = [living, killed, stopped]
    until(lambda: all(scheduler.has("launched") for scheduler in everyone), within_s=90)
    until(lambda: killed.told().total() >= SHARE // 4, within_s=60)
    killed.process.kill()
    stopped.process.send_signal(signal.SIGSTOP)
    told_before = stopped.told()

    until(lambda: sum(len(each.told()) for each in everyone) >= PODS, within_s=90)
    stopped.process.send_signal(signal.SIGCONT)
    until(lambda: stopped.has("fenced"), within_s=30)
    time.sleep(1)  # it has had its time to say too much

    assert "lost its lease" in stopped.lines("fenced")[0]["said"], stopped.errors()
    assert stopped.told() == told_before, "what is stopped past its lease reports no more"
    told = living.told() + stopped.told()
    assert set(told.values()) == {1}, "each outcome once"
    assert len(told | killed.told()) == PODS
    assert len({line["n"] for each in everyone for line in each.lines("finished")}) == PODS, (
        "one pod per attempt"
    )
    assert {line["said"] for each in everyone for line in each.lines("finished")} == {"succeeded"}
    lost = {line["uid"] for line in stopped.lines("lost")}
    assert lost == {line["uid"] for line in stopped.lines("created")} - set(told_before)
    twice = set(living.told()) & set(killed.told())
    assert not twice, "told by a process that was killed before it could delete the pod"
    assert pods_left(kubeconfig, "default") == []
    for scheduler in (living, stopped):
        scheduler.process.terminate()
        assert scheduler.process.wait(20) == 0, scheduler.errors()
