"""Reading logs, line by line and with time stamps, by podrunner and other clients: a part of ``compare.py``.

Each contender reads in a process of its own, by the ways of ``log_clients.py``, from the server of ``log_stub.py`` in
another one. CPU is that of the contender's process (and of kubectl's); opening a client and launching pods are not
measured. A blocking client reads many logs in as many threads.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import log_stub
from log_clients import ASYNC, BLOCKING, Place

CONTENDERS = (*ASYNC, *BLOCKING)
ONE_ONLY = ("kr8s blocking", "kubectl")
"""Read one log only: the first takes 0.1 ms for each line, the second a process for each log."""
SLOWER = (
    "kubex",
    "kubernetes-asyncio",
    "kubernetes-asyncio raw",
    "kubernetes.aio raw",
    "kubernetes",
    "kubernetes raw",
)
FEWER_LINES = dict.fromkeys(SLOWER, 3) | {"kr8s blocking": 60}
"""Read so many times fewer lines of the one log."""
FEWER_PODS = {"kubernetes-asyncio": 10}
"""Reads so many times fewer logs at once: its Watch makes a client for each log, with TLS contexts."""
HELD = ("podrunner", "bare aiohttp", "kubex", "kubernetes-asyncio")
"""Those that keep many logs open, each on a connection of its own."""
WARM_LINES = 2_000
POD_LINES = 64 * 1024 // log_stub.LINE_BYTES
QUIET_LINES = 20
FIRST_PODS = 20
"""Followed before memory is measured: the modules that the first follow loads do not count for the next."""
TITLES = {
    "one": ("One log, line by line: more is better", "MB per CPU second"),
    "many": ("Many logs of 64 KiB at once, line by line: more is better", "MB per CPU second"),
    "quiet": ("A followed log, after 20 lines: memory", "KiB"),
    "burst": ("A followed log, after 64 KiB that came at once for all: memory", "KiB"),
}
"""Each measure: the title of its picture, and the unit."""
SPEEDS = ("one", "many")
"""Those with a picture, of which the maximum of the rounds counts."""

Figures = dict[str, dict[str, float]]
"""Of each measure the figures of the contenders."""


def round_of(contenders: Collection[str], *, lines: int, pods: int, memory: bool) -> Figures:
    """Return what one round of the contenders measured; kubectl is left out where it is not installed.

    Args:
        contenders: Their names; those that read no logs are left out.
        lines: Of the one log.
        pods: Whose logs are read at once.
        memory: Whether memory is measured too.
    """
    found: Figures = {measure: {} for measure in TITLES}
    with log_stub.started() as url:
        for name in CONTENDERS:
            if name not in contenders or (name == "kubectl" and not shutil.which(name)):
                continue
            found["one"][name] = _child("read", name, url, lines // FEWER_LINES.get(name, 1), 1)
            at_once = max(1, pods // FEWER_PODS.get(name, 1))
            if name not in ONE_ONLY:
                found["many"][name] = _child("read", name, url, POD_LINES, at_once)
            if memory and name in HELD:
                found["quiet"][name] = _child("held", name, url, QUIET_LINES, at_once)
                found["burst"][name] = _child("held", name, url, POD_LINES, at_once)
    return found


def best_of(rounds: list[Figures]) -> Figures:
    """Return the best figure of each contender over the rounds; memory is measured in the first one."""
    best = {measure: dict(of) for measure, of in rounds[0].items()}
    for measure in SPEEDS:
        for name, of in best[measure].items():
            best[measure][name] = max(of, *(each[measure][name] for each in rounds))
    return best


def kubectl_version() -> dict[str, str]:
    """Return the version of kubectl by its name; empty where it is not installed."""
    if not shutil.which("kubectl"):
        return {}
    command = ["kubectl", "version", "--client", "--output=json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {"kubectl": json.loads(done.stdout)["clientVersion"]["gitVersion"].removeprefix("v")}


def _child(measure: str, name: str, url: str, lines: int, pods: int) -> float:
    command = [sys.executable, __file__, measure, name, url, str(lines), str(pods)]
    environ = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=200, env=environ)
    return float(done.stdout.splitlines()[-1])


# --- in a child ----------------------------------------------------------------------------------------------------


def main() -> None:
    measure, name, url, lines, pods = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        print(MEASURES[measure](name, url, Path(folder), int(lines), int(pods)), flush=True)


def _place(url: str, folder: Path, kind: str, lines: int) -> Place:
    namespace = f"{kind}-{lines}"
    return Place(log_stub.write_kubeconfig(url, folder / f"{namespace}.json", namespace), namespace)


def read(name: str, url: str, folder: Path, lines: int, pods: int) -> float:
    """Return the megabytes of so many logs per CPU second, after a short log went before."""
    _cpu_s_of_reading(name, _place(url, folder, "over", WARM_LINES), WARM_LINES, 1)
    used = _cpu_s_of_reading(name, _place(url, folder, "over", lines), lines, pods)
    return lines * pods * log_stub.LINE_BYTES / used / 1e6


def _cpu_s_of_reading(name: str, place: Place, lines: int, pods: int) -> float:
    if name in ASYNC:
        used, found = asyncio.run(_read_async(name, place, pods))
    else:
        used, found = _read_blocking(name, place, pods)
    if found != lines * pods and name != "kubectl":
        raise SystemExit(f"{name} gave {found} of {lines * pods} lines")
    return used


async def _read_async(name: str, place: Place, pods: int) -> tuple[float, int]:
    async with ASYNC[name](place, pods) as log:

        async def one(number: int) -> int:
            found = 0
            async for _ in await log(number):
                found += 1
            return found

        used = _cpu_s()
        found = sum(await asyncio.gather(*map(one, range(pods))))
        return _cpu_s() - used, found


def _read_blocking(name: str, place: Place, pods: int) -> tuple[float, int]:
    with BLOCKING[name](place, pods) as log, ThreadPoolExecutor(pods) as pool:
        used = _cpu_s()
        found = sum(pool.map(lambda number: sum(1 for _ in log(number)), range(pods)))
        return _cpu_s() - used, found


def _cpu_s() -> float:
    gc.collect()
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


def held(name: str, url: str, folder: Path, lines: int, pods: int) -> float:
    """Return the resident KiB of each followed log, after its present lines were read."""
    return asyncio.run(_held_bytes(name, _place(url, folder, "open", lines), lines, pods)) / 1024


async def _held_bytes(name: str, place: Place, lines: int, pods: int) -> float:
    async with ASYNC[name](place, FIRST_PODS + pods) as log:
        arrived = asyncio.Semaphore(0)

        async def follow(number: int) -> None:
            async for _ in await log(number):
                arrived.release()

        async def followed(numbers: range) -> list[asyncio.Task[None]]:
            tasks = [asyncio.create_task(follow(number)) for number in numbers]
            for _ in range(len(tasks) * lines):
                await arrived.acquire()
            gc.collect()
            return tasks

        tasks = await followed(range(FIRST_PODS))
        before = _resident_bytes()
        tasks += await followed(range(FIRST_PODS, FIRST_PODS + pods))
        grown = _resident_bytes() - before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return grown / pods


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


MEASURES: dict[str, Callable[[str, str, Path, int, int], float]] = {"read": read, "held": held}


# --- results -------------------------------------------------------------------------------------------------------


def pictures(found: dict[str, Any]) -> dict[str, str]:
    """Return the pictures by the names of their files; the fastest stands first."""
    from podrunner.bench.svg import bars

    drawn = {}
    for measure in SPEEDS:
        title, unit = TITLES[measure]
        rows = sorted(found["best"][measure].items(), key=lambda item: -item[1])
        drawn[f"peers-logs-{measure}.svg"] = bars(title, dict(rows), unit=unit, chief="podrunner")
    return drawn


def table(found: dict[str, Any]) -> str:
    """Return the table of the page, with its pictures: a row for each contender."""
    best: Figures = found["best"]
    rows = [
        f"| | one log, MB/CPU s | times bare | {found['pods']} at once, MB/CPU s | times bare "
        "| quiet, KiB | burst, KiB |\n|---|" + "--:|" * 6
    ]
    for name, _ in sorted(best["one"].items(), key=lambda item: -item[1]):
        cells = [cell for measure in SPEEDS for cell in _speed(best[measure], name)]
        cells += [_cell(best[measure].get(name)) for measure in ("quiet", "burst")]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    megabytes = found["lines"] * log_stub.LINE_BYTES / 1e6
    said = (
        f"One log of {found['lines']:,} lines ({megabytes:.3g} MB), {found['pods']} logs of {found['pod_lines']}; "
        f"rounds: {len(found['rounds'])}."
    )
    shown = [f"![{TITLES[measure][0]}](peers-logs-{measure}.svg)" for measure in SPEEDS]
    return "\n\n".join([said, "\n".join(rows), *shown])


def _speed(of: dict[str, float], name: str) -> tuple[str, str]:
    """Return the cells of a speed, and of its ratio to the bare session's."""
    speed = of.get(name)
    return _cell(speed), "-" if speed is None else f"{speed / of['bare aiohttp']:.2f}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
