"""CPU per pod of the whole walk (create, watch, outcome, delete), beside a bare aiohttp session that does the same.

Run: ``python benchmarks/whole_walk.py [--rounds N] [--pods N] [--json]``. Each contender is a process of its own, the
rounds alternate, and the minimum counts, with its ratio to the bare session's. That keeps none of the promises: it
sends the requests, splits the watch's lines, and decodes a few fields. Compare figures within one run only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bare_walk
import pod_stub

CONTENDERS = ("bare", "async", "submit", "blocking")
_WARM = 50
"""Pods that go before, so that imports and first connections are not measured."""


def main() -> None:
    arguments = _parsed()
    if arguments.contender:
        print(json.dumps(_run(arguments.contender, arguments.url, arguments.pods)))
        return
    best = compared(rounds=arguments.rounds, pods=arguments.pods, contenders=arguments.contenders)
    if arguments.json:
        print(json.dumps(best))
        return
    print(f"{'':10} {'us CPU/pod':>10} {'x bare':>7} {'pods/s':>7}")
    for name, figures in best.items():
        ratio = figures["us_per_pod"] / best["bare"]["us_per_pod"]
        print(f"{name:10} {figures['us_per_pod']:10.0f} {ratio:7.2f} {figures['pods_per_s']:7.0f}")


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    return parser.parse_args()


def compared(
    *, rounds: int, pods: int, contenders: Sequence[str] = CONTENDERS
) -> dict[str, dict[str, float]]:
    """Return the figures of each contender: those of the round in which it took the least CPU time."""
    best: dict[str, dict[str, float]] = {}
    with pod_stub.started(ends=True) as url:
        for _ in range(rounds):
            for name in contenders:
                command = [sys.executable, __file__, "--contender", name, "--url", url, "--pods", str(pods)]
                done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
                figures = json.loads(done.stdout)
                if name not in best or figures["us_per_pod"] < best[name]["us_per_pod"]:
                    best[name] = figures
    return best


def _run(contender: str, url: str, pods: int) -> dict[str, float]:
    if contender == "bare":
        return asyncio.run(_bare(url, pods))
    if contender == "blocking":
        return _blocking(url, pods)
    return asyncio.run(_asyncio(url, pods, submits=contender == "submit"))


class _Stopwatch:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu()

    def figures(self, pods: int) -> dict[str, float]:
        wall, cpu = time.perf_counter() - self._wall, _cpu() - self._cpu
        return {"us_per_pod": cpu / pods * 1e6, "pods_per_s": pods / wall}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# --- podrunner -----------------------------------------------------------------------------------------------------


def config_of(url: str) -> Any:
    import podrunner

    kubeconfig = pod_stub.write_kubeconfig(Path(tempfile.mkdtemp()) / "kubeconfig", url)
    return podrunner.RunnerConfig(
        cluster="kubeconfig",
        kubeconfig=kubeconfig,
        image="registry.example.com/data/worker:1",
        env={"RUN_ID": "r", "LOG_LEVEL": "INFO"},
        logs={"follow": "off"},
    )


def workloads_of(name: str, pods: int) -> list[Any]:
    import podrunner

    run = f"{name}-{time.time_ns()}"
    return [
        podrunner.Workload(key={"run": run, "n": str(number)}, command=["/usr/bin/worker", str(number)])
        for number in range(pods)
    ]


async def _asyncio(url: str, pods: int, *, submits: bool) -> dict[str, float]:
    import podrunner

    async with podrunner.AsyncPodRunner(config_of(url)) as runner:
        await runner.launch_many(workloads_of("warm", _WARM))
        await runner.wait_all()
        workloads = workloads_of("walk", pods)
        stopwatch = _Stopwatch()
        if submits:
            async with runner.events() as events:
                await runner.submit_many(workloads)
                left = pods
                async for event in events:
                    left -= event.outcome is not None
                    if not left:
                        break
        else:
            launched = await runner.launch_many(workloads)
            assert all([(await pod.wait()).succeeded for pod in launched])
        await runner.wait_all()
        return stopwatch.figures(pods)


def _blocking(url: str, pods: int) -> dict[str, float]:
    import podrunner

    with podrunner.PodRunner(config_of(url)) as runner:
        runner.launch_many(workloads_of("warm", _WARM))
        runner.wait_all()
        workloads = workloads_of("walk", pods)
        stopwatch = _Stopwatch()
        assert all(pod.wait().succeeded for pod in runner.launch_many(workloads))
        runner.wait_all()
        return stopwatch.figures(pods)


# --- the bare session ----------------------------------------------------------------------------------------------


async def _bare(url: str, pods: int) -> dict[str, float]:
    async with bare_walk.opened(url, pod_stub.PODS) as walk:
        await walk.go(_WARM)
        stopwatch = _Stopwatch()
        await walk.go(pods)
        return stopwatch.figures(pods)


if __name__ == "__main__":
    main()
