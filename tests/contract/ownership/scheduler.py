"""A scheduler as a process of its own: launches its share, adopts a gone runner's pods, and records all events.

Run by the tests beside it: ``python scheduler.py SETTINGS``, a JSON file with ``kubeconfig``, ``namespace``,
``image``, ``lease_s``, ``name``, ``first``, ``last``, ``record``, and how most pods are ``played``: ``scripted`` by a
LocalCluster, ``simulated`` by kwok on a real API server, or ``really``. Each line of the record is one event, written
as it comes; the process ends at SIGTERM.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

import anyio
from podrunner import AsyncPodRunner, RunnerConfig, Workload
from podrunner.errors import OwnershipError

sys.path.insert(0, str(Path(__file__).parents[2] / "cluster"))
from simulated import PLACEMENT, RUNNING

REAL_EACH = 10
"""Every so manieth pod runs a real process."""


def workload(number: int, *, played: str) -> Workload:
    """A pod of some seconds."""
    key = {"n": str(number)}
    runs_s = random.Random(number).uniform(0.5, 20)
    if number % REAL_EACH == 0 or played == "really":
        return Workload(key=key, command=["sh", "-c", f"sleep {2 + number % 7}"])
    if played == "simulated":
        return Workload(key=key, command=["true"], annotations={RUNNING: f"{runs_s:.1f}s"}, **PLACEMENT)
    life = {"pending_s": 0.1, "creating_s": 0.1, "running_s": runs_s}
    annotations = {"local.podrunner.io/script": json.dumps(life)}
    return Workload(key=key, command=["true"], annotations=annotations)


class Record:
    """What the scheduler knows: one line per event, which outlives it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, kind: str, *, uid: str = "", number: str = "", said: str = "") -> None:
        line = json.dumps({"kind": kind, "uid": uid, "n": number, "said": said})
        os.write(self._file, f"{line}\n".encode())


async def record_events(runner: AsyncPodRunner, record: Record) -> None:
    """Write down each event."""
    async with runner.events() as events:
        record.write("ready")
        async for event in events:
            said = str(event.outcome.category) if event.outcome else event.message
            record.write(str(event.kind), uid=event.uid, number=event.key.parts["n"], said=said)


async def adopt_for_ever(runner: AsyncPodRunner, record: Record) -> None:
    """Look each second for what others left."""
    while True:
        await anyio.sleep(1)
        try:
            await runner.adopt()
        except OwnershipError as error:
            record.write("fenced", said=str(error))
            return


async def schedule(config: RunnerConfig, workloads: list[Workload], record: Record) -> None:
    async with AsyncPodRunner(config, on_exit="detach") as runner, anyio.create_task_group() as tasks:
        await runner.wait_synced()
        tasks.start_soon(record_events, runner, record)
        tasks.start_soon(adopt_for_ever, runner, record)
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            await runner.launch_many(workloads)
            record.write("launched")
            async for _ in signals:
                break
        tasks.cancel_scope.cancel()
    record.write("ended")


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    config = RunnerConfig(
        cluster="kubeconfig",
        kubeconfig=Path(settings["kubeconfig"]),
        namespace=settings["namespace"],
        image=settings["image"],
        owner=settings["name"],
        lease_duration_s=settings["lease_s"],
        logs={"follow": "off"},
    )
    share = range(settings["first"], settings["last"])
    workloads = [workload(number, played=settings["played"]) for number in share]
    anyio.run(schedule, config, workloads, Record(Path(settings["record"])))


if __name__ == "__main__":
    main()
