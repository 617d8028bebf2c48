"""A program that a test ends by a signal: ``python program.py FACE WAITS KUBECONFIG NAMESPACE IMAGE PODS``.

FACE is ``blocking``, ``asyncio`` or ``trio``. WAITS says in what it is interrupted: ``wait`` for a pod's outcome,
``launch`` while pods are made, ``close`` while leaving.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
from podrunner import AsyncPodRunner, PodRunner, RunnerConfig, Workload


def ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def workloads(count: int) -> list[Workload]:
    """Pods that are killed after a second: the first process of a container does not end by SIGTERM alone."""
    command = ["sh", "-c", "exec sleep 300"]
    return [
        Workload(key={"n": str(number)}, command=command, termination_grace_period_s=1)
        for number in range(count)
    ]


def blocking(waits: str, config: RunnerConfig, count: int) -> None:
    """SIGTERM raises SystemExit, as Ctrl-C raises KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with PodRunner(config) as runner:
        if waits == "launch":
            ready()
        pods = runner.launch_many(workloads(count))
        ready()
        if waits == "wait":
            pods[0].wait()


async def asynchronous(waits: str, config: RunnerConfig, count: int) -> None:
    """Both signals cancel the program's work."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_work, waits, config, count, tasks.cancel_scope)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                break
        tasks.cancel_scope.cancel()


async def _work(waits: str, config: RunnerConfig, count: int, scope: anyio.CancelScope) -> None:
    async with AsyncPodRunner(config) as runner:
        if waits == "launch":
            ready()
        pods = await runner.launch_many(workloads(count))
        ready()
        if waits == "wait":
            await pods[0].wait()
    scope.cancel()


def main() -> None:
    face, waits, kubeconfig, namespace, image, count = sys.argv[1:]
    config = RunnerConfig(
        cluster="kubeconfig",
        kubeconfig=Path(kubeconfig),
        namespace=namespace,
        image=image,
        transport="httpx" if face == "trio" else "auto",
    )
    if face == "blocking":
        blocking(waits, config, int(count))
    else:
        anyio.run(asynchronous, waits, config, int(count), backend=face)


if __name__ == "__main__":
    main()
