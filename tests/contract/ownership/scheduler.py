"""A scheduler as a process of its own: launches its share, adopts what others leave, and writes down what it is told.

Run by the tests beside it: ``python scheduler.py KUBECONFIG NAMESPACE NAME FIRST LAST RECORD``. Each line of the record
is one event, written as it comes; the process ends when told so by SIGTERM.
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

LEASE_S = 4.0
"""Short, for the test's sake; a busy machine may well stop a process for a second."""
REAL_EACH = 10
"""Every so manieth pod runs a real process."""


def workload(number: int) -> Workload:
    """A pod of some seconds."""
    key = {"n": str(number)}
    if number % REAL_EACH == 0:
        return Workload(key=key, command=["sh", "-c", f"sleep {2 + number % 7}"])
    life = {"pending_s": 0.1, "creating_s": 0.1, "running_s": random.Random(number).uniform(0.5, 20)}
    annotations = {"local.podrunner.io/script": json.dumps(life)}
    return Workload(key=key, command=["true"], annotations=annotations)


class Record:
    """What the scheduler knows: one line per event, which outlives it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, kind: str, *, uid: str = "", number: str = "", said: str = "") -> None:
        line = json.dumps({"kind": kind, "uid": uid, "n": number, "said": said})
        os.write(self._file, f"{line}\n".encode())


async def tell(runner: AsyncPodRunner, record: Record) -> None:
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


async def schedule(config: RunnerConfig, numbers: range, record: Record) -> None:
    async with AsyncPodRunner(config, on_exit="detach") as runner, anyio.create_task_group() as tasks:
        await runner.wait_synced()
        tasks.start_soon(tell, runner, record)
        tasks.start_soon(adopt_for_ever, runner, record)
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            await runner.launch_many(map(workload, numbers))
            record.write("launched")
            async for _ in signals:
                break
        tasks.cancel_scope.cancel()
    record.write("ended")


def main() -> None:
    kubeconfig, namespace, name, first, last, record = sys.argv[1:]
    config = RunnerConfig(
        cluster="kubeconfig",
        kubeconfig=Path(kubeconfig),
        namespace=namespace,
        image="any",
        owner=name,
        lease_duration_s=LEASE_S,
        logs={"follow": "off"},
    )
    anyio.run(schedule, config, range(int(first), int(last)), Record(Path(record)))


if __name__ == "__main__":
    main()
