"""The child process of :mod:`podrunner.bench.servers`: ``python -m podrunner.bench.serve stub|local FOLDER``.

It prints the path of a kubeconfig, and serves until its standard input ends. It answers each line there by its figures.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.bench.stub import StubServer

if TYPE_CHECKING:
    from podrunner.local import LocalCluster
    from podrunner.local.api.storage.store import Change

__all__ = ["RELEASE", "main", "write_kubeconfig"]

RELEASE = "release\n"
"""Lets held pods run on, before the figures are printed."""


def main() -> None:
    """Serve as the arguments say."""
    target, folder = sys.argv[1], Path(sys.argv[2])
    if target == "stub":
        asyncio.run(_stub(folder))
    else:
        _local(folder)


async def _stub(folder: Path) -> None:
    server = StubServer()
    url = await server.start()
    _say(str(write_kubeconfig(folder, url)))
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line == RELEASE:
            server.release()
        _say_figures(left=server.left, passed=server.passed)


def _local(folder: Path) -> None:
    from podrunner.local import LocalCluster

    with LocalCluster.blocking(folder / "cluster") as cluster:
        stages = _Stages()
        cluster.call(stages.follow, cluster)
        _say(str(cluster.kubeconfig))
        while sys.stdin.readline():
            _say_figures(left=cluster.call(stages.left), passed=cluster.call(dict, stages.passed))


def _say_figures(**figures: Any) -> None:
    _say(json.dumps({"cpu_s": time.process_time(), **figures}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def write_kubeconfig(folder: Path, url: str) -> Path:
    """Write a kubeconfig for a server without TLS into a folder; return its path. JSON is YAML too."""
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stub", "cluster": {"server": url}}],
        "users": [{"name": "stub", "user": {"token": "benchmark"}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
        "current-context": "stub",
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


class _Stages:
    """When the pods of a LocalCluster pass their stages; used on its event loop only."""

    def __init__(self) -> None:
        self.passed: dict[str, dict[str, float]] = {}
        self._version = 0

    def follow(self, cluster: LocalCluster) -> None:
        """Note each change of a pod from now on."""
        self._store = cluster.control.store
        self._version = self._store.version
        self._store.wake_on_change("pods", self._note)

    def left(self) -> dict[str, int]:
        """Return how many pods and Leases there are."""
        return {name: sum(1 for _ in self._store.list(name)) for name in ("pods", "leases")}

    def _note(self) -> None:
        for change in self._store.changes_since("pods", self._version):
            self._version = change.version
            self._note_change(change)

    def _note_change(self, change: Change) -> None:
        passed = self.passed.setdefault(change.obj["metadata"]["name"], {})
        for stage in _stages_in(change.obj):
            passed.setdefault(stage, time.monotonic())


def _stages_in(pod: Any) -> list[str]:
    phase = pod["status"]["phase"]
    stages = {
        "scheduled": bool(pod["spec"].get("nodeName")),
        "running": phase in {"Running", "Succeeded", "Failed"},
        "ended": phase in {"Succeeded", "Failed"},
    }
    return [name for name, is_passed in stages.items() if is_passed]


if __name__ == "__main__":
    main()
