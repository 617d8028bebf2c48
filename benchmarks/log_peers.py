"""Measures reading logs, HTTP included, against kubectl and other clients: one log, 500 at once, memory per follow.

Each client reads line by line, with time stamps, by its documented way (``log_clients.py``), two also by a documented
raw one. The server is a separate process (``log_stub.py``), whose CPU is measured separately. Contenders alternate; CPU
is that of this process and of kubectl's. Opening a client and launching pods are not measured. Compare figures within
one run only.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

import log_stub
from log_clients import ASYNC, BLOCKING, AsyncContender, Place
from log_stub import LINE_BYTES, Stub

ROUNDS = 3
ONE_LINES = 600_000  # 59 MB
SLOW_LINES = 10_000  # for the blocking face of kr8s, which takes a tenth of a millisecond a line
WARM_LINES = 2_000
PODS = 500
POD_LINES = 64 * 1024 // LINE_BYTES
FIRST_PODS = 20  # followed before memory is measured: the modules that the first follow loads do not count for the next
PACKAGES = ("podrunner", "kubernetes", "kubernetes-asyncio", "kr8s", "lightkube", "aiohttp")


MANY = ("podrunner async", "kubernetes-asyncio", "kubernetes-asyncio raw (bytes)", "lightkube async")
HELD = ("podrunner async", "kubernetes-asyncio")


@dataclass
class Meter:
    """Measures the block of ``with meter:``, in seconds."""

    stub: Stub
    cpu_s: float = 0.0
    wall_s: float = 0.0
    stub_s: float = 0.0

    def __enter__(self) -> None:
        gc.collect()
        self._began = self._now()

    def __exit__(self, *_: object) -> None:
        ends = self._now()
        self.cpu_s, self.wall_s, self.stub_s = (
            end - begin for begin, end in zip(self._began, ends, strict=True)
        )

    def _now(self) -> tuple[float, float, float]:
        kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        used = sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))
        return used, time.perf_counter(), self.stub.cpu_s()


async def count(lines: Any) -> int:
    found = 0
    async for _ in lines:
        found += 1
    return found


@dataclass
class Bench:
    """Runs contenders against the stub, with a folder for kubeconfigs."""

    stub: Stub
    folder: Path

    def place(self, kind: str, lines: int) -> Place:
        namespace = f"{kind}-{lines}"
        return Place(self.stub.write_kubeconfig(self.folder / f"{namespace}.json", namespace), namespace)

    def read(self, name: str, lines: int, pods: int = 1) -> Meter:
        """Read the logs of ``pods`` pods at once, to their ends."""
        meter, place = Meter(self.stub), self.place("over", lines)
        if name in ASYNC:
            found = asyncio.run(self._read_async(ASYNC[name], place, pods, meter))
        else:
            with BLOCKING[name](place) as log, meter:
                found = sum(1 for _ in log())
        if found != lines * pods and name != "kubectl":
            raise SystemExit(f"{name} gave {found} of {lines * pods} lines")
        return meter

    async def _read_async(self, contender: AsyncContender, place: Place, pods: int, meter: Meter) -> int:
        async def one(number: int) -> int:
            return await count(await log(number))

        async with contender(place, pods) as log:
            with meter:
                return sum(await asyncio.gather(*map(one, range(pods))))

    def table(self, names: Iterable[str], lines: int, pods: int = 1) -> None:
        """Alternate between the contenders, after a warm-up of each, and print a line for each."""
        for name in (names := list(names)):
            self.read(name, WARM_LINES)
        found: dict[str, list[Meter]] = {name: [] for name in names}
        lines_of = {name: SLOW_LINES if name == "kr8s blocking" else lines for name in names}
        for _ in range(ROUNDS):
            for name in names:
                found[name].append(self.read(name, lines_of[name], pods))
        for name, meters in found.items():
            print_row(name, meters, lines_of[name] * pods * LINE_BYTES / 1e6)

    def kubectl_start_ms(self) -> float:
        return min(self.read("kubectl", 1).cpu_s for _ in range(ROUNDS)) * 1e3


def print_row(name: str, meters: list[Meter], megabytes: float) -> None:
    cpu = sorted(meter.cpu_s for meter in meters)
    fastest = min(meter.wall_s for meter in meters)
    stub = statistics.median(meter.stub_s for meter in meters)
    print(
        f"  {name:31} {megabytes:6.1f} MB: {megabytes / cpu[0]:6.1f} MB per CPU second at best, "
        f"{megabytes / statistics.median(cpu):6.1f} in the median; {megabytes / fastest:6.1f} MB/s; "
        f"server {stub / megabytes * 1e3:5.1f} ms per MB",
        flush=True,
    )


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def held(name: str, place: Place) -> float:
    """Return the resident bytes per followed pod, after its present log was read; runs in a separate process."""
    async with ASYNC[name](place, FIRST_PODS + PODS) as log:
        arrived = asyncio.Semaphore(0)

        async def follow(number: int) -> None:
            async for _ in await log(number):
                arrived.release()

        async def followed(numbers: range) -> list[asyncio.Task[None]]:
            tasks = [asyncio.create_task(follow(number)) for number in numbers]
            for _ in range(len(tasks) * POD_LINES):
                await arrived.acquire()
            gc.collect()
            return tasks

        tasks = await followed(range(FIRST_PODS))
        before = resident_bytes()
        tasks += await followed(range(FIRST_PODS, FIRST_PODS + PODS))
        grown = resident_bytes() - before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return grown / PODS


def held_apart(name: str, place: Place) -> float:
    command = [sys.executable, __file__, "held", name, str(place.kubeconfig), place.namespace]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def is_installed(name: str) -> bool:
    package = name.split(maxsplit=1)[0]
    return bool(shutil.which(package) if package == "kubectl" else util.find_spec(package.replace("-", "_")))


def versions() -> str:
    found = [f"{each} {metadata.version(each)}" for each in PACKAGES if is_installed(each)]
    if is_installed("kubectl"):
        run = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=True)
        found.append(f"kubectl {run.stdout.split()[2]}")
    return ", ".join([f"Python {sys.version.split()[0]}", *found])


def main() -> None:
    if sys.argv[1:2] == ["held"]:
        _, _, name, kubeconfig, namespace = sys.argv
        print(asyncio.run(held(name, Place(Path(kubeconfig), namespace))))
        return
    for variable in [each for each in os.environ if each.lower().endswith("_proxy")]:
        del os.environ[variable]
    with tempfile.TemporaryDirectory() as folder, log_stub.started() as stub:
        bench = Bench(stub, Path(folder))
        print(versions())
        print("one log, line by line, to its end")
        bench.table(filter(is_installed, [*ASYNC, *BLOCKING]), ONE_LINES)
        if is_installed("kubectl"):
            print(f"  kubectl's figure has its start in it: {bench.kubectl_start_ms():.0f} ms of CPU")
        print(f"{PODS} logs at once, 64 KiB each (kubectl reads one log a process)")
        bench.table(filter(is_installed, MANY), POD_LINES, PODS)
        print(f"memory per followed pod, of {PODS}, after its present log was read")
        for name in filter(is_installed, HELD):
            print(f"  {name:31} {held_apart(name, bench.place('open', POD_LINES)) / 1024:6.1f} KiB resident")


if __name__ == "__main__":
    main()
