"""1,000 short pods through ``launch_many`` on a LocalCluster in another process: the CPU time of podrunner.

Prints, for each face: pods per second, our CPU per pod, the server's CPU per pod, API calls per pod. The pods are
scripted (no processes), so the figures cover create, watch, outcome and delete.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import podrunner

PODS = int(os.environ.get("PODS", "1000"))
SCRIPT = '{"running_s": 0.2, "exit_code": 0}'


@contextmanager
def cluster() -> Iterator[tuple[Path, int]]:
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        command = [sys.executable, "-m", "podrunner", "local", "up", "--kubeconfig", str(kubeconfig)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not kubeconfig.exists():
                time.sleep(0.05)
            yield kubeconfig, server.pid
        finally:
            server.terminate()
            server.wait()


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def workloads(run: str) -> list[podrunner.Workload]:
    annotations = {"local.podrunner.io/script": SCRIPT}
    return [
        podrunner.Workload(key={"run": run, "n": str(number)}, command=["true"], annotations=annotations)
        for number in range(PODS)
    ]


async def asynchronous(config: podrunner.RunnerConfig) -> int:
    async with podrunner.AsyncPodRunner(config) as runner:
        launched = await runner.launch_many(workloads("async"))
        outcomes = [await pod.wait() for pod in launched]
    return sum(outcome.succeeded for outcome in outcomes)


def blocking(config: podrunner.RunnerConfig) -> int:
    with podrunner.PodRunner(config) as runner:
        launched = runner.launch_many(workloads("blocking"))
        return sum(pod.wait().succeeded for pod in launched)


def main() -> None:
    with cluster() as (kubeconfig, server):
        config = podrunner.RunnerConfig(
            cluster="kubeconfig",
            kubeconfig=kubeconfig,
            image="scripted",
            logs={"follow": "off"},
        )
        faces = {"async": lambda: asyncio.run(asynchronous(config)), "blocking": lambda: blocking(config)}
        for name, face in faces.items():
            before, served, began = own_cpu(), cpu_of(server), time.perf_counter()
            succeeded = face()
            wall, ours, theirs = time.perf_counter() - began, own_cpu() - before, cpu_of(server) - served
            print(
                f"{name:9} {succeeded}/{PODS} succeeded, {PODS / wall:6.0f} pods/s, "
                f"CPU per pod: ours {ours / PODS * 1e6:6.0f} µs, server {theirs / PODS * 1e6:6.0f} µs"
            )


if __name__ == "__main__":
    main()
