"""Logs that rotate while connections are cut, and the scheduler is killed: each line once, or an explicit gap."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from podrunner.testing.faults import Line, TcpProxy

sys.path.insert(0, str(Path(__file__).parent))
from numbered_logs import holes, watched_rotations

SCHEDULER = Path(__file__).with_name("log_scheduler.py")
PODS, LINES = 50, 100_000
"""100,000 numbered lines are 4.6 MB with containerd's prefixes: the log is rotated four times."""

SEED = 7

pytestmark = pytest.mark.timeout(900)


@contextmanager
def cut_at_random(proxy: TcpProxy) -> Iterator[list[int]]:
    """Cut each connection within a line, after some bytes, and all connections from time to time."""
    cuts: list[int] = []
    over = threading.Event()
    random = Random(SEED)

    def cut() -> None:
        while not over.wait(random.uniform(0.5, 3)):
            proxy.line = Line(cut_after_bytes=random.randrange(20_000, 1_000_000))
            if random.random() < 0.3:
                cuts.append(proxy.cut())

    thread = threading.Thread(target=cut, name="cuts")
    thread.start()
    try:
        yield cuts
    finally:
        over.set()
        thread.join()
        proxy.line = Line()


class Scheduler:
    """Runs ``log_scheduler.py`` as a process."""

    def __init__(self, settings: dict, folder: Path) -> None:
        file = folder / f"{settings['owner']}.json"
        file.write_text(json.dumps(settings))
        self._errors = file.with_suffix(".err").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(SCHEDULER), str(file)],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def next_line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            self._errors.seek(0)
            pytest.fail(f"the scheduler ended: {self._errors.read()}")
        return line.strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._errors.close()


def test_the_check_finds_a_hole():
    """The check of the test below can fail."""
    whole = ["0", "1", "2", "3", "4", "5"]
    assert holes(whole, count=6) == ([], 0)
    assert holes(["0", "2", "2", "", "3"], count=4) == (
        ["1 to 1 are missing without a gap", "2 came after 2", "torn: ''"],
        0,
    )
    assert holes(["0", "*** Log gap in container base (rotated), after 1, before 2", "5"], count=9) == (
        ["6 to 8 are missing without a gap"],
        0,
    )
    assert holes(["0", "5", "8"], count=9, firsts={5}) == (["6 to 7 are missing without a gap"], 4)
    assert holes(["0", "500"], count=501, firsts={500}) == (["1 to 499 are missing without a gap"], 0)


def test_each_line_once_though_lines_are_cut_and_the_scheduler_dies(
    node, cluster, kubeconfig, namespace, pods, tmp_path, capsys
):
    """G1, G3, A5: rotation at 1 MiB, connections cut at random, kill -9 and a successor that appends."""
    logs = tmp_path / "logs"
    began = time.monotonic()
    with (
        watched_rotations(node.folder / "podlogs", namespace) as rotations,
        TcpProxy.blocking(kubeconfig) as proxy,
        cut_at_random(proxy) as cuts,
    ):
        settings = {
            "kubeconfig": str(proxy.kubeconfig),
            "namespace": namespace,
            "image": cluster.image,
            "folder": str(logs),
            "pods": PODS,
            "lines": LINES,
        }
        first = Scheduler({**settings, "owner": "first", "adopts": False}, tmp_path)
        try:
            assert (first.next_line(), first.next_line()) == ("running", "begun")
            while min(path.stat().st_size for path in logs.glob("*.log")) < 10_000:
                time.sleep(0.1)
        finally:
            first.kill()
        written = {path: path.stat().st_size for path in logs.glob("*.log")}
        second = Scheduler({**settings, "owner": "second", "adopts": True}, tmp_path)
        try:
            assert second.next_line() == "begun"
            outcomes = json.loads(second.next_line())
            assert second.process.wait(60) == 0
        finally:
            second.kill()
    took_s = time.monotonic() - began
    assert outcomes == {"succeeded": PODS}
    texts = {path: path.read_text() for path in logs.glob("*.log")}
    gaps = sum(text.count("*** Log gap") for text in texts.values())
    lines = sum(text.count("\n") - 1 for text in texts.values()) - gaps
    checked = {
        path.stem: holes(text.splitlines()[1:], count=LINES, firsts=rotations.of(path.stem))
        for path, text in texts.items()
    }
    skipped = sum(skipped for _, skipped in checked.values())
    with capsys.disabled():
        print(
            f"\n{PODS} pods x {LINES} lines in {took_s:.0f} s, {len(cuts)} times all connections cut: "
            f"{PODS * LINES - lines} lines missing, in {gaps} recorded gaps and {skipped} skipped by the node"
        )
    assert len(texts) == PODS
    assert {name: wrong for name, (wrong, _) in checked.items() if wrong} == {}
    assert all(path.stat().st_size > size for path, size in written.items()), "the successor appended"
    assert pods() == []
