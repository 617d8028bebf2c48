"""A scheduler that collects logs into files, as a separate process: ``python log_scheduler.py SETTINGS``.

SETTINGS is a JSON file: ``kubeconfig``, ``namespace``, ``image``, ``folder``, ``pods``, ``lines``, ``owner``, and
``adopts`` for the scheduler that continues after another one was killed. Each pod waits until the scheduler creates
``/tmp/go`` in it. The scheduler prints one line each: ``running``, ``begun``, and at the end the outcomes as JSON.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import anyio
from podrunner import AsyncPod, AsyncPodRunner, RunnerConfig, Workload
from podrunner.errors import PodrunnerError

LEASE_S = 8.0
WRITE = """
import os, sys, time
print("begin", flush=True)
while not os.path.exists("/tmp/go"):
    time.sleep(0.1)
for number in range({lines}):
    print(number)
    if number % 250 == 249:
        sys.stdout.flush()
        time.sleep({pause_s})
"""
PAUSE_S = 0.25
"""At 1,000 lines a second a log of 1 MiB is rotated about each 23 s, longer than a successor waits for the lease."""


def configuration(settings: dict) -> RunnerConfig:
    return RunnerConfig(
        cluster="kubeconfig",
        kubeconfig=Path(settings["kubeconfig"]),
        namespace=settings["namespace"],
        image=settings["image"],
        owner=settings["owner"],
        lease_duration_s=LEASE_S,
        request_timeout_s=10.0,
        connections=settings["pods"] + 20,
        logs={"folder": Path(settings["folder"]), "drain_timeout_s": 240.0},
        watch={"backoff_initial_s": 0.1, "backoff_max_s": 1.0, "inactivity_s": 20.0},
        create_retry={"attempts": 0, "initial_s": 0.1, "max_s": 1.0},
        retry={"attempts": 0, "initial_s": 0.1, "max_s": 1.0},
    )


def workloads(settings: dict) -> list[Workload]:
    script = WRITE.format(lines=settings["lines"], pause_s=PAUSE_S)
    return [
        Workload(key={"log": str(number)}, command=["python3", "-c", script], log_path=f"{number}.log")
        for number in range(settings["pods"])
    ]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def adopted(runner: AsyncPodRunner, count: int) -> list[AsyncPod]:
    """Adopt all pods of the other runner, after its lease expired."""
    pods: list[AsyncPod] = []
    while len(pods) < count:
        await anyio.sleep(0.5)
        pods += await runner.adopt()
    return pods


async def begin(pod: AsyncPod, folder: Path) -> None:
    """Let the pod write once the runner follows its log: lines that rotate away before cannot be detected."""
    path = folder / pod.key.parts["log"]
    while not (log := path.with_suffix(".log")).exists() or b"begin\n" not in log.read_bytes():
        await anyio.sleep(0.2)
    while True:
        try:
            done = await pod.exec(["touch", "/tmp/go"])
        except PodrunnerError:  # the connection was cut
            continue
        if done.exit_code == 0:
            return


async def work(settings: dict) -> None:
    async with AsyncPodRunner(configuration(settings)) as runner:
        if settings["adopts"]:
            pods = await adopted(runner, settings["pods"])
        else:
            pods = list(await runner.launch_many(workloads(settings)))
            say("running")
            async with anyio.create_task_group() as tasks:
                for pod in pods:
                    tasks.start_soon(begin, pod, Path(settings["folder"]))
        say("begun")
        outcomes = Counter([str((await pod.wait()).category) for pod in pods])
        await runner.wait_all()
    say(json.dumps(outcomes))


if __name__ == "__main__":
    anyio.run(work, json.loads(Path(sys.argv[1]).read_text()))
